"""`serve` killed with SIGKILL, again and again, while cars charge: nothing is lost or paid twice.

Chargers and drivers are real programs' parts: they reconnect, replay and ask again. `KILLS` of the
environment asks for more kills than CI takes.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest

from api.config import config_of
from api.jobs.audit import audit
from api.jobs.community import Community, open_community
from api.jobs.create import create_community
from api.jobs.evidence import evidence_of
from charging.orders import ChargeOrder, charger_id_of
from charging.simulator.point import ChargePoint
from charging.store import ChargingStore
from charging.tariffs import ChargeTariff
from ledger.chain import settlement_token
from ledger.chain.escrow import EscrowReader
from ledger.chain.protocol import Fees
from ledger.chain.wallet import Wallet
from ledger.keccak import domain_separator
from ledger.units import to_unix_s
from tests.api.community_worlds import quiet
from tests.e2e.charging_service import CHAIN_ID, TARIFF, Driver, charger_section, order_document
from tests.e2e.fork_server import KILLED, ForkServer, fork_server
from tests.ports import free_port

T = TypeVar("T")
KILLS = int(os.environ.get("KILLS", "20"))
PASSWORD = "0123456789"
POINTS = ("CP1", "CP2")
POWER_W = 200_000
WALLET_MICRO = 10**9
DEPOSIT_MICRO = 40_000_000
STARTS_KILLED = 0.25  # So often it is killed before it serves anybody.
LAST_LIVES_S = 10.0
PATIENCE_S = 240


@dataclass
class Street:
    """A community on the disk, its drivers, and how far the killing is."""

    home: Path
    port: int
    drivers: dict[str, Driver]
    kills: int = 0
    is_over: bool = False  # Enough: drivers order no more.
    is_done: bool = False  # All drivers have their refunds.
    points: dict[str, ChargePoint] = field(default_factory=dict)
    sessions: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def made_street(home: Path) -> Street:
    """A community with a charger and a driver at each, who let the escrow take their tokens."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    chargers = [charger_section(name, PASSWORD, power_w=POWER_W) for name in POINTS]
    document = {
        "market": {
            "first_period_start": midnight + timedelta(days=1),
            "window_s": 3_600,
            "period_windows": 24,
            "debit_max_wh": 1_000_000,
        },
        "supplier": {"name": "Supplier", "deposit_micro": 10**8},
        "accounts": [{"name": "Host", "deposit_micro": 10**8}],
        "chargers": chargers,
    }
    street = Street(home=home, port=free_port(), drivers={})
    community = create_community(home, config_of(document, "test"), progress=quiet)
    try:
        for number, name in enumerate(POINTS, start=1):
            street.drivers[name] = driver_of(
                community, street.url, Wallet((5_000 + number).to_bytes(32))
            )
    finally:
        community.close()
    return street


def driver_of(community: Community, url: str, wallet: Wallet) -> Driver:
    contracts, chain = community.contracts, community.chain
    data = settlement_token.mint(wallet.address, WALLET_MICRO)
    key = f"mint:{wallet.address.hex()}"
    community.execute([community.intent(key, data, to=contracts.token, role="owner")])
    signed = wallet.sign_transaction(
        chain_id=CHAIN_ID,
        nonce=0,
        to=contracts.token,
        data=settlement_token.approve(contracts.escrow, WALLET_MICRO),
        gas=100_000,
        fees=Fees(max_fee_wei=0, priority_fee_wei=0),
    )
    chain.send_raw(signed.raw)
    token = settlement_token.TokenReader(chain, contracts.token)
    return Driver(
        url=url,
        wallet=wallet,
        escrow_separator=domain_separator(CHAIN_ID, contracts.escrow),
        token_separator=token.domain_separator(),
        escrow=contracts.escrow,
    )


def patiently(ask: Callable[[], T]) -> T:
    """Asks until there is an answer: whoever is not there comes back."""
    ends_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except (httpx2.TransportError, AssertionError, KeyError, ValueError):
            assert time.monotonic() < ends_at
            time.sleep(0.1)


def order_of(driver: Driver, charge_point_id: str) -> dict[str, Any]:
    """A signed order as it is sent, and perhaps sent again."""
    order = ChargeOrder(
        driver=driver.wallet.address,
        charger_id=charger_id_of(charge_point_id, 1),
        deposit_micro=DEPOSIT_MICRO,
        tariff=ChargeTariff(**TARIFF),
        valid_until_s=to_unix_s(datetime.now(UTC)) + 3_600,
        nonce=time.time_ns(),
    )
    signature = driver.wallet.sign_digest(order.session_id(driver.escrow_separator))
    return {"order": order_document(order), "signature": "0x" + signature.hex()}


def place(driver: Driver, body: dict[str, Any]) -> str:
    answer = httpx2.post(driver.url + "/v1/sessions", json=body, timeout=10)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["session_id"])


def state_of(driver: Driver, session_id: str) -> str:
    return str(driver.session(session_id)["state"])


def drive(street: Street, name: str, moments: random.Random) -> None:
    """A driver: orders, charges for a moment, stops, waits for the refund; until it is over."""
    driver = street.drivers[name]
    patiently(driver.sign_in)
    while not street.is_over:
        body = order_of(driver, name)
        session_id = patiently(lambda body=body: place(driver, body))  # type: ignore[misc]
        street.sessions.append(session_id)
        until(driver, session_id, "charging", "closed")
        time.sleep(moments.uniform(0.2, 2.0))
        patiently(lambda session_id=session_id: driver.stop(session_id))  # type: ignore[misc]
        until(driver, session_id, "closed")


