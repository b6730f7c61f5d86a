"""Homes that go on living: their meters read on, sign, and send when time passes it.

What was sent lies in the store of readings, and nothing else is remembered: a start goes on from
there, so that no register is ever told twice with two values.
"""

import asyncio
import heapq
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from api.jobs.community import Community
from api.jobs.create import meter_key
from api.jobs.demo import demo_file
from api.jobs.replay.profile import Profile, Registers, Row
from api.jobs.taking.answers import ReadingsDesk
from api.loops import Loop, LoopState, code_of
from ledger.errors import LedgerError
from ledger.keccak import keccak256
from ledger.units import from_unix_s, to_unix_s
from metering.readings import MeterId, Reading
from metering.readings_json import to_json
from metering.registers_csv import read_registers
from metering.series import Series
from metering.signing import sign_reading

ROUND_S: Final = 0.5  # Real seconds.
BATCH: Final = 5_000
RECORD_DAYS_MAX: Final = 366
PUNCTUAL_PERCENT, SLOW_PERCENT = 90, 98
PUNCTUAL_S, SLOW_S, LATE_S_MAX = 180, 1_800, 3 * 3_600  # After the instant, at most.
LOOKED_EVERY_S: Final = 60.0  # Real seconds until a home that was refused is looked at again.
log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Home:
    """One home's meter, and what it has not told yet."""

    label: str
    meter_id: MeterId
    secret: bytes
    profile: Profile
    offset: Registers  # From the profile's registers to the meter's.
    scanned_s: int  # Readings up to here are told, or wait.
    told: frozenset[int]  # Of those after `scanned_s`.
    waiting: list[tuple[int, int]] = field(default_factory=list)  # When to tell, and of when.

    def due(self, now_s: int) -> list[int]:
        """Instants whose readings are to be sent by now."""
        for instant_s in self.profile.instants(self.scanned_s, now_s):
            if instant_s not in self.told:
                heapq.heappush(
                    self.waiting, (instant_s + delay_s(self.label, instant_s), instant_s)
                )
        self.scanned_s = max(self.scanned_s, now_s)
        due = []
        while self.waiting and self.waiting[0][0] <= now_s:
            due.append(heapq.heappop(self.waiting)[1])
        return due

    def reading(self, instant_s: int) -> Reading:
        """What the meter shows at an instant."""
        import_wh, export_wh = self.profile.at(instant_s)
        return Reading(
            meter_id=self.meter_id,
            taken_at=from_unix_s(instant_s),
            import_wh=self.offset[0] + import_wh,
            export_wh=self.offset[1] + export_wh,
        )


class Homes:
    """All homes of a demo whose meters' keys are here."""

    def __init__(self, community: Community, desk: ReadingsDesk) -> None:
        self._community = community
        self._desk = desk
        self._loop = Loop("homes")
        self._homes: dict[MeterId, _Home] = {}
        self._looked_s = -LOOKED_EVERY_S  # By a clock of no particular zero.
        self._has_refused = False

    def state(self) -> LoopState:
        """How this loop is."""
        return self._loop.state()

    async def run(self) -> None:
        """Lives for ever."""
        while True:
            try:
                await self.round()
            except Exception as error:
                code = code_of(error)
                if self._loop.problem != code:
                    log.warning("homes: %s", error, exc_info=not isinstance(error, LedgerError))
                self._loop.passed(code)
                self._homes, self._looked_s = {}, -LOOKED_EVERY_S
            else:
                self._loop.passed()
            await asyncio.sleep(ROUND_S)

    async def round(self) -> None:
        """Sends what is due now."""
        is_long_ago = time.monotonic() - self._looked_s >= LOOKED_EVERY_S
        if is_long_ago and (self._has_refused or not self._homes):
            found = await asyncio.to_thread(homes_of, self._community)
            self._homes = found | self._homes
            self._looked_s, self._has_refused = time.monotonic(), False
        now_s = to_unix_s(self._community.clock.now())
        due = [(home, instant_s) for home in self._homes.values() for instant_s in home.due(now_s)]
        for place in range(0, len(due), BATCH):
            await self._send(due[place : place + BATCH])

    async def _send(self, due: Sequence[tuple[_Home, int]]) -> None:
        body = await asyncio.to_thread(self._body, due)
        answer = json.loads((await self._desk.take(body)).body)
        for each in answer["rejected"]:
            home, instant_s = due[each["index"]]
            # Somebody else read its meter, or ended it: it is looked at anew in a while.
            self._has_refused = True
            if self._homes.pop(home.meter_id, None) is not None:
                log.warning("homes: %s at %d: %s", home.label, instant_s, each["detail"])

    def _body(self, due: Sequence[tuple[_Home, int]]) -> bytes:
        domain = self._community.reading_domain
        signed = [sign_reading(home.reading(at_s), home.secret, domain) for home, at_s in due]
        return json.dumps({"readings": [to_json(each) for each in signed]}).encode()


