"""The real app over a real community on an embedded chain; its desk is in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import create_app
from api.auth_store import AuthStore
from api.guard import HttpLimits
from api.jobs.community import Community
from api.jobs.create import account_key
from api.jobs.market.desks import market_desks
from api.jobs.market_view import MarketDesk
from api.jobs.oversight.audits import AuditDesk
from api.jobs.oversight.overview import OversightDesk
from api.jobs.people.desks import people_of
from api.jobs.taking.desk import open_desk
from api.loops import LoopState
from api.service import Service
from api.sign_in import SignIn
from charging.orders import ChargeOrder, SessionId, charger_id_of
from charging.points import Answer, PointEvent, Reply
from ledger.chain.wallet import Wallet, new_wallet
from ledger.keccak import checksum_address, domain_separator, personal_digest
from ledger.units import Address, to_rfc3339, to_unix_s
from tests.api.community_worlds import community_of, document
from tests.api.memory_desk import TARIFF, MemoryDesk

HOST = "testserver"
ESCROW = Address(b"\xe5" * 20)
START_AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
ROOMY = HttpLimits(
    requests_per_minute=10**6,
    readings_requests_per_minute=10**6,
    refused_readings_per_minute=10**6,
    caller_requests_per_minute=10**6,
    sign_ins_per_minute=10**6,
    orders_per_minute=10**6,
    faucet_per_minute=10**6,
    rpc_per_minute=10**6,
)
Json = dict[str, Any]


@dataclass
class Clock:
    """A time that a test moves."""

    at: datetime = START_AT

    def __call__(self) -> datetime:
        return self.at

    def pass_s(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)


class NoPoints:
    """Charge points of which none is there; keeps sink, door and link."""

    async def take(self, event: PointEvent) -> Reply:
        return Reply(accepted=False)

    async def connected(self, charge_point_id: str, protocol: str) -> None: ...

    async def disconnected(self, charge_point_id: str) -> None: ...

    async def may_connect(
        self, charge_point_id: str, *, password: bytes | None, certificate_name: str | None
    ) -> bool:
        return False

    def is_connected(self, charge_point_id: str) -> bool:
        return False

    async def _offline(self, *_: object, **__: object) -> Answer:
        return Answer.OFFLINE

    start = stop = limit = ask_meter = ask_status = unlock = reset = set_available = _offline


@dataclass
class World:
    """One running app and the people around it."""

    client: TestClient
    app: FastAPI
    community: Community
    desk: MemoryDesk
    clock: Clock
    driver: Wallet = field(default_factory=new_wallet)
    stranger: Wallet = field(default_factory=new_wallet)
    host: Wallet = field(default_factory=new_wallet)
    other_host: Wallet = field(default_factory=new_wallet)
    problems: list[str] = field(default_factory=list)
    loops: list[LoopState] = field(default_factory=list)
    _nonce: int = 0

    @property
    def operator(self) -> Wallet:
        return self.community.keys.wallet("operator")

    @property
    def auditor(self) -> Wallet:
        return self.community.keys.wallet(account_key(1))

    @property
    def member(self) -> Wallet:
        return self.community.keys.wallet(account_key(2))

    @property
    def other_member(self) -> Wallet:
        return self.community.keys.wallet(account_key(3))

    # Signing in.

    def nonce(self) -> str:
        response = self.client.post("/v1/auth/nonce", json={})
        assert response.status_code == 200, response.text
        return str(response.json()["nonce"])

    def message(self, wallet: Wallet, **changes: Any) -> str:
        """A good EIP-4361 message, but for the changes."""
        facts: Json = {
            "domain": HOST,
            "address": checksum_address(wallet.address),
            "chain_id": 1337,
            "issued_at": to_rfc3339(self.clock()),
            "tail": "",
            **changes,
        }
        if "nonce" not in facts:
            facts["nonce"] = self.nonce()
        return (
            "{domain} wants you to sign in with your Ethereum account:\n{address}\n\n"
            "See my charges.\n\nURI: http://testserver/\nVersion: 1\nChain ID: {chain_id}\n"
            "Nonce: {nonce}\nIssued At: {issued_at}{tail}"
        ).format(**facts)

    def log_in(self, wallet: Wallet, text: str | None = None, **more: Any) -> httpx2.Response:
        """Signs a message and sends it."""
        text = self.message(wallet) if text is None else text
        signature = "0x" + wallet.sign_digest(personal_digest(text)).hex()
        body = {"message": text, "signature": signature, **more}
        response: httpx2.Response = self.client.post("/v1/auth/login", json=body)
        return response

    def token(self, wallet: Wallet) -> str:
        response = self.log_in(wallet)
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    def as_(self, wallet: Wallet) -> dict[str, str]:
        """Headers of somebody who is signed in."""
        return {"Authorization": f"Bearer {self.token(wallet)}"}

    # Charging.

    def order(self, **changes: Any) -> ChargeOrder:
        """A good order, but for the changes; each has a nonce of its own."""
        self._nonce += 1
        facts: Json = {
            "driver": self.driver.address,
            "charger_id": charger_id_of("CP1", 1),
            "deposit_micro": 20_000_000,
            "tariff": TARIFF,
            "valid_until_s": to_unix_s(self.clock()) + 600,
            "nonce": self._nonce,
            **changes,
        }
        return ChargeOrder(**facts)

    def body(self, order: ChargeOrder, wallet: Wallet | None = None) -> Json:
        """An order as it is posted."""
        digest = order.session_id(self.desk.separator)
        return {
            "order": {
                "driver": checksum_address(order.driver),
                "chargerId": "0x" + order.charger_id.hex(),
                "depositMicro": str(order.deposit_micro),
                "tariff": {
                    "energyPerKwh": str(order.tariff.energy_per_kwh),
                    "startFee": str(order.tariff.start_fee),
                    "timePerHour": order.tariff.time_per_hour,
                    "idlePerHour": order.tariff.idle_per_hour,
                },
                "validUntil": order.valid_until_s,
                "nonce": str(order.nonce),
            },
            "signature": "0x" + (wallet or self.driver).sign_digest(digest).hex(),
        }

    def place(self, **changes: Any) -> str:
        """Places a good order; gives the session's id."""
        response = self.client.post("/v1/sessions", json=self.body(self.order(**changes)))
        assert response.status_code == 201, response.text
        return str(response.json()["session_id"])

    def run(self, change: Any) -> Any:
        """Runs something of the desk in the app's loop."""
        assert self.client.portal is not None
        return self.client.portal.call(lambda: change)

    def change(self, name: str, session_id: str, *arguments: Any, **facts: Any) -> Any:
        """What charger and chain do: `charge`, `close`, `change`."""
        assert self.client.portal is not None
        known = SessionId(bytes.fromhex(session_id[2:]))

        async def do() -> Any:
            return await getattr(self.desk, name)(known, *arguments, **facts)

        return self.client.portal.call(do)

    def end_all(self) -> None:
        """Frees all chargers."""
        for session_id in self.desk.views:
            self.change("charge", "0x" + session_id.hex(), 11_700)
            self.change("close", "0x" + session_id.hex())


