"""Flows: one account's import and export in each window (DESIGN §2).

The register at a boundary is the reading at it, else on the straight line between its neighbours,
rounded down; before the first reading it is the first's, after the last the last's. A flow is a
difference of two registers, so that flows add up to last − first, whatever the windows are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from ledger.errors import OutOfRange
from ledger.units import REGISTER_WH_MAX, AccountId, from_unix_s, to_unix_s
from metering.meters import MeterTerm
from metering.readings import MeterId
from metering.series import IntArray, Series, WindowGrid

_EXACT_MAX: Final = 2**63 - 1  # Of what fits in a column.
_OPEN: Final = 2**62  # Later than any grid: the end of a term that is open.


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One account's import and export in one window."""

    account: AccountId
    start_at: datetime
    import_wh: int
    export_wh: int
    estimated: bool  # Some meter's register at one of the two ends was not read but computed.

    def __post_init__(self) -> None:
        if self.import_wh < 0 or self.export_wh < 0:
            raise OutOfRange(
                field="import_wh" if self.import_wh < 0 else "export_wh",
                value=min(self.import_wh, self.export_wh),
                value_min=0,
                value_max=REGISTER_WH_MAX,
            )


def flows_of(
    account: AccountId,
    terms: Iterable[MeterTerm],
    series: Mapping[MeterId, Series],
    windows: WindowGrid,
) -> list[Flow]:
    """One account's flows, one per window; terms of other accounts are passed over.

    A meter counts while a term puts it under the account: a window that the term's beginning or
    end cuts counts from or to that instant, with the register that the same rule gives there. A
    window is estimated if a meter lacks a reading at one of the two ends of what counts of it.
    """
    import_wh = np.zeros(windows.count, dtype=np.int64)
    export_wh = np.zeros(windows.count, dtype=np.int64)
    estimated = np.zeros(windows.count, dtype=np.bool_)
    boundaries_s = windows.boundaries_s()
    for meter_id, from_s, until_s in _stretches(account, terms):
        ends_s = np.clip(boundaries_s, from_s, until_s)
        valid = ends_s[1:] > ends_s[:-1]
        if not valid.any():
            continue
        readings = series.get(meter_id)
        if readings is None or not len(readings):
            estimated |= valid
            continue
        line = _Line.through(readings.taken_s, ends_s)
        import_wh += np.diff(line.at(readings.import_wh))
        export_wh += np.diff(line.at(readings.export_wh))
        estimated |= valid & ~(line.is_read[1:] & line.is_read[:-1])
    return [
        Flow(
            account=account,
            start_at=from_unix_s(start_s),
            import_wh=window_import_wh,
            export_wh=window_export_wh,
            estimated=window_estimated,
        )
        for start_s, window_import_wh, window_export_wh, window_estimated in zip(
            boundaries_s[:-1].tolist(),
            import_wh.tolist(),
            export_wh.tolist(),
            estimated.tolist(),
            strict=True,
        )
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Line:
    """Where instants lie among a meter's readings; the same for both registers."""

    before: IntArray  # Index of the last reading at or before the instant, else of the first.
    after: IntArray  # Index of the first reading after the instant, else of the last.
    since_s: IntArray  # From `before` to the instant; 0 outside the readings.
    step_s: IntArray  # From `before` to `after`; 1 where they are the same.
    is_read: npt.NDArray[np.bool_]  # Whether there is a reading at the instant.

    @classmethod
    def through(cls, taken_s: IntArray, instants_s: IntArray) -> "_Line":
        last = len(taken_s) - 1
        place = np.searchsorted(taken_s, instants_s, side="right").astype(np.int64)
        before = np.maximum(place - 1, 0)
        after = np.where(place == 0, 0, np.minimum(place, last))
        inside = before != after
        return cls(
            before=before,
            after=after,
            since_s=np.where(inside, instants_s - taken_s[before], 0),
            step_s=np.where(inside, taken_s[after] - taken_s[before], 1),
            is_read=taken_s[before] == instants_s,
        )

    def at(self, register_wh: IntArray) -> IntArray:
        """The register at each instant, rounded down between two readings."""
        before_wh = register_wh[self.before]
        rise_wh = register_wh[self.after] - before_wh
        if int(np.abs(rise_wh).max()) * int(self.since_s.max()) <= _EXACT_MAX:
            return before_wh + rise_wh * self.since_s // self.step_s
        # A huge rise over a long gap: the product needs Python's integers, the quotient does not.
        exact = rise_wh.astype(object) * self.since_s.astype(object) // self.step_s.astype(object)
        exact_wh: IntArray = exact.astype(np.int64)
        return before_wh + exact_wh


def _stretches(account: AccountId, terms: Iterable[MeterTerm]) -> list[tuple[MeterId, int, int]]:
    """When each meter is under the account; a change of key or limit alone cuts nothing."""
    stretches: list[tuple[MeterId, int, int]] = []
    own = (term for term in terms if term.account == account)
    for term in sorted(own, key=lambda term: (term.meter_id, term.valid_from)):
        from_s = to_unix_s(term.valid_from)
        until_s = _OPEN if term.valid_until is None else to_unix_s(term.valid_until)
        if stretches and stretches[-1][0] == term.meter_id and stretches[-1][2] == from_s:
            from_s = stretches.pop()[1]
        stretches.append((term.meter_id, from_s, until_s))
    return stretches
