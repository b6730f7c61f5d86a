"""Time-of-day tariffs: a week of local time, of which a session freezes the one that holds now.

A table is local wall-clock time: an entry of a day begins on that day, and one that ends at or
before its start ends on the next. On a day of 23 or 25 hours the clock on the wall decides, so an
hour that comes twice has its price twice. What no entry names has the default; where there is none,
the entries must fill the week. Two entries never claim the same minute.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final
from zoneinfo import ZoneInfo

from charging.errors import BadTariff
from charging.tariff_fields import list_of, mapping_of, require_known, text_of
from charging.tariffs import ChargeTariff

MINUTES_PER_DAY: Final = 1_440
MINUTES_PER_WEEK: Final = 7 * MINUTES_PER_DAY
ENTRIES_MAX: Final = 200
PRICE_NAMES: Final = tuple(price.name for price in fields(ChargeTariff))
_MINUTE: Final = timedelta(minutes=1)
_LOOK_AHEAD: Final = timedelta(days=9)  # A week comes round, its clock changed on the way.
_TIME_OF_DAY: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)", re.ASCII)
_ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*", re.ASCII)


class Day(IntEnum):
    """Days of the week as Python counts them."""

    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


EVERY_DAY: Final = tuple(Day)


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffEntry:
    """One tariff, on some days from one minute of the day until another."""

    days: tuple[Day, ...]
    start_minute: int  # Of the day, 0 to 1,439.
    end_minute: int  # 1 to 1,440; at or before the start: of the next day.
    tariff: ChargeTariff

    def __post_init__(self) -> None:
        if not self.days or len(set(self.days)) != len(self.days):
            raise BadTariff(field="days", rule="at least one day, and each once")
        if not 0 <= self.start_minute < MINUTES_PER_DAY:
            raise BadTariff(field="start", rule="a time of day from 00:00 to 23:59")
        if not 1 <= self.end_minute <= MINUTES_PER_DAY:
            raise BadTariff(field="end", rule="a time of day from 00:01 to 24:00")

    def spans(self) -> Iterator[tuple[int, int]]:
        """Minutes of the week that it claims, from and until; one around Sunday night is two."""
        length = (self.end_minute - self.start_minute - 1) % MINUTES_PER_DAY + 1
        for day in self.days:
            start = day * MINUTES_PER_DAY + self.start_minute
            end = start + length
            yield start, min(end, MINUTES_PER_WEEK)
            if end > MINUTES_PER_WEEK:
                yield 0, end - MINUTES_PER_WEEK


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffTable:
    """All tariffs of a charger.

    Raises:
        BadTariff: entries overlap, a minute has no tariff, or nobody knows the time zone.
    """

    default: ChargeTariff | None = None  # Where no entry holds; None: the entries fill the week.
    entries: tuple[TariffEntry, ...] = ()
    time_zone: str = "UTC"  # By its name in the tz database.
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)  # Minutes of the week.
    _tariffs: tuple[ChargeTariff, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.entries) > ENTRIES_MAX:
            raise BadTariff(field="entries", rule=f"at most {ENTRIES_MAX}")
        week = list(_week(self.entries, self.default))
        object.__setattr__(self, "_zone", _zone_of(self.time_zone))
        object.__setattr__(self, "_starts", tuple(start for start, _ in week))
        object.__setattr__(self, "_tariffs", tuple(tariff for _, tariff in week))

    def at(self, instant_at: datetime) -> ChargeTariff:
        """The tariff that holds at an aware instant: what a session that opens then freezes."""
        return self._tariffs[self._place(_minute_of_week(self._local(instant_at)))]

    def until(self, instant_at: datetime) -> datetime | None:
        """The next instant, aware UTC, at which another tariff holds; None: never."""
        tariff = self.at(instant_at)
        at = instant_at.astimezone(UTC)
        while at < instant_at + _LOOK_AHEAD:
            at = self._next(at)
            if self.at(at) != tariff:
                return at
        return None

    def pieces(self) -> Iterator[tuple[int, int, ChargeTariff]]:
        """The local week from Monday on, cut at midnights: from and until which minute, and what.

        Neighbouring minutes of a day with the same tariff are one piece.
        """
        week = [*self._starts, *range(0, MINUTES_PER_WEEK, MINUTES_PER_DAY)]
        merged: list[tuple[int, ChargeTariff]] = []
        for start in sorted(set(week)):
            tariff = self._tariffs[self._place(start)]
            if start % MINUTES_PER_DAY == 0 or merged[-1][1] != tariff:
                merged.append((start, tariff))
        ends = [*(start for start, _ in merged[1:]), MINUTES_PER_WEEK]
        for (start, tariff), end in zip(merged, ends, strict=True):
            yield start, end, tariff

    def normal(self) -> "TariffTable":
        """The same tariffs at the same times, in the one form that all such tables share.

        The tariff that holds longest is the default; entries do not pass midnight.
        """
        return normal_table(self.pieces(), self.time_zone)

    def _next(self, at: datetime) -> datetime:
        """The next instant at which the week goes on to its next tariff, or the clock changes."""
        local = self._local(at)
        minute = _minute_of_week(local)
        place = self._place(minute) + 1
        end = self._starts[place] if place < len(self._starts) else MINUTES_PER_WEEK
        into_minute = timedelta(seconds=local.second, microseconds=local.microsecond)
        then = at + (end - minute) * _MINUTE - into_minute
        if self._local(then).utcoffset() == local.utcoffset():
            return then
        early, late = at, then  # The clock changes in between: when, to the second?
        while late - early > timedelta(seconds=1):
            middle = early + (late - early) / 2
            if self._local(middle).utcoffset() == local.utcoffset():
                early = middle
            else:
                late = middle
        return late.replace(microsecond=0)

    def _place(self, minute: int) -> int:
        return bisect_right(self._starts, minute) - 1

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(self._zone)


def tariff_table_of(
    tariff: Mapping[str, object], table: Mapping[str, object] | None = None
) -> TariffTable:
    """The table that a configuration states, as TOML or JSON gives it.

    `tariff` has the default's prices (`energy_per_kwh`, `start_fee`, `time_per_hour`,
    `idle_per_hour`: micro-tokens, VAT included; what is not stated is 0). The table, beside it or
    as its `table`, has a `time_zone` and `entries`, each with `days` (none: every day), `start`,
    `end` (none: midnight) and prices; those that an entry does not state are the default's. With
    a table and no price in `tariff` there is no default.

    Raises:
        BadTariff: naming the field, like `entries.2.start`.
    """
    parts = dict(tariff)
    inner = parts.pop("table", None)
    if inner is not None and table is not None:
        raise BadTariff(field="table", rule="a table is given once")
    default = _tariff_of(parts, ChargeTariff(), "")
    stated = inner if table is None else table
    if stated is None:
        return TariffTable(default=default)
    where = mapping_of(stated, "table")
    require_known(where, {"time_zone", "entries"}, "table.")
    entries = list_of(where.get("entries", []), "entries", ENTRIES_MAX)
    return TariffTable(
        default=default if parts else None,
        entries=tuple(
            _entry_of(mapping_of(entry, f"entries.{place}"), default, f"entries.{place}.")
            for place, entry in enumerate(entries)
        ),
        time_zone=text_of(where.get("time_zone", "UTC"), "time_zone"),
    )


def normal_table(
    pieces: Iterable[tuple[int, int, ChargeTariff]], time_zone: str = "UTC"
) -> TariffTable:
    """The table of a week in pieces that do not pass midnight, as `TariffTable.pieces` gives it."""
    lasts: dict[ChargeTariff, int] = {}
    days: dict[tuple[int, int, ChargeTariff], list[Day]] = {}
    for start, end, tariff in pieces:
        day, start_minute = divmod(start, MINUTES_PER_DAY)
        lasts[tariff] = lasts.get(tariff, 0) + end - start
        days.setdefault((start_minute, start_minute + end - start, tariff), []).append(Day(day))
    default = max(lasts, key=lambda tariff: lasts[tariff])  # Of equals the week's first.
    entries = [
        TariffEntry(days=tuple(on), start_minute=start, end_minute=end, tariff=tariff)
        for (start, end, tariff), on in days.items()
        if tariff != default
    ]
    return TariffTable(
        default=default,
        entries=tuple(sorted(entries, key=lambda entry: (entry.days, entry.start_minute))),
        time_zone=time_zone,
    )


def minute_of_day(text: str, field_name: str) -> int:
    """Minutes since midnight of `HH:MM`; 24:00 is the day's end. Raises BadTariff."""
    shape = _TIME_OF_DAY.fullmatch(text)
    minute = int(shape[1]) * 60 + int(shape[2]) if shape else MINUTES_PER_DAY + 1
    if minute > MINUTES_PER_DAY:
        raise BadTariff(field=field_name, rule="a time of day looks like 06:30")
    return minute


