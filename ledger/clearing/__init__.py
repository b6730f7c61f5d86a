"""Clearing: flows, limits, cover and tariff in; price, trades and amounts out (INTERFACES §6)."""

from ledger.clearing.types import (
    Clearing,
    Columns,
    Flow,
    Limits,
    PriceRule,
    Problem,
    Residual,
    Row,
    Tariff,
    VolumeRule,
)

__all__ = [
    "Clearing",
    "Columns",
    "Flow",
    "Limits",
    "PriceRule",
    "Problem",
    "Residual",
    "Row",
    "Tariff",
    "VolumeRule",
]
