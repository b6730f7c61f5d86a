"""Values of options as people type them; what cannot be read is wrong usage, and names its rule."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Final

import typer

from ledger.units import MICRO_PER_TOKEN, Address, to_unix_s

WH_PER_KWH: Final = 1_000
_AMOUNT: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)
_ENERGY: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)
_ADDRESS: Final = re.compile(r"0x([0-9a-fA-F]{40})", re.ASCII)
_SESSION: Final = re.compile(r"0x([0-9a-fA-F]{64})", re.ASCII)


def instant_s(text: str) -> int:
    """Unix seconds of a time."""
    try:
        instant_at = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"a time, as 2016-06-08T00:00:00Z, not {text[:40]!r}") from error
    if instant_at.tzinfo is None:
        raise typer.BadParameter("a time has an offset or Z, as 2016-06-08T00:00:00Z")
    return to_unix_s(instant_at)


def amount_micro(text: str) -> int:
    """Micro-tokens of an amount in tokens."""
    if not _AMOUNT.fullmatch(text) or not Decimal(text):
        raise typer.BadParameter("an amount above 0 with at most 6 decimals, as 20.00")
    return int(Decimal(text) * MICRO_PER_TOKEN)


def energy_wh(text: str) -> int:
    """Wh of an energy in kWh."""
    if not _ENERGY.fullmatch(text) or not Decimal(text):
        raise typer.BadParameter("kWh above 0 with at most 3 decimals, as 12.5")
    return int(Decimal(text) * WH_PER_KWH)


def session_id(text: str) -> bytes:
    """The 32 bytes of a charging session's id."""
    found = _SESSION.fullmatch(text)
    if found is None:
        raise typer.BadParameter("0x and 64 hexadecimal digits")
    return bytes.fromhex(found[1])


def address(text: str) -> Address:
    """An address on the chain."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise typer.BadParameter("0x and 40 hexadecimal digits")
    return Address(bytes.fromhex(found[1]))