def until(driver: Driver, session_id: str, *states: str) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while (state := patiently(lambda: state_of(driver, session_id))) not in states:
        assert state not in ("failed", "cancelled", "reclaimed"), driver.session(session_id)
        assert time.monotonic() < ends_at, driver.session(session_id)
        time.sleep(0.1)


async def cars(street: Street, name: str) -> None:
    """One car after the other at a charger, which measures twice a second."""
    point = street.points[name]
    connector = point.connector()
    connector.driven = True
    while True:
        await point.plug_in()
        charge = await point.started()
        while connector.transaction is charge:
            await point.measure()
            await asyncio.sleep(0.5)
        await point.unplug()
        await asyncio.sleep(0.2)


def serve_and_kill(street: Street, server: ForkServer, moments: random.Random) -> None:
    """The service lives for moments only, at last a little longer."""
    words = ("serve", "--port", street.port, "--data-dir", street.home)
    while not street.is_done:
        if moments.random() < STARTS_KILLED:
            code = server.run(*words, kill_after_s=moments.uniform(0, 1))
        else:
            longest_s = 3.0 if street.kills < KILLS else LAST_LIVES_S
            moment_s = moments.uniform(0.1, longest_s)
            code = server.run(*words, kill_after_s=moment_s, once=lambda: until_served(street))
        assert code == KILLED, server.printed()
        street.kills += 1
        street.is_over = street.kills >= KILLS


def until_served(street: Street) -> None:
    """Returns when somebody listens: however busy the machine is, it is killed at work."""
    patiently(lambda: httpx2.get(street.url + "/healthz", timeout=5))


async def opened(street: Street, name: str, protocol: str) -> ChargePoint:
    """A charger that dials until somebody answers."""
    while True:
        point = ChargePoint(
            f"ws://127.0.0.1:{street.port}",
            name,
            PASSWORD,
            protocol=protocol,
            power_w=POWER_W,
            register_wh=910_123,
            retry_ms=100,
        )
        try:
            return await point.__aenter__()
        except Exception:  # noqa: BLE001 (nobody there yet, or killed in the middle of it)
            await asyncio.sleep(0.2)


async def play(street: Street, server: ForkServer) -> None:
    moments = random.Random(20260302)
    killing = asyncio.create_task(asyncio.to_thread(serve_and_kill, street, server, moments))
    try:
        for name, protocol in zip(POINTS, ("1.6", "2.0.1"), strict=True):
            street.points[name] = await opened(street, name, protocol)
        charging = [asyncio.create_task(cars(street, name)) for name in POINTS]
        driving = [
            asyncio.create_task(asyncio.to_thread(drive, street, name, random.Random(place)))
            for place, name in enumerate(POINTS)
        ]
        await asyncio.gather(*driving)
        street.is_done = True
        for task in charging:
            task.cancel()
        await asyncio.gather(*charging, return_exceptions=True)
        await killing
    finally:
        for point in street.points.values():
            await point.__aexit__(None, None, None)


def check(street: Street) -> None:
    """Every session has ended, and every micro-token is somewhere."""
    charged_wh = {
        charge.id_token.upper(): charge.energy_wh
        for point in street.points.values()
        for charge in point.transactions
    }
    with open_community(street.home) as community:
        store = ChargingStore(community.engine)
        sessions = store.run(lambda open_: store.page(open_, None, limit=10_000, before=None))
        assert {"0x" + each.session_id.hex() for each in sessions} == set(street.sessions)
        assert {each.state.value for each in sessions} == {"closed"}
        paid_micro = 0
        for each in sessions:
            assert each.paid_micro is not None
            assert each.record is not None
            assert each.deposit_micro == each.paid_micro + (each.refunded_micro or 0)
            assert each.record.energy_wh <= charged_wh[each.id_token]
            paid_micro += each.paid_micro
        contracts = community.contracts
        token = settlement_token.TokenReader(community.chain, contracts.token)
        held_micro = sum(
            token.balance_micro_of(driver.wallet.address) for driver in street.drivers.values()
        )
        assert held_micro == len(POINTS) * WALLET_MICRO - paid_micro
        reader = EscrowReader(community.chain, contracts.escrow)
        credits_micro = sum(
            reader.charger_of(charger_id_of(name, 1)).credit_micro for name in POINTS
        )
        assert token.balance_micro_of(contracts.escrow) == credits_micro == paid_micro
        report = audit(community.chain, evidence_of(community), progress=quiet)
        assert report.discrepancies == []
    same = sum(
        each.record is not None and each.record.energy_wh == charged_wh[each.id_token]
        for each in sessions
    )
    print(f"{street.kills} kills, {len(sessions)} sessions, {same} billed to the last Wh")
    assert len(sessions) >= len(POINTS)


@pytest.mark.timeout(900)
def test_serve_killed_while_cars_charge_loses_no_session_and_pays_none_twice(
    tmp_path: Path,
) -> None:
    street = made_street(tmp_path / "street")
    preloaded = ("api.app", "api.serving", "api.jobs.charging.runtime", "uvicorn", "uvloop")
    with fork_server(tmp_path, *preloaded) as server:
        asyncio.run(play(street, server))
        check(street)
        assert "Traceback" not in server.printed()
