"""What people see: sessions and charge points, from the store, the live tracks and the links."""

from collections.abc import Callable, Sequence
from datetime import datetime

from api.jobs.charging.chargers import Charger, ChargerBook
from charging.desk import (
    ChargePointView,
    ConnectorView,
    SessionFilter,
    SessionState,
    SessionView,
)
from charging.errors import UnknownSession
from charging.guard import Guard
from charging.intake import ChargeIntake
from charging.orders import SessionId
from charging.points import Availability
from charging.sessions import LIVE, ChargeSession
from charging.store import ChargingStore, Connection, PointState
from charging.tariffs import cost_micro_down
from ledger.units import Address, from_unix_s


class Views:
    """Makes views; those of sessions are made in the journal's thread, where the tracks are."""

    def __init__(
        self,
        *,
        book: ChargerBook,
        store: ChargingStore,
        intake: ChargeIntake,
        now: Callable[[], datetime],
        is_connected: Callable[[str], bool],
        interval_s_of: Callable[[str], int],
    ) -> None:
        self._book = book
        self._store = store
        self._intake = intake
        self._now = now
        self._is_connected = is_connected
        self._interval_s_of = interval_s_of

    def session(self, connection: Connection, session_id: SessionId) -> SessionView:
        """One session as it is now; raises UnknownSession."""
        session = self._store.session(connection, session_id)
        if session is None:
            raise UnknownSession(session="0x" + session_id.hex())
        return self._view(connection, session)

    def page(
        self,
        connection: Connection,
        who: Address | None,
        *,
        limit: int,
        before: int | None,
        where: SessionFilter,
    ) -> tuple[Sequence[SessionView], str | None]:
        """A page of sessions, and the cursor of the next one."""
        found = self._store.page(connection, who, limit=limit + 1, before=before, where=where)
        views = [self._view(connection, session) for session in found[:limit]]
        return views, str(found[limit - 1].number) if len(found) > limit else None

    def _view(self, connection: Connection, session: ChargeSession) -> SessionView:
        energy_wh = time_s = idle_s = cost_micro = 0
        power_w = measured_at = started_at = stopped_at = None
        if session.record is not None and session.state is not SessionState.CANCELLED:
            record = session.record
            energy_wh, time_s, idle_s = record.energy_wh, record.time_s, record.idle_s
            started_at = from_unix_s(record.started_at_s)
            measured_at = stopped_at = from_unix_s(record.stopped_at_s)
            cost_micro = cost_micro_down(
                session.order.tariff, energy_wh=energy_wh, time_s=time_s, idle_s=idle_s
            )
        elif (track := self._intake.track(connection, session)) is not None:
            live = track.live(self._now())
            idle_s = live.idle_s_under(session.order.tariff)
            energy_wh, time_s = live.energy_wh, live.duration_s - idle_s
            power_w, measured_at, started_at = live.power_w, live.measured_at, live.started_at
            cost_micro = live.cost_micro_down(session.order.tariff)
        interval_s = self._interval_s_of(session.charge_point_id)
        guard = Guard(tariff=session.order.tariff, power_w=session.power_w, interval_s=interval_s)
        return SessionView(
            session_id=session.session_id,
            state=session.state,
            reason=session.reason or session.stop_reason,
            driver=session.order.driver,
            host=session.host,
            charge_point_id=session.charge_point_id,
            connector_id=session.connector_id,
            charger_id=session.order.charger_id,
            tariff=session.order.tariff,
            vat_bps=session.vat_bps,
            deposit_micro=session.deposit_micro,
            stops_at_micro=max(0, session.deposit_micro - guard.reserve_micro),
            interval_s=interval_s,
            energy_wh=energy_wh,
            power_w=power_w,
            measured_at=measured_at,
            time_s=time_s,
            idle_s=idle_s,
            cost_micro=min(cost_micro, session.deposit_micro),
            paid_micro=session.paid_micro,
            refunded_micro=session.refunded_micro,
            created_at=from_unix_s(session.created_s),
            opened_at=None if session.opened_s is None else from_unix_s(session.opened_s),
            started_at=started_at,
            stopped_at=stopped_at,
            open_tx=session.open_tx,
            close_tx=session.close_tx,
        )

    def charge_points(self) -> list[ChargePointView]:
        """All charge points of the community."""
        points, states, busy = self._store.run(self._states)
        now_at = self._now()
        views = []
        for charge_point_id, section in sorted(self._book.points().items()):
            known = points.get(charge_point_id)
            online = self._is_connected(charge_point_id)
            connectors = tuple(
                self._connector(charger, states, busy, now_at, online=online)
                for charger in self._book.of_point(charge_point_id)
            )
            place = section.place.model_dump()
            views.append(
                ChargePointView(
                    charge_point_id=charge_point_id,
                    place={name: text for name, text in place.items() if text},
                    online=online,
                    last_contact_at=from_unix_s(known.contact_s) if known else None,
                    connectors=connectors,
                )
            )
        return views

    def _states(
        self, connection: Connection
    ) -> tuple[dict[str, PointState], dict[tuple[str, int], Availability], set[bytes]]:
        live = self._store.sessions_in(connection, LIVE)
        availabilities = self._store.places.availabilities(connection)
        return (
            self._store.places.points(connection),
            {key: availability for key, (availability, _) in availabilities.items()},
            {session.order.charger_id for session in live},
        )

    def _connector(
        self,
        charger: Charger,
        states: dict[tuple[str, int], Availability],
        busy: set[bytes],
        now_at: datetime,
        *,
        online: bool,
    ) -> ConnectorView:
        key = (charger.charge_point_id, charger.connector_id)
        known = states.get(key, Availability.AVAILABLE)
        return ConnectorView(
            connector_id=charger.connector_id,
            charger_id=charger.charger_id,
            availability=known if online else Availability.UNAVAILABLE,
            busy=charger.charger_id in busy,
            power_w=charger.section.power_w,
            host=charger.host,
            tariff=charger.tariffs.at(now_at),
            tariff_until=charger.tariffs.until(now_at),
            vat_bps=charger.section.vat_bps,
            deposit_micro_min=charger.section.deposit_micro_min,
            interval_s=self._interval_s_of(charger.charge_point_id),
        )
