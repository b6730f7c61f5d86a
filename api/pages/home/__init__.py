"""What the page of a prosumer shows, as values: which stretch of time, its answer, its pictures."""
