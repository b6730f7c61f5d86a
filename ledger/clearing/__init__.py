"""Clearing: flows, limits, cover and tariff in; price, trades and amounts out (INTERFACES §6)."""

from ledger.clearing.clear import clear
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
from ledger.clearing.wire import (
    clear_document,
    error_to_json,
    problem_from_json,
    result_to_json,
)
from ledger.clearing.wire_keys import keys_from_json, priorities_from_json

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
    "clear",
    "clear_document",
    "error_to_json",
    "keys_from_json",
    "priorities_from_json",
    "problem_from_json",
    "result_to_json",
]
