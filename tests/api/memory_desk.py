"""A charging desk that keeps its sessions in memory: it checks orders and moves states for real."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from api.errors import BadInput
from charging.desk import (
    ENDED,
    EVERY_SESSION,
    ChargePointView,
    ChargerIncome,
    ConnectorView,
    HostIncome,
    Permit,
    SessionFilter,
    SessionState,
    SessionView,
)
from charging.errors import (
    ChargerBusy,
    ChargerUnknown,
    DepositTooSmall,
    FundsMissing,
    OrderExpired,
    OrderUsed,
    TariffChanged,
    UnknownSession,
    WrongState,
)
from charging.guard import Guard
from charging.orders import ChargeOrder, ChargerId, SessionId, TopUp, charger_id_of
from charging.points import Availability
from charging.tariffs import ChargeTariff, cost_micro_down, split
from ledger.errors import BadSignature
from ledger.keccak import recover
from ledger.units import Address, Hash32, from_unix_s, to_unix_s

TARIFF = ChargeTariff(
    energy_per_kwh=390_000, start_fee=500_000, time_per_hour=0, idle_per_hour=2_400_000
)
DEPOSIT_MICRO_MIN = 1_000_000
INTERVAL_S = 10
POWER_W = 11_000
VAT_BPS = 1_900
GUARD = Guard(tariff=TARIFF, power_w=POWER_W, interval_s=INTERVAL_S)
LATEST_S = 2**37  # Beyond what a calendar can show.


@dataclass(kw_only=True)
class MemoryDesk:
    """Keeps `charging.desk.ChargingDesk`."""

    separator: bytes
    now: Callable[[], datetime]
    hosts: Mapping[str, Address]  # Charge points, two connectors each.
    funds_micro: dict[Address, int] = field(default_factory=dict)  # Of drivers that lack them.
    claimable_micro: dict[Address, int] = field(default_factory=dict)  # Could not be pushed.
    orders: dict[SessionId, tuple[ChargeOrder, bytes]] = field(default_factory=dict)
    views: dict[SessionId, SessionView] = field(default_factory=dict)
    used: set[tuple[Address, int]] = field(default_factory=set)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def charge_points(self) -> Sequence[ChargePointView]:
        return [await self.charge_point(name) for name in self.hosts]

    async def charge_point(self, charge_point_id: str) -> ChargePointView:
        if charge_point_id not in self.hosts:
            raise ChargerUnknown(charger=charge_point_id)
        return ChargePointView(
            charge_point_id=charge_point_id,
            place={"name": f"Street of {charge_point_id}", "latitude": "47.66"},
            online=True,
            last_contact_at=self.now(),
            connectors=tuple(self._connector(charge_point_id, each) for each in (1, 2)),
        )

    def _connector(self, name: str, number: int) -> ConnectorView:
        charger_id = charger_id_of(name, number)
        return ConnectorView(
            connector_id=number,
            charger_id=charger_id,
            availability=Availability.AVAILABLE,
            busy=self._busy(charger_id),
            power_w=POWER_W,
            host=self.hosts[name],
            tariff=TARIFF,
            tariff_until=None,
            vat_bps=VAT_BPS,
            deposit_micro_min=DEPOSIT_MICRO_MIN,
            interval_s=INTERVAL_S,
        )

    def _busy(self, charger_id: ChargerId) -> bool:
        return any(
            view.charger_id == charger_id and view.state not in ENDED
            for view in self.views.values()
        )

    async def place(
        self, order: ChargeOrder, signature: bytes, permit: Permit | None
    ) -> tuple[SessionView, bool]:
        session_id = order.session_id(self.separator)
        if recover(session_id, signature) != order.driver:
            raise BadSignature(rule="not signed by the driver")
        if session_id in self.views:
            return self.views[session_id], False
        name, number = self._where(order.charger_id)
        self._require_good(order)
        view = self._opening(order, session_id, name, number)
        self.used.add((order.driver, order.nonce))
        self.orders[session_id] = order, signature
        await self.put(view)
        return view, True

    def _where(self, charger_id: ChargerId) -> tuple[str, int]:
        for name in self.hosts:
            for number in (1, 2):
                if charger_id_of(name, number) == charger_id:
                    return name, number
        raise ChargerUnknown(charger="0x" + charger_id.hex())

    def _require_good(self, order: ChargeOrder) -> None:
        now_at = self.now()
        if order.valid_until_s < to_unix_s(now_at):
            until_at = from_unix_s(order.valid_until_s)
            raise OrderExpired(valid_until=until_at, now_at=now_at)
        if (order.driver, order.nonce) in self.used:
            raise OrderUsed(nonce=order.nonce)
        for name in ("energy_per_kwh", "start_fee", "time_per_hour", "idle_per_hour"):
            stated, current = getattr(order.tariff, name), getattr(TARIFF, name)
            if stated != current:
                raise TariffChanged(field=name, stated=stated, current=current)
        if order.deposit_micro < DEPOSIT_MICRO_MIN:
            raise DepositTooSmall(
                deposit_micro=order.deposit_micro, deposit_micro_min=DEPOSIT_MICRO_MIN
            )
        if self._busy(order.charger_id):
            raise ChargerBusy(charger="0x" + order.charger_id.hex())
        funds_micro = self.funds_micro.get(order.driver, order.deposit_micro)
        if funds_micro < order.deposit_micro:
            raise FundsMissing(
                needed_micro=order.deposit_micro, available_micro=funds_micro, rule="balance"
            )

    def _opening(
        self, order: ChargeOrder, session_id: SessionId, name: str, number: int
    ) -> SessionView:
        return SessionView(
            session_id=session_id,
            state=SessionState.OPENING,
            reason="",
            driver=order.driver,
            host=self.hosts[name],
            charge_point_id=name,
            connector_id=number,
            charger_id=order.charger_id,
            tariff=order.tariff,
            vat_bps=VAT_BPS,
            deposit_micro=order.deposit_micro,
            stops_at_micro=max(0, order.deposit_micro - GUARD.reserve_micro),
            interval_s=INTERVAL_S,
            energy_wh=0,
            power_w=None,
            measured_at=None,
            time_s=0,
            idle_s=0,
            cost_micro=0,
            paid_micro=None,
            refunded_micro=None,
            created_at=self.now(),
            opened_at=None,
            started_at=None,
            stopped_at=None,
            open_tx=None,
            close_tx=None,
        )

    async def view(self, session_id: SessionId) -> SessionView:
        if session_id not in self.views:
            raise UnknownSession(session="0x" + session_id.hex())
        return self.views[session_id]

    async def sessions_of(
        self,
        who: Address | None,
        *,
        limit: int,
        before: str | None,
        where: SessionFilter = EVERY_SESSION,
    ) -> tuple[Sequence[SessionView], str | None]:
        mine = [
            view
            for view in self.views.values()
            if who in {None, view.driver, view.host} and _fits(view, where)
        ]
        mine.reverse()
        if before is not None and not before.isdecimal():
            raise BadInput(field="cursor", rule="is not one that a page gave")
        start = 0 if before is None else int(before)
        following = str(start + limit) if start + limit < len(mine) else None
        return mine[start : start + limit], following

    async def income_of(self, host: Address, where: SessionFilter = EVERY_SESSION) -> HostIncome:
        where = replace(where, paid=True)
        mine = [view for view in self.views.values() if view.host == host and _fits(view, where)]
        return HostIncome(
            chargers=tuple(
                ChargerIncome(
                    charge_point_id=name,
                    connector_id=number,
                    sessions=len(paid),
                    energy_wh=sum(view.energy_wh for view in paid),
                    paid_micro=sum(view.paid_micro or 0 for view in paid),
                    credit_micro=0,
                )
                for name in sorted(name for name, its in self.hosts.items() if its == host)
                for number in (1, 2)
                for paid in [[view for view in mine if self._is_at(view, name, number)]]
            ),
            claimable_micro=self.claimable_micro.get(host, 0),
        )

    @staticmethod
    def _is_at(view: SessionView, name: str, number: int) -> bool:
        return (view.charge_point_id, view.connector_id) == (name, number)

    async def stop(self, session_id: SessionId) -> SessionView:
        view = await self.view(session_id)
        if view.state in ENDED:
            raise WrongState(session="0x" + session_id.hex(), state=view.state, rule="has ended")
        return await self.put(replace(view, state=SessionState.STOPPING))

    async def top_up(self, top_up: TopUp, signature: bytes, permit: Permit | None) -> SessionView:
        view = await self.view(top_up.session_id)
        if recover(top_up.digest(self.separator), signature) != view.driver:
            raise BadSignature(rule="not signed by the driver")
        if view.state in ENDED:
            raise WrongState(
                session="0x" + view.session_id.hex(), state=view.state, rule="has ended"
            )
        return await self.put(replace(view, deposit_micro=view.deposit_micro + top_up.add_micro))

    async def receipt(self, session_id: SessionId) -> Mapping[str, object]:
        view = await self.view(session_id)
        if view.state not in ENDED:
            raise WrongState(
                session="0x" + session_id.hex(), state=view.state, rule="has not ended"
            )
        order, signature = self.orders[session_id]
        return {
            "format": "wattledger.receipt/1",
            "chain_id": 1337,
            "escrow": "0x" + "e5" * 20,
            "session_id": "0x" + session_id.hex(),
            "order": {"driver": "0x" + order.driver.hex(), "nonce": str(order.nonce)},
            "order_signature": "0x" + signature.hex(),
            "record": {
                "startWh": "120000",
                "stopWh": str(120_000 + view.energy_wh),
                "evidenceHash": "0x" + "00" * 32,
            },
            "record_signature": "0x" + "ab" * 65,
            "record_signer": "host",
            "evidence": {
                "kind": "ocmf",
                "hash": "0x" + "ee" * 32,
                "data": "OCMF|{}|{}",
                "verified": True,
                "signer": "04" + "ab" * 64,
                "notes": ["signed_differs: 3 Wh"],
                "not_billed_wh": 3,
            },
            "currency": "EUR",
            "energy_wh": view.energy_wh,
            "deposit_micro": str(view.deposit_micro),
            "paid_micro": str(view.paid_micro),
            "refunded_micro": str(view.refunded_micro),
            "sun_wh": None,
            "vat_bps": view.vat_bps,
            "transactions": {
                "open": "0x" + (view.open_tx or b"").hex(),
                "close": "0x" + (view.close_tx or b"").hex(),
            },
        }

    async def follow(self, session_id: SessionId) -> AsyncIterator[SessionView]:
        said: SessionView | None = None
        while said is None or said.state not in ENDED:
            async with self.changed:
                while (view := await self.view(session_id)) == said:
                    await self.changed.wait()
            yield view
            said = view

    # What the charger and the chain would do.

    async def put(self, view: SessionView) -> SessionView:
        self.views[view.session_id] = view
        async with self.changed:
            self.changed.notify_all()
        return view

    async def change(self, session_id: SessionId, **facts: Any) -> SessionView:
        return await self.put(replace(self.views[session_id], **facts))

    async def charge(self, session_id: SessionId, energy_wh: int) -> SessionView:
        view = self.views[session_id]
        cost = cost_micro_down(view.tariff, energy_wh=energy_wh, time_s=3_600, idle_s=0)
        return await self.change(
            session_id,
            state=SessionState.CHARGING,
            opened_at=view.created_at,
            started_at=view.created_at + timedelta(seconds=30),
            measured_at=view.created_at + timedelta(hours=1),
            open_tx=Hash32(b"\x0a" * 32),
            energy_wh=energy_wh,
            power_w=11_000,
            time_s=3_600,
            cost_micro=min(cost, view.deposit_micro),
        )

    async def close(self, session_id: SessionId) -> SessionView:
        view = self.views[session_id]
        money = split(view.deposit_micro, view.cost_micro)
        return await self.change(
            session_id,
            state=SessionState.CLOSED,
            stopped_at=view.measured_at,
            close_tx=Hash32(b"\x0c" * 32),
            power_w=None,
            paid_micro=money.paid_micro,
            refunded_micro=money.refunded_micro,
        )


def _fits(view: SessionView, where: SessionFilter) -> bool:
    """Whether a session is looked for."""
    return (
        where.charge_point_id in {None, view.charge_point_id}
        and not (where.live and view.state in ENDED)
        and not (where.paid and view.state is not SessionState.CLOSED)
        and (where.created_from_s or 0) <= to_unix_s(view.created_at)
        and to_unix_s(view.created_at) < (where.created_until_s or 2**40)
    )