def day_of(name: str, field_name: str) -> Day:
    """A day by its English name, or the first three letters of it. Raises BadTariff."""
    for day in Day:
        if name.upper() in {day.name, day.name[:3]}:
            return day
    raise BadTariff(field=field_name, rule=f"a day is one of {', '.join(day.name for day in Day)}")


def _entry_of(parts: Mapping[str, object], default: ChargeTariff, prefix: str) -> TariffEntry:
    require_known(parts, {"days", "start", "end", *PRICE_NAMES}, prefix)
    names = parts.get("days", [day.name for day in Day])
    days = list_of(names, f"{prefix}days", len(Day))
    start = minute_of_day(text_of(parts.get("start", "00:00"), f"{prefix}start"), f"{prefix}start")
    end = minute_of_day(text_of(parts.get("end", "24:00"), f"{prefix}end"), f"{prefix}end")
    prices = {name: price for name, price in parts.items() if name in PRICE_NAMES}
    try:
        return TariffEntry(
            days=tuple(
                sorted(day_of(text_of(day, f"{prefix}days"), f"{prefix}days") for day in days)
            ),
            start_minute=start,
            end_minute=end or MINUTES_PER_DAY,
            tariff=_tariff_of(prices, default, prefix),
        )
    except BadTariff as error:
        if error.field.startswith(prefix):
            raise
        raise BadTariff(field=prefix + error.field, rule=error.rule) from None


