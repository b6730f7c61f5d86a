"""A demo that goes on living: its homes and chargers, simulated while it is served."""
