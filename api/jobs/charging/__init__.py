"""Charging, wired to the community: orders, the escrow, charge points, receipts."""
