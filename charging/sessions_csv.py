"""Charging sessions as a housing cooperative's operator exported them (Data in Brief 36, 107105).

Columns `session_id, user_id, shared_id, plugin_local, plugout_local, energy_kwh,
duration_h_reported` in any order, others are ignored. Times are local, Europe/Oslo, without offset:
an hour that comes twice is told apart by the reported duration, which is the elapsed time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

from metering.csv_rows import read_rows
from metering.errors import BadRow, Problem

COLUMNS: Final = (
    "session_id",
    "user_id",
    "shared_id",
    "plugin_local",
    "plugout_local",
    "energy_kwh",
    "duration_h_reported",
)
ZONE: Final = ZoneInfo("Europe/Oslo")
ENERGY_KWH_MAX: Final = Decimal(1_000)
DURATION_H_MAX: Final = Decimal(24 * 366)
POWER_W_MAX: Final = 50_000  # More than this on average is no charger of a garage.
LABEL: Final = re.compile(r"[A-Za-z0-9._-]{1,30}", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,9}(\.\d{1,12})?", re.ASCII)
_LOCAL: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSession:
    """One stay of a car at a charger."""

    line: int
    session_id: str
    user: str
    charger: str  # The user's own, or the shared one.
    plugin_at: datetime  # Aware, UTC.
    plugout_at: datetime
    energy_wh: int  # Rounded down.


def read_sessions(source: BinaryIO) -> tuple[list[RecordedSession], list[Problem]]:
    """Reads a whole file, in order of plug-in; a row that is refused becomes a problem.

    Raises:
        EmptyFile, MissingColumn, UnknownFormat: it is no such file.
    """
    sessions: list[RecordedSession] = []
    problems = read_rows(source, COLUMNS, lambda line, cells: sessions.append(_of(line, cells)))
    return sorted(sessions, key=lambda each: (each.plugin_at, each.line)), problems


def _of(line: int, cells: list[str]) -> RecordedSession:
    session_id, user, shared, plugin, plugout, energy, duration = cells
    for name, label in (("session_id", session_id), ("user_id", user), ("shared_id", shared)):
        if (label or name != "shared_id") and LABEL.fullmatch(label) is None:
            raise BadRow(rule=f"{name}: 1 to 30 letters, digits, dots, dashes")
    reported = _number("duration_h_reported", duration, DURATION_H_MAX) if duration else None
    plugin_at, plugout_at = _times(plugin, plugout, reported)
    kwh = _number("energy_kwh", energy, ENERGY_KWH_MAX)
    energy_wh = int((kwh * 1_000).to_integral_value(ROUND_FLOOR))
    seconds = (plugout_at - plugin_at) // timedelta(seconds=1)
    if energy_wh * 3_600 > POWER_W_MAX * seconds:
        raise BadRow(rule=f"at most {POWER_W_MAX} W on average, not {energy} kWh in {seconds} s")
    return RecordedSession(
        line=line,
        session_id=session_id,
        user=user,
        charger=shared or user,
        plugin_at=plugin_at,
        plugout_at=plugout_at,
        energy_wh=energy_wh,
    )


def _times(plugin: str, plugout: str, reported: Decimal | None) -> tuple[datetime, datetime]:
    """The two instants: of all readings of ambiguous times the one nearest to the elapsed time."""
    pairs = [
        (start_at, end_at)
        for start_at in _instants("plugin_local", plugin)
        for end_at in _instants("plugout_local", plugout)
        if end_at > start_at
    ]
    if reported is not None:
        elapsed = timedelta(seconds=int((reported * 3_600).to_integral_value(ROUND_FLOOR)))
        pairs.sort(key=lambda pair: abs(pair[1] - pair[0] - elapsed))
    if not pairs:
        raise BadRow(rule="plugout_local is after plugin_local")
    return pairs[0]


def _instants(name: str, text: str) -> Iterator[datetime]:
    """The instants that a local time may mean: two in the hour that comes twice."""
    if _LOCAL.fullmatch(text) is None:
        raise BadRow(rule=f"{name}: a local time like 2019-06-01T11:45, not {text[:30]!r}")
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRow(rule=f"{name}: {error}") from error
    found = {local.replace(tzinfo=ZONE, fold=fold).astimezone(UTC) for fold in (0, 1)}
    yield from sorted(found)


def _number(name: str, text: str, number_max: Decimal) -> Decimal:
    if _NUMBER.fullmatch(text) is None:
        raise BadRow(rule=f"{name}: a decimal number, not {text[:30]!r}")
    number = Decimal(text)
    if number > number_max:
        raise BadRow(rule=f"{name}: at most {number_max}")
    return number
