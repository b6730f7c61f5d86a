"""A newcomer's whole way over HTTP: in, with a meter and money, and out again with the rest."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.config import config_of
from api.jobs.create import create_community
from api.keys import demo_secret
from ledger.chain import settlement_token
from ledger.chain.abi import decode_result, encode_call
from ledger.chain.wallet import Wallet, new_wallet
from ledger.keccak import checksum_address, domain_separator, keccak256, personal_digest
from ledger.keccak import typed_digest as digest_of
from ledger.units import Address, from_unix_s, to_rfc3339, to_unix_s
from metering.readings import MeterId, Reading
from metering.signing import sign_reading
from tests.api.community_worlds import quiet
from tests.e2e.charging_service import served_home
from tests.e2e.command_line import Cli

WINDOW_S, PERIOD_S = 2, 8
TOKEN = 1_000_000
CHAIN_ID = 1337
WITHIN_S = 90
Json = dict[str, Any]


def hex_of(value: bytes) -> str:
    return "0x" + value.hex()


@dataclass
class Visitor:
    """Somebody with a wallet and a connection, and no gas."""

    url: str
    wallet: Wallet
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        host = self.url.split("//")[1]
        nonce = self.ask("POST", "/auth/nonce", {})["nonce"]
        text = (
            f"{host} wants you to sign in with your Ethereum account:\n"
            f"{checksum_address(self.wallet.address)}\n\n\nURI: {self.url}/\nVersion: 1\n"
            f"Chain ID: {CHAIN_ID}\nNonce: {nonce}\nIssued At: {to_rfc3339(datetime.now(UTC))}"
        )
        signature = hex_of(self.wallet.sign_digest(personal_digest(text)))
        token = self.ask("POST", "/auth/login", {"message": text, "signature": signature})
        self.headers = {"Authorization": f"Bearer {token['access_token']}"}

    def ask(self, method: str, path: str, body: Json | None = None) -> Any:
        """What the service answers; it must not refuse."""
        answer = httpx2.request(method, f"{self.url}/v1{path}", json=body, headers=self.headers)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json()

    def followed(self, relay: Json) -> Json:
        """A relay that the chain has confirmed."""
        done = until(lambda: self._ended(relay["id"]))
        assert done["state"] == "confirmed", done
        return done

    def _ended(self, relay_id: str) -> Json | None:
        relay: Json = self.ask("GET", f"/relays/{relay_id}")
        return relay if relay["state"] in {"confirmed", "failed"} else None

    # What a page asks the chain, and signs.

    def call(self, contract: str, function: str, *arguments: Any) -> Any:
        """A view of the token."""
        data = encode_call(settlement_token.CONTRACT, function, arguments)
        asked = {"to": contract, "data": hex_of(data)}
        question = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [asked, "latest"]}
        answer = httpx2.post(f"{self.url}/rpc", json=question).json()
        result = bytes.fromhex(answer["result"][2:])
        return decode_result(settlement_token.CONTRACT, function, result)

    def signed(self, domain: Json, spelled: str, *values: int) -> str:
        """Typed data whose members are numbers, signed for a domain that the market states."""
        contract = Address(bytes.fromhex(domain["verifyingContract"][2:]))
        words = b"".join(value.to_bytes(32) for value in values)
        separator = domain_separator(domain["chainId"], contract)
        digest = digest_of(separator, keccak256(keccak256(spelled.encode()) + words))
        return hex_of(self.wallet.sign_digest(digest))

    def balance_micro(self, market: Json) -> int:
        """What is in the wallet."""
        token = market["contracts"]["token"]
        return int(self.call(token, "balanceOf", self.wallet.address))

    def permit(self, market: Json, amount_micro: int, deadline_s: int) -> str:
        """An ERC-2612 permit to the market."""
        token = market["contracts"]["token"]
        digest = settlement_token.permit_digest(
            self.call(token, "DOMAIN_SEPARATOR"),
            owner=self.wallet.address,
            spender=Address(bytes.fromhex(market["contracts"]["market"][2:])),
            amount_micro=amount_micro,
            nonce=self.call(token, "nonces", self.wallet.address),
            deadline_s=deadline_s,
        )
        return hex_of(self.wallet.sign_digest(digest))


def until(look: Callable[[], Any]) -> Any:
    """What comes in the end."""
    ends_at = time.monotonic() + WITHIN_S
    while not (found := look()):
        assert time.monotonic() < ends_at, f"{look} never came"
        time.sleep(0.1)
    return found


@contextmanager
def street(home: Path) -> Iterator[str]:
    """A demo whose periods last eight seconds, served as a process; its URL."""
    first_s = int(time.time()) // PERIOD_S * PERIOD_S
    document: Json = {
        "market": {
            "first_period_start": from_unix_s(first_s),
            "window_s": WINDOW_S,
            "period_windows": PERIOD_S // WINDOW_S,
            "grace_s": 2,
            "dispute_period_s": 0,
            "finalize_within_s": 0,
        },
        "supplier": {"name": "Supplier", "deposit_micro": 50 * TOKEN},
        "accounts": [{"name": "Old hand", "deposit_micro": 50 * TOKEN}],
        "operators": [checksum_address(Wallet(demo_secret("operator")).address)],
    }
    config = config_of(document, "test")
    create_community(home, config, progress=quiet, for_demo=True).close()
    with served_home(home) as url:
        yield url


def pairing(device: Wallet, owner: Visitor, account: int, market: Json) -> Json:
    """What a device says to become a meter, spelled as the API describes it."""
    issued_at = market["now"]
    text = "\n".join(
        [
            "Wattledger: pair this meter",
            f"Chain ID: {market['chain_id']}",
            f"Registry: {market['contracts']['registry']}",
            f"Account: {account}",
            f"Owner: {checksum_address(owner.wallet.address)}",
            "Class: gateway",
            "Limit: 11000 W",
            f"Issued At: {issued_at}",
        ]
    )
    return {
        "account": account,
        "label": "Roof",
        "key": checksum_address(device.address),
        "class": "gateway",
        "limit_w": 11_000,
        "issued_at": issued_at,
        "proof": hex_of(device.sign_digest(personal_digest(text))),
    }


@pytest.mark.slow
def test_a_newcomer_comes_trades_and_goes_over_http(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with street(home) as url:
        newcomer = Visitor(url=url, wallet=new_wallet())
        operator = Visitor(url=url, wallet=Wallet(demo_secret("operator")))
        grid = Visitor(url=url, wallet=Wallet(demo_secret("grid")))
        market = newcomer.ask("GET", "/market")
        account = join(newcomer, operator)
        device = Wallet(secrets.token_bytes(32))
        meter = pair(newcomer, grid, device, account)
        newcomer.followed(newcomer.ask("POST", "/demo/tokens", {}))
        pay_in(newcomer, market, account)
        set_limits(newcomer, market, account)
        send_readings(newcomer, market, device, meter)
        take_out(newcomer, market, account)
        relays = newcomer.ask("GET", f"/accounts/{account}/relays")["items"]
        kinds = [(each["kind"], each["state"]) for each in relays]
        assert kinds == [
            ("payout", "confirmed"),
            ("withdrawal", "confirmed"),
            ("limits", "confirmed"),
            ("deposit", "confirmed"),
        ]
        until(lambda: newcomer.ask("GET", "/market")["alarms"] == [])
    audited = cli("audit", "--data-dir", home, "--json")
    assert audited.code == 0, audited.out + audited.err
    assert audited.document["verdict"] == "ok"
    assert audited.document["readings"] == 3


def join(newcomer: Visitor, operator: Visitor) -> int:
    """The account that a stranger is given."""
    asked = newcomer.ask("POST", "/join", {"name": "Ada Weber", "show_name": True})
    operator.ask("POST", f"/applications/{asked['id']}/accept")

    def enrolled() -> int | None:
        (own,) = newcomer.ask("GET", "/join")["items"]
        return int(own["account"]) if own["state"] == "accepted" else None

    account: int = until(enrolled)
    assert newcomer.ask("GET", "/me")["accounts"] == [account] == [3]
    return account


def pair(newcomer: Visitor, grid: Visitor, device: Wallet, account: int) -> Json:
    """A device that has become a meter."""
    body = pairing(device, newcomer, account, newcomer.ask("GET", "/market"))
    asked = newcomer.ask("POST", "/meters", body)
    grid.ask("POST", f"/pairings/{asked['id']}/accept")

    def registered() -> Json | None:
        (own,) = newcomer.ask("GET", "/meters")["items"]
        return own if own["state"] == "registered" else None

    meter: Json = until(registered)
    return meter


def pay_in(newcomer: Visitor, market: Json, account: int) -> None:
    """100 tokens of 500."""
    deadline_s = int(time.time()) + 600
    deposit = {
        "amount_micro": str(100 * TOKEN),
        "deadline": str(deadline_s),
        "signature": newcomer.permit(market, 100 * TOKEN, deadline_s),
    }
    newcomer.followed(newcomer.ask("POST", f"/accounts/{account}/deposits", deposit))
    assert newcomer.balance_micro(market) == 400 * TOKEN


def set_limits(newcomer: Visitor, market: Json, account: int) -> None:
    """Safe ones."""
    spelled = (
        "PriceLimits(uint32 account,uint64 validFrom,uint64 maxBuyPerKwh,"
        "uint64 minSellPerKwh,uint256 nonce)"
    )
    values = [account, 0, 250_000, 90_000, 1]
    names = ["account", "validFrom", "maxBuyPerKwh", "minSellPerKwh", "nonce"]
    limits = {
        "limits": {name: str(value) for name, value in zip(names, values, strict=True)},
        "signature": newcomer.signed(market["domains"]["market"], spelled, *values),
    }
    newcomer.followed(newcomer.ask("PUT", f"/accounts/{account}/limits", limits))


def take_out(newcomer: Visitor, market: Json, account: int) -> None:
    """90 tokens, which come by themselves when the delay is over."""
    spelled = "Withdrawal(uint32 account,uint64 amountMicro,uint256 nonce)"
    values = [account, 90 * TOKEN, 1]
    withdrawal = {
        "withdrawal": {"account": account, "amountMicro": str(90 * TOKEN), "nonce": "1"},
        "signature": newcomer.signed(market["domains"]["market"], spelled, *values),
    }
    newcomer.followed(newcomer.ask("POST", f"/accounts/{account}/withdrawals", withdrawal))
    until(lambda: newcomer.balance_micro(market) == 490 * TOKEN)


def send_readings(owner: Visitor, market: Json, device: Wallet, meter: Json) -> None:
    """What the device measured in its first two windows, once it has."""
    meter_id = MeterId(bytes.fromhex(meter["id"][2:]))
    valid_from = datetime.fromisoformat(meter["valid_from"])
    registry = Address(bytes.fromhex(market["contracts"]["registry"][2:]))
    domain = domain_separator(CHAIN_ID, registry)
    instants = [valid_from + timedelta(seconds=step * WINDOW_S) for step in range(3)]
    time.sleep(max(0, to_unix_s(instants[-1]) + 1 - time.time()))
    readings = []
    for step, taken_at in enumerate(instants):
        reading = Reading(
            meter_id=meter_id, taken_at=taken_at, import_wh=5_000 + 3 * step, export_wh=7_000
        )
        signature = sign_reading(reading, device.private_key, domain).signature
        readings.append(
            {
                "meter_id": hex_of(meter_id),
                "taken_at": to_rfc3339(taken_at),
                "import_wh": reading.import_wh,
                "export_wh": reading.export_wh,
                "signature": hex_of(signature),
            }
        )
    answer = owner.ask("POST", "/readings", {"readings": readings})
    assert (answer["accepted"], answer["rejected"]) == (3, []), answer
