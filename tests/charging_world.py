"""A community with chargers on a real embedded chain, its charging runtime, drivers with wallets.

Nothing is simulated but the passing of time and what the charger says.
"""

import asyncio
import atexit
import itertools
import pickle
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from api.config import config_of
from api.datadir import DataDir
from api.jobs.audit import audit
from api.jobs.charging.runtime import Runtime
from api.jobs.community import Community, open_parts, stored_config
from api.jobs.create import create_community
from api.jobs.evidence import evidence_of
from charging.desk import ENDED, Permit, SessionState, SessionView
from charging.orders import ChargeOrder, SessionId, TopUp, charger_id_of
from charging.points import (
    Answer,
    MeterSample,
    Reply,
    SampledValue,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from charging.sessions import ChargeSession
from charging.tariffs import ChargeTariff
from ledger.chain import settlement_token
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.errors import ChainUnavailable
from ledger.chain.escrow import EscrowReader
from ledger.chain.protocol import Fees
from ledger.chain.wallet import Wallet
from ledger.units import Address, from_unix_s, to_unix_s
from tests.api.community_worlds import DEPOSIT_MICRO, HOUR_S, START_S, quiet
from tests.chain.tally import FlakyChain

T = TypeVar("T")
POINT = "CP1"
TARIFF: dict[str, Any] = {"energy_per_kwh": 390_000, "start_fee": 350_000}
WALLET_MICRO = 200_000_000
DEPOSIT = 20_000_000
REGISTER_WH = 910_000


def charging_document(**sections: Any) -> dict[str, Any]:
    """A host whose charge point has two connectors, and nothing else in the market."""
    return {
        "chain": {"clock": "data"},
        "market": {
            "first_period_start": from_unix_s(START_S),
            "window_s": HOUR_S,
            "period_windows": 24,
        },
        "supplier": {"name": "Supplier", "deposit_micro": DEPOSIT_MICRO},
        "accounts": [{"name": "Host", "deposit_micro": DEPOSIT_MICRO}],
        "chargers": [
            {
                "id": POINT,
                "host": 2,
                "connectors": 2,
                "power_w": 11_000,
                "register_wh": REGISTER_WH,
                "interval_s": 60,
                "tariff": TARIFF,
                "vat_bps": 1_900,
            }
        ],
        **sections,
    }


class Clock:
    """The community's time, moved by the test."""

    def __init__(self, now_at: datetime) -> None:
        self.now_at = now_at

    def __call__(self) -> datetime:
        return self.now_at

    def pass_s(self, seconds: int) -> None:
        """Lets time pass."""
        self.now_at += timedelta(seconds=seconds)


@dataclass
class ScriptedLink:
    """A charger's side of commands: it answers as the test says, and remembers what was asked."""

    answer: Answer = Answer.ACCEPTED
    online: bool = True
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def is_connected(self, charge_point_id: str) -> bool:
        return self.online

    async def start(
        self,
        charge_point_id: str,
        connector_id: int,
        *,
        id_token: str,
        remote_start_id: int,
        limit_w: int | None = None,
    ) -> Answer:
        self.asked.append(("start", charge_point_id, connector_id, id_token, remote_start_id))
        return self.answer if self.online else Answer.OFFLINE

    async def stop(self, charge_point_id: str, transaction_id: str) -> Answer:
        self.asked.append(("stop", charge_point_id, transaction_id))
        return self.answer if self.online else Answer.OFFLINE

    async def limit(self, *_: Any, limit_w: int) -> Answer:
        self.asked.append(("limit", limit_w))
        return self.answer

    async def ask_meter(self, charge_point_id: str, connector_id: int) -> Answer:
        return self.answer

    async def ask_status(self, charge_point_id: str, connector_id: int) -> Answer:
        return self.answer

    async def unlock(self, charge_point_id: str, connector_id: int) -> Answer:
        return self.answer

    async def reset(self, charge_point_id: str, *, hard: bool = False) -> Answer:
        return self.answer

    async def set_available(
        self, charge_point_id: str, connector_id: int, *, available: bool
    ) -> Answer:
        return self.answer


class ChargingWorld:
    """One community, its runtime, a charger's voice, and drivers."""

    def __init__(self, community: Community, clock: Clock, *, by_ocpp: bool = False) -> None:
        """`by_ocpp` leaves the chargers to OCPP connections, in place of the test's own words."""
        self.community = community
        self.clock = clock
        self.link = ScriptedLink()
        assert isinstance(community.chain, TroubledChain)
        self.chain = community.chain
        self.runtime = Runtime(community, now=clock, link=None if by_ocpp else self.link)
        self._numbers = itertools.count(1)
        self._nonces = itertools.count(1)

    # Drivers.

    async def driver(self, seed: int = 7) -> Wallet:
        """A wallet with tokens."""
        wallet = Wallet((10_000 + seed).to_bytes(32))
        community = self.community
        data = settlement_token.mint(wallet.address, WALLET_MICRO)
        intent = community.intent(
            f"mint:driver:{seed}", data, to=community.contracts.token, role="owner"
        )
        await asyncio.to_thread(community.execute, [intent])
        return wallet

    def order(self, driver: Wallet, **changes: Any) -> ChargeOrder:
        """An order for the first connector."""
        values: dict[str, Any] = {
            "driver": driver.address,
            "charger_id": charger_id_of(POINT, 1),
            "deposit_micro": DEPOSIT,
            "tariff": ChargeTariff(**TARIFF),
            "valid_until_s": to_unix_s(self.clock()) + 600,
            "nonce": next(self._nonces),
        }
        return ChargeOrder(**(values | changes))

    def sign(self, driver: Wallet, order: ChargeOrder) -> bytes:
        """The driver's signature of an order."""
        return driver.sign_digest(order.session_id(self.runtime.escrow_side.separator))

    def permit(self, driver: Wallet, amount_micro: int) -> Permit:
        """A permit of the driver for the escrow."""
        community = self.community
        token = settlement_token.TokenReader(community.chain, community.contracts.token)
        deadline_s = to_unix_s(self.clock()) + 3_600
        digest = settlement_token.permit_digest(
            token.domain_separator(),
            owner=driver.address,
            spender=community.contracts.escrow,
            amount_micro=amount_micro,
            nonce=token.permit_nonce_of(driver.address),
            deadline_s=deadline_s,
        )
        return Permit(deadline_s=deadline_s, signature=driver.sign_digest(digest))

    async def place(self, driver: Wallet, **changes: Any) -> SessionView:
        """Signs an order with a permit, and brings it to the desk."""
        order = self.order(driver, **changes)
        permit = self.permit(driver, order.deposit_micro)
        view, _ = await self.runtime.desk.place(order, self.sign(driver, order), permit)
        return view

    async def top_up(self, driver: Wallet, session_id: SessionId, add_micro: int) -> SessionView:
        """Signs a top-up with a permit, and brings it to the desk."""
        top_up = TopUp(session_id=session_id, add_micro=add_micro, nonce=next(self._nonces))
        signature = driver.sign_digest(top_up.digest(self.runtime.escrow_side.separator))
        permit = self.permit(driver, add_micro)
        return await self.runtime.desk.top_up(top_up, signature, permit)

    def held_micro(self, address: Address) -> int:
        """Tokens in a wallet."""
        token = settlement_token.TokenReader(self.community.chain, self.community.contracts.token)
        return token.balance_micro_of(address)

    # The charger's voice.

    def _said(self) -> dict[str, Any]:
        number = next(self._numbers)
        return {
            "charge_point_id": POINT,
            "message_id": f"m{number}",
            "received_at": self.clock(),
            "at": self.clock(),
        }

    def sample(self, register_wh: int, *, context: str = "Sample.Periodic") -> MeterSample:
        """A register value as of now."""
        value = SampledValue(text=str(register_wh), unit="Wh", context=context)
        return MeterSample(taken_at=self.clock(), values=(value,))

    async def starts(
        self, view: SessionView, register_wh: int = REGISTER_WH, **changes: Any
    ) -> Reply:
        """The charger says that the charge began, as OCPP 1.6 does."""
        session = await self.session(view)
        event = {
            **self._said(),
            "transaction_id": "",
            "connector_id": 1,
            "id_token": session.id_token.lower(),
            "meter_start_text": str(register_wh),
        }
        return await self.runtime.sink.take(TransactionStarted(**(event | changes)))

    async def measures(self, transaction_id: str, register_wh: int, **changes: Any) -> Reply:
        """The charger sends a meter value."""
        event = {
            **self._said(),
            "transaction_id": transaction_id,
            "connector_id": 1,
            "samples": (self.sample(register_wh),),
        }
        return await self.runtime.sink.take(TransactionUpdated(**(event | changes)))

    async def stops(self, transaction_id: str, register_wh: int, **changes: Any) -> Reply:
        """The charger says that the charge is over."""
        event = {
            **self._said(),
            "transaction_id": transaction_id,
            "connector_id": None,
            "meter_stop_text": str(register_wh),
            "reason": "EVDisconnected",
        }
        return await self.runtime.sink.take(TransactionEnded(**(event | changes)))

    async def session(self, view: SessionView) -> ChargeSession:
        """All that the service knows of a session."""
        found = await asyncio.to_thread(self.runtime.desk._find, view.session_id)
        assert found is not None
        return found

    # Waiting.

    async def until(self, session_id: SessionId, *states: SessionState) -> SessionView:
        """Waits until a session is in one of these states."""
        async with asyncio.timeout(30):
            while True:
                view = await self.runtime.desk.view(session_id)
                if view.state in states:
                    return view
                if view.state in ENDED:
                    raise AssertionError(f"{view.state}: {view.reason}")
                await asyncio.sleep(0.02)

    async def settled(self, session_id: SessionId) -> SessionView:
        """Waits until a session has ended, whichever way."""
        return await self.until(session_id, *ENDED)

    async def asked_to_stop(self, transaction_id: str) -> None:
        """Waits until the charger has been asked to stop a charge."""
        async with asyncio.timeout(10):
            while ("stop", POINT, transaction_id) not in self.link.asked:
                await asyncio.sleep(0.01)

    async def rounds(self, count: int = 2) -> None:
        """Lets the service look at its sessions and at the chain so many times."""
        for _ in range(count):
            await self.runtime._attendant.round()
            await asyncio.to_thread(self.runtime.step_chain)

    async def opened(self, driver: Wallet, **changes: Any) -> SessionView:
        """A session whose deposit is there, some seconds ago."""
        view = await self.place(driver, **changes)
        view = await self.until(view.session_id, SessionState.OPEN)
        self.clock.pass_s(5)
        return view

    async def begun(self, driver: Wallet, **changes: Any) -> tuple[SessionView, str]:
        """A session whose charge has begun, and its transaction's id."""
        view = await self.opened(driver, **changes)
        reply = await self.starts(view)
        assert reply.accepted
        return view, reply.transaction_id

    # The chain.

    async def act(self, role: str, data: bytes, *, to: Address | None = None) -> None:
        """One of the community's keys sends something to the escrow, past the runtime."""
        community = self.community
        key = f"test:{next(self._numbers)}"
        intent = community.intent(key, data, to=to or community.contracts.escrow, role=role)
        await asyncio.to_thread(community.execute, [intent])

    async def send(self, wallet: Wallet, to: Address, data: bytes) -> None:
        """Somebody's own transaction."""
        chain = self.chain.inner
        signed = wallet.sign_transaction(
            chain_id=chain.chain_id,
            nonce=chain.nonce(wallet.address),
            to=to,
            data=data,
            gas=300_000,
            fees=Fees(max_fee_wei=0, priority_fee_wei=0),
        )
        receipt = chain.receipt(await asyncio.to_thread(chain.send_raw, signed.raw))
        assert receipt is not None
        assert receipt.succeeded

    def audited(self) -> list[str]:
        """What an audit of everything finds wrong."""
        evidence = evidence_of(self.community)
        report = audit(self.chain.inner, evidence, progress=quiet)
        return [f"{each.where}: {each.detail}" for each in report.discrepancies]

    def escrow_micro(self) -> tuple[int, int]:
        """What the escrow holds, and what it owes: credits of hosts, and what can be claimed."""
        contracts = self.community.contracts
        reader = EscrowReader(self.chain.inner, contracts.escrow)
        owed_micro = sum(
            reader.charger_of(charger_id).credit_micro for charger_id in self.runtime.book.chargers
        )
        return self.held_micro(contracts.escrow), owed_micro


class TroubledChain(FlakyChain):
    """The real chain, which answers nothing while it is down, or takes no transactions."""

    is_down = False
    takes_nothing = False

    def _do(self, name: str, question: Callable[[], T]) -> T:
        if self.is_down or (self.takes_nothing and name == "send_raw"):
            raise ChainUnavailable(rule="test: it is down")
        return super()._do(name, question)


@cache
def _template(document: bytes) -> Path:
    """A community of this configuration, made once for all tests of this process."""
    home = Path(tempfile.mkdtemp(prefix="charging-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    config = config_of(pickle.loads(document), "test")
    create_community(home / "made", config, progress=quiet).close()
    return home / "made"


@asynccontextmanager
async def charging_world(
    path: Path,
    document: Mapping[str, Any] | None = None,
    *,
    clock: Clock | None = None,
    by_ocpp: bool = False,
) -> AsyncIterator[ChargingWorld]:
    """A running world; its clock begins an hour into the first period.

    A data directory that is there already is opened as it is.
    """
    if not path.exists():
        wanted = pickle.dumps(dict(document or charging_document()))
        shutil.copytree(_template(wanted), path)
    directory = DataDir(path)
    community = open_parts(directory, stored_config(directory))
    chain = community.chain
    assert isinstance(chain, EmbeddedChain)
    clock = clock or Clock(from_unix_s(START_S + HOUR_S))
    chain.follow_clock(clock)
    community.chain = TroubledChain(chain)
    try:
        world = ChargingWorld(community, clock, by_ocpp=by_ocpp)
        async with world.runtime:
            yield world
    finally:
        community.close()
        chain.close()
