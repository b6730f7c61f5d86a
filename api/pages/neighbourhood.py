"""What the page of the neighbourhood shows of some hours: figures, as far as one may see them.

Sources and sinks are sums over the same windows, so both sides of the picture are equal.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.jobs.market.views import Cell, PeriodState, WindowView
from ledger.units import BPS, from_unix_s
from ledger.words import WindowPrice


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One window. A figure that is None may not be seen, or is not known."""

    start_at: datetime
    end_at: datetime
    given_wh: int | None
    taken_wh: int | None
    traded_wh: int | None
    price: WindowPrice
    state: PeriodState
    is_settled: bool
    is_complete: bool  # Every meter has been heard.
    estimated: int  # Accounts.
    is_hidden: bool  # Something of it may not be seen.

    @property
    def pays_per_kwh(self) -> int:
        """What a buyer pays a neighbour, the local fee in it."""
        return self.price.local_per_kwh + self.price.local_fee_per_kwh

    @property
    def is_whole(self) -> bool:
        """Whether all of it can be drawn."""
        return None not in {self.given_wh, self.taken_wh, self.traded_wh}


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Where energy came from and where it went, over some windows."""

    given_wh: int = 0
    taken_wh: int = 0
    traded_wh: int = 0

    @classmethod
    def of(cls, lines: Iterable[Line]) -> "Balance":
        """Of whole lines."""
        given_wh = taken_wh = traded_wh = 0
        for line in lines:
            given_wh += line.given_wh or 0
            taken_wh += line.taken_wh or 0
            traded_wh += line.traded_wh or 0
        return cls(given_wh=given_wh, taken_wh=taken_wh, traded_wh=traded_wh)

    @property
    def from_grid_wh(self) -> int:
        """What was taken and no neighbour gave."""
        return self.taken_wh - self.traded_wh

    @property
    def to_grid_wh(self) -> int:
        """What was given and no neighbour took."""
        return self.given_wh - self.traded_wh

    @property
    def covered_bps(self) -> int:
        """How much of what was taken came from neighbours."""
        return self.traded_wh * BPS // self.taken_wh if self.taken_wh else 0

    @property
    def stayed_bps(self) -> int:
        """How much of what was given went to neighbours."""
        return self.traded_wh * BPS // self.given_wh if self.given_wh else 0

    @property
    def moved_wh(self) -> int:
        """All of it: the sum of the sources, and of the sinks."""
        return self.given_wh + self.from_grid_wh


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Some hours of the neighbourhood."""

    lines: tuple[Line, ...]

    @property
    def settled(self) -> Balance:
        """Of windows whose money has moved."""
        return Balance.of(line for line in self.lines if line.is_whole and line.is_settled)

    @property
    def provisional(self) -> Balance:
        """Of windows that are not settled yet."""
        return Balance.of(line for line in self.lines if line.is_whole and not line.is_settled)

    @property
    def total(self) -> Balance:
        """Of all windows that may be seen whole."""
        return Balance.of(line for line in self.lines if line.is_whole)

    @property
    def given_wh(self) -> int | None:
        """All that was given, as far as it may be seen."""
        return _sum(line.given_wh for line in self.lines)

    @property
    def taken_wh(self) -> int | None:
        """All that was taken, as far as it may be seen."""
        return _sum(line.taken_wh for line in self.lines)

    @property
    def traded_wh(self) -> int | None:
        """All that neighbours took of each other, as far as it may be seen."""
        return _sum(line.traded_wh for line in self.lines)

    @property
    def has_provisional(self) -> bool:
        """Whether something that is shown is not settled yet."""
        return not all(line.is_settled for line in self.lines)

    @property
    def most_given(self) -> Line | None:
        """The window in which most was given; of equal ones the first."""
        seen = [line for line in self.lines if line.given_wh]
        return max(seen, key=lambda line: line.given_wh or 0, default=None)

    @property
    def most_taken(self) -> Line | None:
        """The window in which most was taken; of equal ones the first."""
        seen = [line for line in self.lines if line.taken_wh]
        return max(seen, key=lambda line: line.taken_wh or 0, default=None)

    @property
    def hidden(self) -> int:
        """Windows of which something may not be seen."""
        return sum(line.is_hidden for line in self.lines)

    @property
    def whole(self) -> int:
        """Windows that may be seen whole."""
        return sum(line.is_whole for line in self.lines)

    @property
    def latest(self) -> Line | None:
        """The last window of which anything may be seen, else the last one."""
        seen = [line for line in self.lines if line.taken_wh is not None]
        return next(reversed(seen or self.lines), None)

    def for_scripts(self) -> dict[str, object]:
        """The same figures for the pictures."""
        return {
            "windows": [
                {
                    "start": line.start_at.isoformat(),
                    "end": line.end_at.isoformat(),
                    "given": line.given_wh,
                    "taken": line.taken_wh,
                    "traded": line.traded_wh,
                    "settled": line.is_settled,
                    "local": line.price.local_per_kwh,
                    "pays": line.pays_per_kwh,
                    "gridImport": line.price.grid_import_per_kwh,
                    "gridExport": line.price.grid_export_per_kwh,
                }
                for line in self.lines
            ],
            "flows": [
                {"from": source, "to": sink, "settled": settled_wh, "provisional": provisional_wh}
                for source, sink, settled_wh, provisional_wh in (
                    ("sun", "homes", self.settled.traded_wh, self.provisional.traded_wh),
                    ("sun", "grid", self.settled.to_grid_wh, self.provisional.to_grid_wh),
                    ("grid", "homes", self.settled.from_grid_wh, self.provisional.from_grid_wh),
                )
            ],
        }


def shown_of(windows: Sequence[WindowView], *, window_s: int, sees_all: bool) -> Shown:
    """Windows as somebody may see them.

    Args:
        sees_all: for members and the auditor; others see sums of enough accounts alone.
    """
    known = list(windows)
    while known and not known[-1].is_complete and not _has_energy(known[-1]):
        known.pop()  # It has begun, and no meter has said anything of it.
    lines = tuple(_line(window, window_s=window_s, sees_all=sees_all) for window in known)
    return Shown(lines=lines)


def is_known(window: WindowView) -> bool:
    """Whether anything has been heard of a window."""
    return window.is_complete or _has_energy(window)


def _sum(energies_wh: Iterable[int | None]) -> int | None:
    seen = [energy_wh for energy_wh in energies_wh if energy_wh is not None]
    return sum(seen) if seen else None


def _has_energy(window: WindowView) -> bool:
    return bool(window.imported.energy_wh or window.exported.energy_wh)


def _line(window: WindowView, *, window_s: int, sees_all: bool) -> Line:
    def seen_wh(cell: Cell) -> int | None:
        return cell.energy_wh if sees_all or cell.is_open else None

    cells = (window.exported, window.imported, window.traded)
    given_wh, taken_wh, traded_wh = map(seen_wh, cells)
    return Line(
        start_at=from_unix_s(window.start_s),
        end_at=from_unix_s(window.start_s + window_s),
        given_wh=given_wh,
        taken_wh=taken_wh,
        traded_wh=traded_wh,
        price=window.price,
        state=window.state,
        is_settled=window.state is PeriodState.FINAL,
        is_complete=window.is_complete,
        estimated=window.estimated,
        is_hidden=None in {given_wh, taken_wh, traded_wh},
    )
