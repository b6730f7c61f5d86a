"""One history of all tables; written by hand, checked against the table classes by a test."""
