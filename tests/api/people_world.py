"""People at a running app over a real community; the loop behind does a round when a test says."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from api.config import config_of
from api.jobs.audit_directory import audit_directory
from api.jobs.community import Community
from api.jobs.create import account_key, create_community
from api.jobs.people.desks import People, errands_of
from api.jobs.people.relaying import Relaying
from ledger.chain import settlement_token
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.market import MarketReader
from ledger.chain.settlement_token import TokenReader, permit_digest
from ledger.chain.wallet import Wallet
from ledger.keccak import domain_separator
from ledger.market_messages import PriceLimits, Withdrawal
from ledger.units import LIMIT_PER_KWH_MAX, Address, Hash32, from_unix_s
from tests.api.community_worlds import START_S, document, quiet
from tests.api.http_world import World, world_of
from tests.hand_clock import HandClock

HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
ORDER = 2 * HALF_ORDER + 1
Json = dict[str, Any]


def hex_of(value: bytes) -> str:
    return "0x" + value.hex()


def malleable(signature: bytes) -> bytes:
    """The other form of the same signature, which nobody takes."""
    high = ORDER - int.from_bytes(signature[32:64])
    return signature[:32] + high.to_bytes(32) + bytes([55 - signature[64]])


@dataclass
class PeopleWorld:
    """An app, the loop that relays, and what the chain says."""

    web: World
    community: Community
    clock: HandClock
    relaying: Relaying = field(init=False)
    _mints: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new loop: what the one before had in memory is lost."""
        vars(self.community).pop("relay_outbox", None)
        self.relaying = Relaying(self.community, errands_of(self.community))

    def relay(self) -> None:
        """The loop does all that it can do now."""
        self.relaying.round()

    @property
    def people(self) -> People:
        people: People = self.web.app.state.service.people
        return people

    @property
    def market(self) -> MarketReader:
        return MarketReader(self.community.chain, self.community.contracts.market)

    @property
    def token(self) -> TokenReader:
        return TokenReader(self.community.chain, self.community.contracts.token)

    def member(self, account: int = 2) -> Wallet:
        return self.community.keys.wallet(account_key(account))

    def audit(self) -> list[str]:
        """What an audit finds."""
        report = audit_directory(self.community, self.community.chain, progress=quiet)
        return [f"{each.where}: {each.detail}" for each in report.discrepancies]

    # Signing.

    def separator(self, **changes: Any) -> Hash32:
        chain_id = changes.get("chain_id", self.community.chain.chain_id)
        return domain_separator(chain_id, changes.get("market", self.community.contracts.market))

    def limits_body(self, account: int = 2, wallet: Wallet | None = None, **changes: Any) -> Json:
        """Signed limits with the next nonce, but for the changes."""
        nonce = changes.get("nonce", self.market.limits_nonce(account) + 1)
        limits = PriceLimits(
            account=account,
            valid_from_s=changes.get("valid_from_s", 0),
            max_buy_per_kwh=changes.get("max_buy_per_kwh", LIMIT_PER_KWH_MAX),
            min_sell_per_kwh=changes.get("min_sell_per_kwh", 90_000),
            nonce=nonce,
        )
        signer = wallet or self.member(account)
        signature = signer.sign_digest(limits.digest(self.separator(**changes)))
        return {
            "limits": {
                "account": account,
                "validFrom": str(limits.valid_from_s),
                "maxBuyPerKwh": str(limits.max_buy_per_kwh),
                "minSellPerKwh": str(limits.min_sell_per_kwh),
                "nonce": str(nonce),
            },
            "signature": hex_of(signature),
        }

    def withdrawal_body(self, amount_micro: int, account: int = 2, **changes: Any) -> Json:
        """A signed withdrawal with the next nonce, but for the changes."""
        nonce = changes.get("nonce", self.market.withdrawal_nonce(account) + 1)
        withdrawal = Withdrawal(account=account, amount_micro=amount_micro, nonce=nonce)
        signature = self.member(account).sign_digest(withdrawal.digest(self.separator(**changes)))
        return {
            "withdrawal": {
                "account": account,
                "amountMicro": str(amount_micro),
                "nonce": str(nonce),
            },
            "signature": hex_of(signature),
        }

    def permit_body(self, amount_micro: int, wallet: Wallet | None = None, **changes: Any) -> Json:
        """A signed permit with the token's next nonce, but for the changes."""
        signer = wallet or self.member()
        deadline_s = changes.get("deadline_s", self.community.now_s() + 3_600)
        digest = permit_digest(
            self.token.domain_separator(),
            owner=signer.address,
            spender=changes.get("spender", self.community.contracts.market),
            amount_micro=changes.get("signed_micro", amount_micro),
            nonce=changes.get("nonce", self.token.permit_nonce_of(signer.address)),
            deadline_s=changes.get("signed_deadline_s", deadline_s),
        )
        return {
            "amount_micro": str(amount_micro),
            "deadline": str(deadline_s),
            "signature": hex_of(signer.sign_digest(digest)),
        }

    # Money.

    def mint(self, to: Address, amount_micro: int) -> None:
        """Tokens for a wallet, directly."""
        self._mints += 1
        token = self.community.contracts.token
        key = f"mint:test:{to.hex()}:{self.community.chain.head().number}:{self._mints}"
        data = settlement_token.mint(to, amount_micro)
        self.community.execute([self.community.intent(key, data, to=token, role="owner")])

    def send_as(self, wallet: Wallet, to: Address, data: bytes) -> None:
        """Somebody's own transaction, past the service."""
        chain = self.community.chain
        signed = wallet.sign_transaction(
            chain_id=chain.chain_id,
            nonce=chain.nonce(wallet.address),
            to=to,
            data=data,
            gas=400_000,
            fees=chain.fees(),
        )
        receipt = chain.receipt(chain.send_raw(signed.raw))
        assert receipt is not None
        assert receipt.succeeded

    # Asking.

    def put_limits(self, body: Json, account: int = 2) -> httpx2.Response:
        response: httpx2.Response = self.web.client.put(f"/v1/accounts/{account}/limits", json=body)
        return response

    def post(
        self, path: str, body: Json, who: Wallet | None = None, *, key: str | None = None
    ) -> httpx2.Response:
        """Posts as somebody, or as nobody in particular; `key` makes it idempotent."""
        headers = {} if who is None else self.web.as_(who)
        headers |= {} if key is None else {"Idempotency-Key": key}
        content = json.dumps(body).encode("ascii")
        headers["Content-Type"] = "application/json"
        response: httpx2.Response = self.web.client.post(
            f"/v1{path}", content=content, headers=headers
        )
        return response

    def get(self, path: str, who: Wallet) -> httpx2.Response:
        response: httpx2.Response = self.web.client.get(f"/v1{path}", headers=self.web.as_(who))
        return response

    def relay_of(self, response: httpx2.Response, who: Wallet | None = None) -> Json:
        """How something that was answered fares now, as its owner sees it."""
        assert response.status_code in {200, 202}, response.text
        found = self.get(f"/relays/{response.json()['id']}", who or self.member())
        assert found.status_code == 200, found.text
        return dict(found.json())


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Several requests, begun together."""
    barrier = threading.Barrier(len(calls))

    def call(ask: Callable[[], Any]) -> Any:
        barrier.wait()
        return ask()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


@contextmanager
def people_world(path: Path, *, for_demo: bool = False, **sections: Any) -> Iterator[PeopleWorld]:
    """A community whose time a test moves, served."""
    config = config_of(document(["buyer", "seller"], **sections), "test")
    community = create_community(path / "data", config, progress=quiet, for_demo=for_demo)
    try:
        clock = HandClock(from_unix_s(max(START_S, community.chain.head().timestamp_s)))
        community.clock = clock
        assert isinstance(community.chain, EmbeddedChain)
        community.chain.follow_clock(clock.now)
        with world_of(community) as web:
            yield PeopleWorld(web=web, community=community, clock=clock)
    finally:
        community.close()
