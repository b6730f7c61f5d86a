"""A served community with charge points, and a driver who orders over HTTP with a wallet."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from api.config import config_of
from api.jobs.create import create_community
from charging.orders import ChargeOrder, charger_id_of
from charging.tariffs import ChargeTariff
from ledger.chain import settlement_token
from ledger.chain.wallet import Wallet, new_wallet
from ledger.keccak import checksum_address, domain_separator, personal_digest
from ledger.units import to_rfc3339, to_unix_s
from tests.api.community_worlds import quiet
from tests.e2e.registers import ROOT

PROGRAM = "import sys; from api.cli.app import run; sys.exit(run(sys.argv[1:]))"
WALLET_MICRO = 2_000_000_000
DEPOSIT_MICRO = 20_000_000
REGISTER_WH = 910_123
WITHIN_S = 60
CHAIN_ID = 1337
VAT_BPS = 1_900
TARIFF = {"energy_per_kwh": 390_000, "start_fee": 350_000}


def charger_section(charge_point_id: str, password: str, **changes: Any) -> dict[str, Any]:
    """A charge point of the community's file."""
    section = {
        "id": charge_point_id,
        "host": 2,
        "power_w": 11_000,
        "register_wh": REGISTER_WH,
        "password": password,
        "tariff": TARIFF,
        "vat_bps": VAT_BPS,
        "interval_s": 1,
    }
    return section | changes


