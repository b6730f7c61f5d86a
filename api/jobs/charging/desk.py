"""The desk: what drivers and hosts ask for, answered from the sessions and owed to the escrow."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from api.errors import BadInput
from api.jobs.charging.bulletin import Bulletin
from api.jobs.charging.chargers import ChargerBook
from api.jobs.charging.escrow_side import EscrowSide
from api.jobs.charging.income import income_of
from api.jobs.charging.placing import OrderDesk, Placed
from api.jobs.charging.receipts import Receipts
from api.jobs.charging.views import Views
from api.jobs.signatures import is_signed_by
from charging.desk import (
    EVERY_SESSION,
    ChargePointView,
    HostIncome,
    Permit,
    SessionFilter,
    SessionState,
    SessionView,
)
from charging.errors import ChargerBusy, FundsMissing, OrderUsed, UnknownSession, WrongState
from charging.journal import Journal
from charging.orders import ChargeOrder, SessionId, TopUp
from charging.sessions import LIVE, RUNNING, STOP_ASKED, ChargeSession
from charging.store import ChargingStore, Connection
from ledger.errors import BadSignature
from ledger.units import Address, to_unix_s

_CURSOR: Final = re.compile(r"\d{1,9}", re.ASCII)  # A session's number.


class Desk:
    """`ChargingDesk` over the real store and the real chain."""

    def __init__(
        self,
        *,
        book: ChargerBook,
        store: ChargingStore,
        journal: Journal,
        orders: OrderDesk,
        escrow_side: EscrowSide,
        views: Views,
        receipts: Receipts,
        bulletin: Bulletin,
        now: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        """`wake` tells the chain's side that something is owed."""
        self._book = book
        self._store = store
        self._journal = journal
        self._orders = orders
        self._escrow = escrow_side
        self._views = views
        self._receipts = receipts
        self._bulletin = bulletin
        self._now = now
        self._wake = wake

    # Charge points.

    async def charge_points(self) -> Sequence[ChargePointView]:
        """All charge points, in order of their ids."""
        return await asyncio.to_thread(self._views.charge_points)

    async def charge_point(self, charge_point_id: str) -> ChargePointView:
        """One charge point; raises ChargerUnknown."""
        self._book.of_point(charge_point_id)
        views = await asyncio.to_thread(self._views.charge_points)
        return next(view for view in views if view.charge_point_id == charge_point_id)

    # Orders.

    async def place(
        self, order: ChargeOrder, signature: bytes, permit: Permit | None
    ) -> tuple[SessionView, bool]:
        """Takes a signed order; the same one again is the same session."""
        session_id = order.session_id(self._orders.separator)
        known = await asyncio.to_thread(self._find, session_id)
        if known is not None:
            await asyncio.to_thread(self._orders.require_signed, order, signature)
            return await self.view(session_id), False
        placed = await asyncio.to_thread(self._orders.check, order, signature, permit)
        session = self._new_session(placed, order, signature)
        is_new = await self._journal.write(lambda open_: self._put(open_, session, permit))
        self._wake()
        return await self.view(session_id), is_new

    def _new_session(self, placed: Placed, order: ChargeOrder, signature: bytes) -> ChargeSession:
        charger, registered = placed.charger, placed.registered
        return ChargeSession(
            session_id=placed.session_id,
            number=0,
            order=order,
            order_signature=signature,
            charge_point_id=charger.charge_point_id,
            connector_id=charger.connector_id,
            host=registered.host,
            record_key=registered.record_key,
            power_w=registered.power_w,
            last_wh=registered.last_wh,
            vat_bps=charger.section.vat_bps,
            state=SessionState.OPENING,
            created_s=to_unix_s(self._now()),
            deposit_micro=order.deposit_micro,
        )

    def _put(self, connection: Connection, session: ChargeSession, permit: Permit | None) -> bool:
        if self._store.session(connection, session.session_id) is not None:
            return False
        others = self._store.sessions_at(connection, session.charge_point_id, LIVE)
        for other in others:
            if other.connector_id == session.connector_id:
                raise ChargerBusy(charger=f"{session.charge_point_id}/{session.connector_id}")
        for other in self._store.sessions_in(connection, RUNNING):
            if other.order.driver != session.order.driver:
                continue
            if other.order.nonce == session.order.nonce:
                raise OrderUsed(nonce=session.order.nonce)
            if other.state is SessionState.OPENING and permit is not None:
                # Both permits would have the token's same nonce.
                raise FundsMissing(
                    needed_micro=session.deposit_micro,
                    available_micro=0,
                    rule="another deposit of this wallet is on its way: try again in a moment",
                )
        stored = self._store.add_session(connection, session)
        self._escrow.owe_open(connection, stored, permit)
        return True

    # Sessions.

    async def view(self, session_id: SessionId) -> SessionView:
        """A session as it is now; raises UnknownSession."""
        session = await asyncio.to_thread(self._find, session_id)
        if session is None:
            raise UnknownSession(session="0x" + session_id.hex())
        return await self._journal.write(lambda open_: self._views.session(open_, session_id))

    def _find(self, session_id: SessionId) -> ChargeSession | None:
        return self._store.run(lambda connection: self._store.session(connection, session_id))

    async def sessions_of(
        self,
        who: Address | None,
        *,
        limit: int,
        before: str | None,
        where: SessionFilter = EVERY_SESSION,
    ) -> tuple[Sequence[SessionView], str | None]:
        """Sessions that somebody drives or hosts, newest first, and where the next page begins."""
        if before is not None and not _CURSOR.fullmatch(before):
            raise BadInput(field="cursor", rule="one that a list gave")
        from_no = None if before is None else int(before)
        return await self._journal.write(
            lambda open_: self._views.page(open_, who, limit=limit, before=from_no, where=where)
        )

    async def income_of(self, host: Address, where: SessionFilter = EVERY_SESSION) -> HostIncome:
        """What somebody's chargers took in, of the sessions looked for that were paid."""
        return await asyncio.to_thread(
            income_of,
            host,
            replace(where, paid=True),
            book=self._book,
            store=self._store,
            reader=self._orders.reader,
        )

    async def stop(self, session_id: SessionId) -> SessionView:
        """Ends a charge, or an order whose charge has not begun."""
        session = await self._journal.write(lambda open_: self._ask_stop(open_, session_id))
        self._bulletin.tell(session)
        self._wake()
        return await self.view(session_id)

    def _ask_stop(self, connection: Connection, session_id: SessionId) -> ChargeSession:
        session = self._store.session(connection, session_id)
        if session is None:
            raise UnknownSession(session="0x" + session_id.hex())
        if session.state not in RUNNING or session.stop_reason == STOP_ASKED:
            return session  # It is over, or on its way: asking twice is no error.
        asked = replace(session, stop_asked_s=to_unix_s(self._now()), stop_reason=STOP_ASKED)
        self._store.save_session(connection, asked)
        return asked

    async def top_up(self, top_up: TopUp, signature: bytes, permit: Permit | None) -> SessionView:
        """Adds to the deposit of a session that is open."""
        session = await asyncio.to_thread(self._find, top_up.session_id)
        if session is None:
            raise UnknownSession(session="0x" + top_up.session_id.hex())
        await asyncio.to_thread(self._check_top_up, session, top_up, signature, permit)
        await self._journal.write(lambda open_: self._put_top_up(open_, top_up, signature, permit))
        self._wake()
        return await self.view(top_up.session_id)

    def _check_top_up(
        self, session: ChargeSession, top_up: TopUp, signature: bytes, permit: Permit | None
    ) -> None:
        driver = session.order.driver
        digest = top_up.digest(self._orders.separator)
        if not is_signed_by(self._orders.chain, driver, digest, signature):
            raise BadSignature(rule="the top-up is not signed by the session's driver")
        if self._store.run(lambda open_: self._store.has_top_up(open_, top_up)):
            return
        if self._orders.reader.is_nonce_used(driver, top_up.nonce):
            raise OrderUsed(nonce=top_up.nonce)
        self._orders.require_funds(driver, top_up.add_micro, permit)

    def _put_top_up(
        self, connection: Connection, top_up: TopUp, signature: bytes, permit: Permit | None
    ) -> None:
        session = self._store.session(connection, top_up.session_id)
        if session is None:
            raise UnknownSession(session="0x" + top_up.session_id.hex())
        if self._store.has_top_up(connection, top_up):
            return
        rule = ""
        if session.state not in (SessionState.OPEN, SessionState.CHARGING) or session.stop_asked_s:
            rule = "only an open session that has not stopped takes more"
        elif self._escrow.is_topping_up(connection, session):
            rule = "another top-up is on its way: try again in a moment"
        if rule:
            name, state = "0x" + top_up.session_id.hex(), session.state.value
            raise WrongState(session=name, state=state, rule=rule)
        if self._store.add_top_up(connection, top_up, signature):
            self._escrow.owe_top_up(connection, session, top_up, signature, permit)

    async def receipt(self, session_id: SessionId) -> Mapping[str, object]:
        """The receipt file of a session that was closed."""
        session = await asyncio.to_thread(self._find, session_id)
        if session is None:
            raise UnknownSession(session="0x" + session_id.hex())
        return await asyncio.to_thread(self._receipts.of, session)

    async def follow(self, session_id: SessionId) -> AsyncIterator[SessionView]:
        """The session now and whenever it changes, until it has ended."""
        async with self._bulletin.subscribe(session_id) as news:
            view = await self.view(session_id)
            yield view
            while view.state in LIVE:
                await news.wait()
                news.clear()
                later = await self.view(session_id)
                if later != view:
                    yield later
                view = later