def problem(response: httpx2.Response, status: int, code: str) -> Json:
    """A problem as RFC 9457 has it, with this status and code."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    found: Json = json.loads(response.content)
    assert (response.status_code, found["status"], found["code"]) == (status, status, code), found
    assert found["type"] == f"urn:wattledger:problem:{code}"
    assert found["title"]
    return found


@contextmanager
def community_in(path: Path) -> Iterator[Community]:
    """A small community, to be served."""
    with community_of(path / "data", document(["buyer", "seller"])) as community:
        yield community


@contextmanager
def world_of(community: Community, limits: HttpLimits = ROOMY, **taking: int) -> Iterator[World]:
    """An app that serves a community, started and stopped; `taking` is for `open_desk`."""
    clock = Clock()
    host, other_host = new_wallet(), new_wallet()
    desk = MemoryDesk(
        separator=domain_separator(community.chain.chain_id, ESCROW),
        now=clock,
        hosts={"CP1": host.address, "CP2": other_host.address},
    )
    points, problems, loops = NoPoints(), list[str](), list[LoopState]()

    @asynccontextmanager
    async def open_service() -> AsyncIterator[Service]:
        desk.changed = asyncio.Condition()
        async with market_desks(community) as books, open_desk(community, **taking) as readings:
            yield Service(
                community=community,
                market=MarketDesk(community),
                books=books,
                readings=readings,
                people=people_of(community, lambda: None),
                desk=desk,
                oversight=OversightDesk(community, desk, lambda: problems),
                audits=AuditDesk(community, clock),
                sink=points,
                door=points,
                points=points,
                sign_in=SignIn(
                    store=AuthStore(community.engine),
                    chain=community.chain,
                    now=clock,
                    known_as=frozenset({HOST}),
                ),
                now=clock,
                problems=lambda: problems,
                loops=lambda: loops,
            )

    app = create_app(open_service, limits=limits)
    with TestClient(app) as client:
        yield World(
            client=client,
            app=app,
            community=community,
            desk=desk,
            clock=clock,
            host=host,
            other_host=other_host,
            problems=problems,
            loops=loops,
        )
