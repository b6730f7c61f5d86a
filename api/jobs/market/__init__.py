"""What the market says to people: windows, periods, accounts, statements, savings."""
