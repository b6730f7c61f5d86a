"""What is kept of people is erased: at once, on request, or when its time is over."""
