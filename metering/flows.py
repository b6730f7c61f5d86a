"""Flows: one account's import and export in each window (DESIGN §2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ledger.units import AccountId
from metering.meters import MeterTerm
from metering.readings import MeterId
from metering.series import Series, WindowGrid


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One account's import and export in one window."""

    account: AccountId
    start_at: datetime
    import_wh: int
    export_wh: int
    estimated: bool  # Some meter's register at one of the two ends was not read but computed.


def flows_of(
    account: AccountId,
    terms: Iterable[MeterTerm],
    series: Mapping[MeterId, Series],
    windows: WindowGrid,
) -> list[Flow]:
    """One account's flows, one per window; terms of other accounts are passed over."""
    raise NotImplementedError
