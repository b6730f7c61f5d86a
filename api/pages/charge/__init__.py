"""The pages at a charger: what a charge costs, what a deposit buys, what its sign says."""
