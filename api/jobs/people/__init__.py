"""What people ask for that is written to the chain: relays, joining, meters, names."""
