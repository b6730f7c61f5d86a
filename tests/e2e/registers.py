"""Files of registers, written for tests, and what a demo of them must come to.

Everything here is computed from the file's text by the rules of the specification, in plain
integers and fractions, without any of the program's own code.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).parents[2]
KONSTANZ = ROOT / "api/data/konstanz_registers_60min_2016-06_2016-10.csv"
FIRST_RELEASE = ROOT / "tests/data/konstanz_house4_first_release_with_gaps.csv"
REVISED_RELEASE = ROOT / "tests/data/konstanz_house4_revised_release.csv"

DAY_S = 86_400
GRID_IMPORT, GRID_EXPORT, FEE = 300_000, 80_000, 20_000
LOCAL = (GRID_EXPORT + GRID_IMPORT - FEE) // 2
HEADER = "meter_id,ts_utc,grid_import_kwh,grid_export_kwh"

Row = tuple[int, int, int]  # Unix seconds, import and export in Wh.


def instant(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def kwh(register_wh: int | None) -> str:
    return "" if register_wh is None else f"{register_wh // 1000}.{register_wh % 1000:03d}"


def line(label: str, at_s: int, import_wh: int | None, export_wh: int | None) -> str:
    quoted = '"' + label.replace('"', '""') + '"' if set(label) & set('",') else label
    return f"{quoted},{instant(at_s)},{kwh(import_wh)},{kwh(export_wh)}"


def write(path: Path, lines: Iterable[str], *, header: str = HEADER, bom: bool = False) -> Path:
    text = "\n".join([header, *lines]) + "\n"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    return path


def home(
    label: str,
    *,
    start_s: int,
    step_s: int,
    count: int,
    import_step_wh: int = 100,
    export_step_wh: int = 0,
) -> list[str]:
    """A home whose registers rise unevenly, by some multiple of its steps."""
    lines, import_wh, export_wh = [], 1_000, 2_000
    for place in range(count):
        lines.append(line(label, start_s + place * step_s, import_wh, export_wh))
        import_wh += import_step_wh * (1 + place % 3)
        export_wh += export_step_wh * (place % 4)
    return lines


def read(path: Path) -> dict[str, list[Row]]:
    """Each meter's readings by time; rows with a gap or an error give none, the last one counts."""
    with path.open(encoding="utf-8-sig", newline="") as source:
        cells = list(csv.DictReader(source))
    labels = sorted({row["meter_id"].strip() for row in cells})
    has = {
        (label, name): any(row["meter_id"].strip() == label and row[name] for row in cells)
        for label in labels
        for name in ("grid_import_kwh", "grid_export_kwh")
    }
    found: dict[str, dict[int, Row]] = {label: {} for label in labels}
    for row in cells:
        label = row["meter_id"].strip()
        registers = []
        for name in ("grid_import_kwh", "grid_export_kwh"):
            if row[name]:
                registers.append(int(Decimal(row[name]) * 1000))
            elif not has[label, name]:
                registers.append(0)
        if len(registers) == 2:
            at_s = unix(row["ts_utc"])
            found[label][at_s] = (at_s, registers[0], registers[1])
    return {label: [own[at_s] for at_s in sorted(own)] for label, own in found.items()}


def register_at(rows: Sequence[Row], at_s: int, column: int) -> int:
    """The register at an instant, on the line between its neighbours, rounded down."""
    if at_s <= rows[0][0]:
        return rows[0][column]
    if at_s >= rows[-1][0]:
        return rows[-1][column]
    after = next(place for place, row in enumerate(rows) if row[0] > at_s)
    (t0, *before), (t1, *later) = rows[after - 1], rows[after]
    r0, r1 = before[column - 1], later[column - 1]
    return r0 + (Fraction((r1 - r0) * (at_s - t0), t1 - t0).__floor__())


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a demo of a file must come to."""

    members: int
    windows: int
    periods: int
    import_wh: int
    export_wh: int
    traded_wh: int
    amounts_nano: Mapping[int, int]  # By account, 0 and 1 included.

    @property
    def counted(self) -> dict[str, int]:
        names = ("members", "windows", "periods", "import_wh", "export_wh", "traded_wh")
        return {name: getattr(self, name) for name in names} | {"meters": self.members}


def expected_of(path: Path, *, window_s: int, days: int) -> Expected:
    """Flows, proportional shares and the mid-market price, all over again."""
    meters = read(path)
    first_day_s = min(rows[0][0] for rows in meters.values() if rows) // DAY_S * DAY_S
    until_s = first_day_s + days * DAY_S
    kept = {
        label: [row for row in rows if row[0] <= until_s] for label, rows in sorted(meters.items())
    }
    last_s = max(rows[-1][0] for rows in kept.values() if rows)
    periods = -((first_day_s - last_s) // DAY_S)
    amounts = dict.fromkeys(range(2 + len(kept)), 0)
    sums = [0, 0, 0]
    for start_s in range(first_day_s, first_day_s + periods * DAY_S, window_s):
        flows = [_rise(rows, start_s, start_s + window_s) for rows in kept.values()]
        traded_wh = _settle_window(flows, amounts)
        for place, value in enumerate(
            (sum(flow[0] for flow in flows), sum(flow[1] for flow in flows), traded_wh)
        ):
            sums[place] += value
    return Expected(
        members=len(kept),
        windows=len({start for rows in kept.values() for start in _inside(rows, window_s)}),
        periods=periods,
        import_wh=sums[0],
        export_wh=sums[1],
        traded_wh=sums[2],
        amounts_nano=amounts,
    )


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """Largest remainder: whole shares of a total, the lower place first where two are equal."""
    weight_sum = sum(weights)
    if not weight_sum or not total:
        return [0] * len(weights)
    given = [total * weight // weight_sum for weight in weights]
    order = sorted(
        range(len(weights)), key=lambda place: (-(total * weights[place] % weight_sum), place)
    )
    for place in order[: total - sum(given)]:
        given[place] += 1
    return given


def _settle_window(flows: Sequence[tuple[int, int]], amounts: dict[int, int]) -> int:
    imports, exports = [flow[0] for flow in flows], [flow[1] for flow in flows]
    traded_wh = min(sum(imports), sum(exports))
    bought, sold = shares(traded_wh, imports), shares(traded_wh, exports)
    for place, (import_wh, export_wh) in enumerate(flows):
        amounts[2 + place] += (
            sold[place] * LOCAL
            - bought[place] * (LOCAL + FEE)
            - (import_wh - bought[place]) * GRID_IMPORT
            + (export_wh - sold[place]) * GRID_EXPORT
        )
    amounts[0] += (sum(imports) - traded_wh) * GRID_IMPORT
    amounts[0] -= (sum(exports) - traded_wh) * GRID_EXPORT
    amounts[1] += traded_wh * FEE
    return traded_wh


def _rise(rows: Sequence[Row], start_s: int, end_s: int) -> tuple[int, int]:
    if not rows:
        return 0, 0
    first, second = (
        register_at(rows, end_s, column) - register_at(rows, start_s, column) for column in (1, 2)
    )
    return first, second


def _inside(rows: Sequence[Row], window_s: int) -> range:
    if not rows:
        return range(0)
    return range(-(-rows[0][0] // window_s), rows[-1][0] // window_s)
