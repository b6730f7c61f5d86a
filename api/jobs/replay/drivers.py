"""Drivers of a demo: they come when the real ones came, put a deposit down, and charge."""

import asyncio
import logging
import secrets
from datetime import timedelta
from typing import Final

from api.jobs.charging.chargers import ChargerBook
from api.jobs.community import Community
from api.jobs.demo_charging import deposit_micro
from api.jobs.replay.garage import Car, Garage
from api.jobs.replay.point_clock import PointClock
from api.jobs.replay.purse import Purse
from api.jobs.replay.stays import Stay, Stays
from api.keys import demo_secret
from api.loops import Loop, LoopState
from charging.desk import ChargingDesk, Permit
from charging.orders import ChargeOrder, charger_id_of
from ledger.chain.settlement_token import TokenReader
from ledger.chain.wallet import Wallet
from ledger.errors import LedgerError
from ledger.keccak import domain_separator
from ledger.units import from_unix_s, to_unix_s

VALID_S: Final = 600  # Real seconds.
LOOKS_EVERY_S: Final = 5.0  # Real seconds.
NONCE_BITS: Final = 256
CONNECTOR: Final = 1  # A demo's charge points have one each.
log = logging.getLogger(__name__)


class Drivers:
    """Those whose charge point is one of this demo's."""

    def __init__(
        self, community: Community, desk: ChargingDesk, garage: Garage, purse: Purse, stays: Stays
    ) -> None:
        self._community = community
        self._desk = desk
        self._garage = garage
        self._purse = purse
        self._stays = stays
        self._clock = community.chain_clock
        self._book = ChargerBook(community)
        self._loop = Loop("drivers")
        self._visits: set[asyncio.Task[None]] = set()

    def state(self) -> LoopState:
        """How this loop is."""
        return self._loop.state()

    async def run(self) -> None:
        """Lives for ever."""
        here = self._book.points().keys()
        try:
            for stay in self._stays.after(to_unix_s(self._clock.now())):
                await self._wait_for(stay)  # Also where none of the garage's points are here.
                if stay.charge_point_id in here:
                    visit = asyncio.create_task(self._visit(stay))
                    self._visits.add(visit)
                    visit.add_done_callback(self._visits.discard)
        finally:
            for visit in self._visits:
                visit.cancel()

    async def _wait_for(self, stay: Stay) -> None:
        plugin_at = from_unix_s(stay.plugin_s)
        while (left := plugin_at - self._clock.now()) > timedelta(0):
            self._loop.passed(self._loop.problem)
            await asyncio.sleep(min(left.total_seconds() / self._clock.speed, LOOKS_EVERY_S))

    async def _visit(self, stay: Stay) -> None:
        if not self._garage.is_free(stay.charge_point_id):
            return  # Somebody else is there.
        try:
            await self._charge(stay)
        except LedgerError as error:
            log.info("drivers: %s at %s: %s", stay.user, stay.charge_point_id, error)
            self._loop.passed(error.code)
        else:
            self._loop.passed()

    async def _charge(self, stay: Stay) -> None:
        wallet = Wallet(demo_secret(stay.user))
        amount_micro = deposit_micro(stay.energy_wh)
        await asyncio.to_thread(self._purse.fill, wallet.address, amount_micro)
        now_at = self._clock.now()
        charger = self._book.require(charger_id_of(stay.charge_point_id, CONNECTOR))
        order = ChargeOrder(
            driver=wallet.address,
            charger_id=charger.charger_id,
            deposit_micro=amount_micro,
            tariff=charger.tariffs.at(now_at),
            valid_until_s=to_unix_s(now_at) + VALID_S * self._clock.speed,
            nonce=secrets.randbits(NONCE_BITS),
        )
        community = self._community
        separator = domain_separator(community.config.chain.chain_id, community.contracts.escrow)
        session_id = order.session_id(separator)
        permit = await asyncio.to_thread(self._permit, wallet, amount_micro)
        leaves_at = from_unix_s(stay.plugout_s)
        self._garage.expect(
            stay.charge_point_id,
            CONNECTOR,
            Car(battery_wh=stay.energy_wh, leaves_at=leaves_at, lingers=timedelta(days=1)),
        )
        try:
            await self._desk.place(order, wallet.sign_digest(session_id), permit)
            await PointClock(self._clock).sleep_until(leaves_at)
        finally:
            self._garage.forget(stay.charge_point_id, CONNECTOR)

    def _permit(self, wallet: Wallet, amount_micro: int) -> Permit:
        community = self._community
        token = TokenReader(community.chain, community.contracts.token)
        deadline_s = to_unix_s(self._clock.now()) + VALID_S * self._clock.speed
        digest = token.next_permit_digest(
            wallet.address,
            community.contracts.escrow,
            amount_micro=amount_micro,
            deadline_s=deadline_s,
        )
        return Permit(deadline_s=deadline_s, signature=wallet.sign_digest(digest))
