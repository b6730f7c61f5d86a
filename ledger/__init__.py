"""Clearing, statements, periods, and the chain behind them."""
