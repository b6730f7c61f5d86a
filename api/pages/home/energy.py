"""An account's energy in a stretch of time: one row a window, day or month, its picture and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from api.jobs.market.spans import sums_of
from api.jobs.market.views import Span, Sums, WindowLine
from api.pages.bars import Bar, Panel, Part, top_of
from api.pages.home.stretches import Stretch, View
from api.pages.home.wording import Wording
from api.pages.words import digits_of
from ledger.units import from_unix_s, to_unix_s
from ledger.words import WindowPrice

GIVEN: Final = ("sold", "to_grid")
TAKEN: Final = ("bought", "from_grid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One product of a window's saving: energy, and what it was better than at the grid's price."""

    kind: str  # sold or bought.
    energy_wh: int
    own_per_kwh: int  # Received, or paid with the fee in it.
    grid_per_kwh: int  # What the grid pays, or takes.
    saved_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table, and a bar in both panels. What is not known is None."""

    label: str
    machine_time: str
    part: Stretch | None  # What it opens to.
    figures: Sums | None
    price: WindowPrice | None  # Of a window.
    reasons: tuple[Reason, ...]

    @property
    def is_final(self) -> bool:
        """Whether nothing in it is provisional."""
        return self.figures is not None and self.figures.provisional == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What a page shows of one stretch."""

    stretch: Stretch
    rows: tuple[Row, ...]
    sums: Sums
    given: Panel
    taken: Panel

    @property
    def prices(self) -> tuple[int, int] | None:
        """The lowest and the highest price among neighbours; None outside a day's windows."""
        found = [row.price.local_per_kwh for row in self.rows if row.price is not None]
        return (min(found), max(found)) if found else None

    @property
    def is_known(self) -> bool:
        """Whether anything was measured in it."""
        return self.sums.windows > 0

    @property
    def digits(self) -> int:
        """Digits behind the point in the table's columns of money."""
        figures = [self.sums, *(row.figures for row in self.rows if row.figures is not None)]
        return digits_of(nano for each in figures for nano in (each.amount_nano, each.saved_nano))

    @property
    def sum_digits(self) -> int:
        """Digits behind the point where the sums stand alone."""
        sums = self.sums
        return digits_of(
            (
                sums.sold_nano,
                sums.to_grid_nano,
                sums.bought_nano,
                sums.from_grid_nano,
                sums.amount_nano,
                sums.grid_only_nano,
            )
        )

    @property
    def unknown(self) -> int:
        """Rows of which nothing is known yet."""
        return sum(row.figures is None for row in self.rows)


def energy_of_day(
    stretch: Stretch, window_s: int, lines: Iterable[WindowLine], wording: Wording
) -> Energy:
    """A day's windows, those of which nothing is known among them."""
    known = {line.start_s: line for line in lines}
    starts_s = windows_of(stretch, window_s)
    rows = [_row_of_window(start_s, known.get(start_s), wording) for start_s in starts_s]
    return _energy(stretch, rows, wording)


def energy_of_spans(stretch: Stretch, spans: Iterable[Span], wording: Wording) -> Energy:
    """A month's days, or a year's months; of those without windows nothing is known."""
    known = {span.day: span.sums for span in spans if span.sums.windows}
    rows = [
        Row(
            label=wording.label_of_part(part),
            machine_time=part.first_day.isoformat()[: 10 if part.view is View.DAY else 7],
            part=part,
            figures=known.get(part.first_day),
            price=None,
            reasons=(),
        )
        for part in stretch.parts()
    ]
    return _energy(stretch, rows, wording)


def windows_of(stretch: Stretch, window_s: int) -> range:
    """Starts of the windows that begin in a stretch."""
    first_s = -(-to_unix_s(stretch.start_at) // window_s) * window_s
    return range(first_s, to_unix_s(stretch.end_at), window_s)


def reasons_of(line: WindowLine) -> tuple[Reason, ...]:
    """Why a window saved what it did: energy times the difference of two prices."""
    row, price = line.row, line.price
    pays_per_kwh = price.local_per_kwh + price.local_fee_per_kwh
    found = (
        Reason(
            kind="sold",
            energy_wh=row.sold_wh,
            own_per_kwh=price.local_per_kwh,
            grid_per_kwh=price.grid_export_per_kwh,
            saved_nano=row.sold_wh * (price.local_per_kwh - price.grid_export_per_kwh),
        ),
        Reason(
            kind="bought",
            energy_wh=row.bought_wh,
            own_per_kwh=pays_per_kwh,
            grid_per_kwh=price.grid_import_per_kwh,
            saved_nano=row.bought_wh * (price.grid_import_per_kwh - pays_per_kwh),
        ),
    )
    return tuple(reason for reason in found if reason.energy_wh)


def _row_of_window(start_s: int, line: WindowLine | None, wording: Wording) -> Row:
    at = from_unix_s(start_s)
    return Row(
        label=wording.words.clock(at),
        machine_time=wording.machine_time(at),
        part=None,
        figures=None if line is None else sums_of([line]),
        price=None if line is None else line.price,
        reasons=() if line is None else reasons_of(line),
    )


def _energy(stretch: Stretch, rows: Sequence[Row], wording: Wording) -> Energy:
    given = [_bar(row, GIVEN, wording) for row in rows]
    taken = [_bar(row, TAKEN, wording) for row in rows]
    top_wh = top_of(given, taken)
    return Energy(
        stretch=stretch,
        rows=tuple(rows),
        sums=added([row.figures for row in rows if row.figures is not None]),
        given=Panel(bars=tuple(given), top_wh=top_wh),
        taken=Panel(bars=tuple(taken), top_wh=top_wh),
    )


def _bar(row: Row, kinds: Sequence[str], wording: Wording) -> Bar:
    parts = _parts(row.figures) if row.figures is not None else {}
    return Bar(
        label=row.label,
        parts=tuple(Part(kind=kind, energy_wh=parts.get(kind, 0)) for kind in kinds),
        title=wording.title_of_bar(row.label, {kind: parts.get(kind) for kind in kinds}),
        is_final=row.is_final,
    )


def _parts(sums: Sums) -> Mapping[str, int]:
    return {
        "sold": sums.sold_wh,
        "to_grid": sums.export_wh - sums.sold_wh,
        "bought": sums.bought_wh,
        "from_grid": sums.import_wh - sums.bought_wh,
    }


def added(parts: Sequence[Sums]) -> Sums:
    """Sums of sums."""
    names = Sums.__dataclass_fields__
    return Sums(**{name: sum(getattr(part, name) for part in parts) for name in names})
