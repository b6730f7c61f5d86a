"""Windows as tables: comma-separated, one header line (RFC 4180), energies and money in integers.

The names tell the units: Wh, nano-tokens, and micro-tokens per kWh, VAT included.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

from api.jobs.market.views import Cell, WindowLine, WindowView
from ledger.units import from_unix_s, to_rfc3339
from ledger.words import WindowPrice

MEDIA_TYPE = "text/csv; charset=utf-8"
PRICES = ("local_per_kwh", "local_fee_per_kwh", "grid_import_per_kwh", "grid_export_per_kwh")
LINE_COLUMNS = (
    "start",
    "start_local",
    "period_start",
    "run",
    "import_wh",
    "export_wh",
    "bought_wh",
    "sold_wh",
    "estimated",
    "uncovered",
    *PRICES,
    "bought_nano",
    "sold_nano",
    "from_grid_nano",
    "to_grid_nano",
    "amount_nano",
    "grid_only_nano",
    "saved_nano",
)
WINDOW_COLUMNS = (
    "start",
    "end",
    "period_start",
    "run",
    *PRICES,
    "import_wh",
    "export_wh",
    "traded_wh",
)
ROWS_AT_ONCE = 500
Row = tuple[object, ...]


def lines_csv(lines: Iterable[WindowLine], zone: ZoneInfo) -> Iterator[str]:
    """An account's windows: `amount = sold - bought + to_grid - from_grid`."""
    return _table(LINE_COLUMNS, (_line(line, zone) for line in lines))


def windows_csv(windows: Iterable[WindowView], window_s: int) -> Iterator[str]:
    """The community's windows as everybody may see them; what is hidden is empty."""
    return _table(
        WINDOW_COLUMNS,
        (
            (
                _utc(window.start_s),
                _utc(window.start_s + window_s),
                _utc(window.period_start_s),
                window.run,
                *_prices(window.price),
                _if_open(window.imported),
                _if_open(window.exported),
                _if_open(window.traded),
            )
            for window in windows
        ),
    )


def _line(line: WindowLine, zone: ZoneInfo) -> Row:
    row, bill = line.row, line.bill
    return (
        _utc(line.start_s),
        from_unix_s(line.start_s).astimezone(zone).isoformat(),
        _utc(line.period_start_s),
        line.run,
        row.import_wh,
        row.export_wh,
        row.bought_wh,
        row.sold_wh,
        _flag(row.estimated),
        _flag(row.uncovered),
        *_prices(line.price),
        bill.bought_nano,
        bill.sold_nano,
        bill.from_grid_nano,
        bill.to_grid_nano,
        bill.amount_nano,
        bill.grid_only_nano,
        bill.saved_nano,
    )


def _table(columns: Row, rows: Iterable[Row]) -> Iterator[str]:
    """Text in pieces: a table of years is never whole in memory."""
    piece = io.StringIO()
    writer = csv.writer(piece)
    writer.writerow(columns)
    for number, row in enumerate(rows, start=1):
        writer.writerow(row)
        if number % ROWS_AT_ONCE == 0:
            yield piece.getvalue()
            piece.seek(0)
            piece.truncate()
    yield piece.getvalue()


def _prices(price: WindowPrice) -> Row:
    return tuple(getattr(price, name) for name in PRICES)


def _if_open(cell: Cell) -> int | str:
    return cell.energy_wh if cell.is_open else ""


def _flag(value: bool) -> str:  # noqa: FBT001
    return "true" if value else "false"


def _utc(unix_s: int) -> str:
    return to_rfc3339(from_unix_s(unix_s))