def delay_s(label: str, instant_s: int) -> int:
    """How long after an instant its reading is sent: mostly soon, and sometimes hours later."""
    drawn = int.from_bytes(keccak256(f"{label} {instant_s}".encode())[:8])
    percent, drawn = drawn % 100, drawn // 100
    if percent < PUNCTUAL_PERCENT:
        return drawn % PUNCTUAL_S
    return drawn % (SLOW_S if percent < SLOW_PERCENT else LATE_S_MAX)


def homes_of(community: Community) -> dict[MeterId, _Home]:
    """Every home that has been read and whose key is here, where its readings have come to."""
    store, keys = community.readings, community.keys
    stretches = store.known_stretches()
    meters = {
        each.label: each.meter_id
        for each in store.meters()
        if each.label is not None and each.meter_id in stretches and meter_key(each.label) in keys
    }
    profiles = _profiles(community, meters)
    homes = {}
    for label, profile in profiles.items():
        meter_id = meters[label]
        last_at = stretches[meter_id].last_at
        since_at = last_at - timedelta(seconds=LATE_S_MAX)
        series = store.series([meter_id], from_at=since_at, until_at=last_at)[meter_id]
        last_s = to_unix_s(last_at)
        seen = profile.at(last_s)
        homes[meter_id] = _Home(
            label=label,
            meter_id=meter_id,
            secret=keys.secret(meter_key(label)),
            profile=profile,
            offset=(int(series.import_wh[-1]) - seen[0], int(series.export_wh[-1]) - seen[1]),
            scanned_s=to_unix_s(since_at),
            told=frozenset(series.taken_s.tolist()),
        )
    return homes


def _profiles(community: Community, meters: Mapping[str, MeterId]) -> dict[str, Profile]:
    """What each home's registers did: by the shipped file, else by what was read so far."""
    chargers = {
        f"{section.charge_point_id}/{connector_id}"
        for section in community.config.chargers
        for connector_id in section.connector_ids()
    }
    homes = {label: meter_id for label, meter_id in meters.items() if label not in chargers}
    recorded = _recorded(demo_file())
    if not homes.keys() <= recorded.keys():
        first_at = community.config.market.first_period_start
        until_at = first_at + timedelta(days=RECORD_DAYS_MAX)
        series = community.readings.series(homes.values(), from_at=first_at, until_at=until_at)
        recorded = {label: _rows(series[meter_id]) for label, meter_id in homes.items()}
    return {label: Profile(recorded[label]) for label in homes if len(recorded[label]) > 1}


def _recorded(file: Path) -> dict[str, list[Row]]:
    with file.open("rb") as source:
        registers = read_registers(source)
    rows: dict[str, list[Row]] = {label: [] for label in registers.labels}
    for each in registers.rows():
        rows[each.label].append((to_unix_s(each.taken_at), each.import_wh, each.export_wh))
    return {label: sorted(own) for label, own in rows.items()}


def _rows(series: Series) -> list[Row]:
    columns = (series.taken_s, series.import_wh, series.export_wh)
    return list(zip(*(column.tolist() for column in columns), strict=True))
