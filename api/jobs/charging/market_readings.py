"""A charger's meter is a meter of the market: its register values become signed readings.

The service signs them (class *gateway*), and only values that the charger sent: at start and stop
of a charge, around every boundary of a window, and when an idle charger is asked.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

from api.jobs.charging.chargers import ChargerBook
from api.jobs.community import Community
from api.jobs.create import meter_key
from api.jobs.intake import take_signed
from charging.clocks import SessionClock, Stamp
from charging.journal import Journal
from charging.meter_values import read_sample
from charging.points import PointEvent, TransactionEvent
from charging.registers import EnergyTrack
from charging.sessions import ChargeSession
from charging.store import ChargingStore, Connection
from ledger.errors import LedgerError
from ledger.units import from_unix_s, to_unix_s
from metering.readings import MeterId, Reading, SignedReading
from metering.signing import sign_reading

CURSOR = "charging_values_read"
BATCH = 1_000
Point = tuple[int, int]  # Unix seconds, Wh of the register.


class MarketReadings:
    """Brings the chargers' registers to the market's readings."""

    def __init__(self, community: Community, book: ChargerBook) -> None:
        self._community = community
        self._book = book
        self._meters: dict[str, MeterId] = {}
        self._window = -1

    def bring(self, store: ChargingStore, journal: Journal) -> int:
        """Brings what is new; returns how many readings that were."""
        ended = store.run(store.unmetered)
        points = {session.session_id: self._of_session(store, session) for session in ended}
        signed = [
            each for session in ended for each in self._signed(session, points[session.session_id])
        ]
        outside, cursor = self._outside(store)
        signed += outside
        if signed:
            take_signed(self._community, signed, range(len(signed)), [], 0)
        if outside or cursor is not None:
            self._note(cursor)
        for session in ended:
            journal.submit(partial(_mark, store, session)).result()
        return len(signed)

    def _of_session(self, store: ChargingStore, session: ChargeSession) -> list[Point]:
        record, number = session.record, session.transaction_no
        if record is None or number is None or session.opened_s is None:
            return []
        events = store.run(lambda open_: store.messages.events_of(open_, number))
        now_at = from_unix_s(record.stopped_at_s)
        window_s = self._community.schedule.window_s
        seen = list(_points_at_boundaries(_track_of(session), events, now_at, window_s))
        first, last = (
            (record.started_at_s, record.start_wh),
            (record.stopped_at_s, record.stop_wh),
        )
        return [first, *_around_boundaries(sorted(set(seen)), first, last, window_s), last]

    def _signed(self, session: ChargeSession, points: list[Point]) -> Iterator[SignedReading]:
        label = f"{session.charge_point_id}/{session.connector_id}"
        for taken_s, register_wh in dict(points).items():
            yield self._sign(label, taken_s, register_wh)

    def _sign(self, label: str, taken_s: int, register_wh: int) -> SignedReading:
        reading = Reading(
            meter_id=self._meter(label),
            taken_at=from_unix_s(taken_s),
            import_wh=register_wh,
            export_wh=0,
        )
        key = self._community.keys.secret(meter_key(label))
        return sign_reading(reading, key, self._community.reading_domain)

    def _meter(self, label: str) -> MeterId:
        if label not in self._meters:
            meters = self._community.readings.meters()
            self._meters = {each.label: each.meter_id for each in meters if each.label}
        return self._meters[label]

    def _outside(self, store: ChargingStore) -> tuple[list[SignedReading], int | None]:
        """Register values of chargers that nobody charges at."""
        cursor = int(self._community.settlements.facts().get(CURSOR, "0"))
        found = store.run(lambda open_: store.messages.values_outside(open_, cursor, limit=BATCH))
        signed = [each for _, event in found for each in self._of_event(event)]
        return signed, found[-1][0] if found else None

    def _of_event(self, event: PointEvent) -> Iterator[SignedReading]:
        if not isinstance(event, TransactionEvent) or event.connector_id is None:
            return
        charger = self._book.at(event.charge_point_id, event.connector_id)
        if charger is None:
            return
        for sample in event.samples:
            registers = read_sample(sample).registers
            if not registers:
                continue
            taken_at = (sample.taken_at or event.received_at).replace(microsecond=0)
            with suppress(LedgerError):  # A time that no reading can have.
                yield self._sign(charger.label, to_unix_s(taken_at), registers[0].amount)

    def _note(self, cursor: int | None) -> None:
        if cursor is None:
            return
        settlements = self._community.settlements
        with self._community.engine.begin() as connection:
            settlements.set_facts(connection, [(CURSOR, str(cursor))])


def _mark(store: ChargingStore, session: ChargeSession, connection: Connection) -> None:
    now = store.session(connection, session.session_id)
    if now is not None:
        store.save_session(connection, replace(now, metered=True))


def _track_of(session: ChargeSession) -> EnergyTrack:
    return EnergyTrack(
        last_wh=session.last_wh,
        power_w=session.power_w,
        opened_at=from_unix_s(session.opened_s or 0),
    )


def _points_at_boundaries(
    track: EnergyTrack, events: Sequence[PointEvent], now_at: datetime, window_s: int
) -> Iterator[Point]:
    """The register before and after each event whose values are of another window than the last.

    To look at it after every event would take a time that rises with their square.
    """
    whole = EnergyTrack(last_wh=track.last_wh, power_w=track.power_w, opened_at=track.opened_at)
    for event in events:
        whole.take(event)
    before: int | None = None
    for event in events:
        window = _window_of(event, whole.clock, window_s)
        has_passed = window is not None and window != before
        if has_passed:
            yield from _point_of(track, now_at)
        track.take(event)
        if has_passed:
            yield from _point_of(track, now_at)
            before = window


def _window_of(event: PointEvent, clock: SessionClock, window_s: int) -> int | None:
    """The window of an event's last value; None if it has none."""
    if not isinstance(event, TransactionEvent) or not event.samples:
        return None
    stamps = (
        Stamp(charger_at=sample.taken_at, received_at=event.received_at) for sample in event.samples
    )
    return to_unix_s(max(map(clock.at, stamps)).replace(microsecond=0)) // window_s


def _point_of(track: EnergyTrack, now_at: datetime) -> Iterator[Point]:
    live = track.live(now_at)
    if live.measured_at is not None:
        yield to_unix_s(live.measured_at.replace(microsecond=0)), live.stop_wh


def _around_boundaries(
    seen: list[Point], first: Point, last: Point, window_s: int
) -> Iterator[Point]:
    """Of the values between start and stop those next to a window's boundary, on both sides."""
    before = first
    for point in seen:
        inside = first[0] < point[0] < last[0]
        if not inside or not before[1] <= point[1] <= last[1]:
            continue
        if point[0] // window_s != before[0] // window_s:
            if before != first:
                yield before
            yield point
        before = point