def _tariff_of(prices: Mapping[str, object], default: ChargeTariff, prefix: str) -> ChargeTariff:
    require_known(prices, set(PRICE_NAMES), prefix)
    stated: dict[str, int] = {name: getattr(default, name) for name in PRICE_NAMES}
    for name, price in prices.items():
        if type(price) is not int:
            raise BadTariff(field=prefix + name, rule="a whole number of micro-tokens")
        stated[name] = price
    return ChargeTariff(**stated)


def _week(
    entries: Iterable[TariffEntry], default: ChargeTariff | None
) -> Iterator[tuple[int, ChargeTariff]]:
    """The week from Monday on: from which minute which tariff holds."""
    spans = sorted(
        (start, end, place, entry.tariff)
        for place, entry in enumerate(entries)
        for start, end in entry.spans()
    )
    at = 0
    for start, end, place, tariff in [*spans, (MINUTES_PER_WEEK, MINUTES_PER_WEEK, 0, default)]:
        if start < at:
            raise BadTariff(field=f"entries.{place}", rule=f"{_named(start)} has a tariff already")
        if start > at:
            if default is None:
                raise BadTariff(field="entries", rule=f"{_named(at)} has no tariff, nor a default")
            yield at, default
        if tariff is not None and end > start:
            yield start, tariff
        at = end


def _named(minute: int) -> str:
    day, of_day = divmod(minute, MINUTES_PER_DAY)
    return f"{Day(day).name} {of_day // 60:02}:{of_day % 60:02}"


def _minute_of_week(local: datetime) -> int:
    return local.weekday() * MINUTES_PER_DAY + local.hour * 60 + local.minute


def _zone_of(name: str) -> ZoneInfo:
    if not _ZONE_NAME.fullmatch(name):
        raise BadTariff(field="time_zone", rule="a name like Europe/Berlin")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise BadTariff(field="time_zone", rule=f"no time zone is named {name[:60]!r}") from error