@dataclass
class Driver:
    """Somebody with a wallet, at a service that listens at `url`."""

    url: str
    wallet: Wallet
    escrow_separator: bytes
    token_separator: bytes
    escrow: bytes
    permits: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def sign_in(self) -> None:
        """Sign-In with Ethereum, so that sessions can be read."""
        host = self.url.split("//")[1]
        nonce = httpx2.post(self.url + "/v1/auth/nonce", json={}).json()["nonce"]
        text = (
            f"{host} wants you to sign in with your Ethereum account:\n"
            f"{checksum_address(self.wallet.address)}\n\n\nURI: {self.url}/\nVersion: 1\n"
            f"Chain ID: {CHAIN_ID}\nNonce: {nonce}\nIssued At: {to_rfc3339(datetime.now(UTC))}"
        )
        signature = "0x" + self.wallet.sign_digest(personal_digest(text)).hex()
        body = {"message": text, "signature": signature}
        answer = httpx2.post(self.url + "/v1/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def order(self, charge_point_id: str, connector_id: int = 1) -> str:
        """Places an order with a permit, when the charge point is there; the session's id."""
        self._until_online(charge_point_id)
        _until_caught_up(self.url)
        now_s = to_unix_s(datetime.now(UTC))
        order = ChargeOrder(
            driver=self.wallet.address,
            charger_id=charger_id_of(charge_point_id, connector_id),
            deposit_micro=DEPOSIT_MICRO,
            tariff=ChargeTariff(**TARIFF),
            valid_until_s=now_s + 600,
            nonce=time.time_ns(),
        )
        signature = self.wallet.sign_digest(order.session_id(self.escrow_separator))
        digest = settlement_token.permit_digest(
            self.token_separator,
            owner=self.wallet.address,
            spender=self.escrow,
            amount_micro=DEPOSIT_MICRO,
            nonce=self.permits,
            deadline_s=now_s + 3_600,
        )
        permit = self.wallet.sign_digest(digest)
        body = {
            "order": order_document(order),
            "signature": "0x" + signature.hex(),
            "permit": {"deadline": str(now_s + 3_600), "signature": "0x" + permit.hex()},
        }
        answer = httpx2.post(self.url + "/v1/sessions", json=body)
        assert answer.status_code == 201, answer.text
        self.permits += 1
        return str(answer.json()["session_id"])

    def session(self, session_id: str) -> dict[str, Any]:
        """A session as its driver sees it."""
        answer = httpx2.get(f"{self.url}/v1/sessions/{session_id}", headers=self.headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def stop(self, session_id: str) -> None:
        """Stops it from afar."""
        path = f"{self.url}/v1/sessions/{session_id}/stop"
        answer = httpx2.post(path, headers=self.headers)
        assert answer.status_code == 200, answer.text

    def until(self, session_id: str, *states: str) -> dict[str, Any]:
        """Waits until the session is in one of these states."""
        ends_at = time.monotonic() + WITHIN_S
        while True:
            session = self.session(session_id)
            if session["state"] in states:
                return session
            assert time.monotonic() < ends_at, session
            time.sleep(0.05)

    def receipt(self, session_id: str) -> dict[str, Any]:
        """The receipt of a session that has ended."""
        answer = httpx2.get(f"{self.url}/v1/sessions/{session_id}/receipt", headers=self.headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def _until_online(self, charge_point_id: str) -> None:
        ends_at = time.monotonic() + WITHIN_S
        path = f"{self.url}/v1/chargers/{charge_point_id}"
        while httpx2.get(path).json()["state"] != "online":
            assert time.monotonic() < ends_at, f"{charge_point_id} does not come online"
            time.sleep(0.05)


def order_document(order: ChargeOrder) -> dict[str, Any]:
    """An order as JSON, in EIP-712's names."""
    tariff = order.tariff
    return {
        "driver": "0x" + order.driver.hex(),
        "chargerId": "0x" + order.charger_id.hex(),
        "depositMicro": str(order.deposit_micro),
        "tariff": {
            "energyPerKwh": str(tariff.energy_per_kwh),
            "startFee": str(tariff.start_fee),
            "timePerHour": str(tariff.time_per_hour),
            "idlePerHour": str(tariff.idle_per_hour),
        },
        "validUntil": str(order.valid_until_s),
        "nonce": str(order.nonce),
    }


@contextmanager
def charging_service(home: Path, chargers: Sequence[Mapping[str, Any]]) -> Iterator[Driver]:
    """Makes a community, pays its driver, serves it as a process; a driver who has signed in."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    document = {
        "market": {
            "first_period_start": midnight + timedelta(days=1),
            "window_s": 3_600,
            "period_windows": 24,
            "debit_max_wh": 1_000_000,
        },
        "supplier": {"name": "Supplier", "deposit_micro": DEPOSIT_MICRO},
        "accounts": [{"name": "Host", "deposit_micro": DEPOSIT_MICRO}],
        "chargers": [dict(charger) for charger in chargers],
    }
    wallet = new_wallet()
    community = create_community(home, config_of(document, "test"), progress=quiet)
    try:
        token = settlement_token.TokenReader(community.chain, community.contracts.token)
        data = settlement_token.mint(wallet.address, WALLET_MICRO)
        to = community.contracts.token
        community.execute([community.intent("mint:driver", data, to=to, role="owner")])
        facts: dict[str, Any] = {
            "wallet": wallet,
            "escrow_separator": domain_separator(CHAIN_ID, community.contracts.escrow),
            "token_separator": token.domain_separator(),
            "escrow": community.contracts.escrow,
        }
    finally:
        community.close()
    with served_home(home) as url:
        driver = Driver(url=url, **facts)
        driver.sign_in()
        yield driver


def _until_caught_up(url: str) -> None:
    """Waits while the chain's clock is ahead: it is, when blocks were mined within a second."""
    question = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber"}
    block = httpx2.post(url + "/rpc", json=question | {"params": ["latest", False]}).json()
    ahead_s = int(block["result"]["timestamp"], 16) - time.time()
    time.sleep(max(0, ahead_s))


@contextmanager
def served_home(home: Path) -> Iterator[str]:
    """URL of a data directory that is served as a process, which must not complain."""
    complaints = home.with_suffix(".log")
    with complaints.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "serve", "--port", "0", "--json"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "WATTLEDGER_DATA_DIR": str(home)},
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, complaints.read_text(encoding="utf-8")
            yield json.loads(line)["url"]
        finally:
            process.terminate()
            process.communicate(timeout=WITHIN_S)
    said = complaints.read_text(encoding="utf-8")
    assert "Traceback" not in said, said
