"""Charging: tariffs, sessions and charge points. The market does not need it to settle."""
