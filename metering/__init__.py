"""Signed readings of meters, and the flows that follow from them."""
