"""Charges that were paid, made on the chain itself, so that its escrow owes people something."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from api.jobs.create import account_key, record_key_name
from charging.desk import Permit
from charging.escrow_words import order_words, permit_words, record_words
from charging.orders import ChargeOrder, ChargeRecord, charger_id_of
from charging.tariffs import ChargeTariff
from ledger.chain import escrow
from ledger.chain.abi import encode_call
from ledger.chain.escrow import CLOSE_GAS, OPEN_GAS, EscrowReader
from ledger.chain.settlement_token import TokenReader, permit_digest
from ledger.chain.wallet import Wallet, new_wallet
from ledger.keccak import domain_separator, keccak256
from ledger.units import Address, Hash32
from tests.api.people_world import PeopleWorld, people_world

ARTIFACTS = Path(__file__).parents[1] / "chain" / "artifacts"
HOST, OTHER_HOST = 2, 3  # Accounts.
POWER_W = 11_000
TARIFF = {"energy_per_kwh": 390_000}
SECTIONS: dict[str, Any] = {
    "market": {"debit_max_wh": 200_000},  # In a window: of a meter and two chargers.
    "chargers": [
        {"id": "CP1", "host": HOST, "connectors": 2, "power_w": POWER_W, "tariff": TARIFF},
        {"id": "CP2", "host": OTHER_HOST, "connectors": 1, "power_w": POWER_W, "tariff": TARIFF},
    ],
}
WHIM_NONE, WHIM_REFUSES = 0, 1


@dataclass
class EarningWorld:
    """People at a served community that has chargers, and what the escrow has for them."""

    people: PeopleWorld
    driver: Wallet = field(default_factory=new_wallet)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def escrow(self) -> EscrowReader:
        return EscrowReader(self.people.community.chain, self.people.community.contracts.escrow)

    def held_micro(self, address: Address) -> int:
        """Tokens in a wallet."""
        community = self.people.community
        return TokenReader(community.chain, community.contracts.token).balance_micro_of(address)

    def credit_micro(self, charger: str = "CP1/1") -> int:
        """What a charger has for its host."""
        return self.escrow.charger_of(keccak256(charger.encode())).credit_micro

    def charge(
        self, paid_micro: int, charger: str = "CP1/1", *, refunded_micro: int = 0
    ) -> ChargeOrder:
        """A charge from deposit to refund, by the contract alone."""
        community = self.people.community
        order = self._opened(paid_micro, paid_micro + refunded_micro, charger)
        opened_s = community.chain.head().timestamp_s
        separator = domain_separator(community.config.chain.chain_id, community.contracts.escrow)
        now = self.escrow.charger_of(order.charger_id)
        record = ChargeRecord(
            session_id=order.session_id(separator),
            start_wh=now.last_wh,
            stop_wh=now.last_wh,
            started_at_s=opened_s,
            stopped_at_s=opened_s,
            idle_s=0,
            evidence_hash=Hash32(bytes(32)),
        )
        session = {
            "order": order_words(order),
            "host": now.host,
            "recordKey": now.record_key,
            "powerW": now.power_w,
            "openedAt": opened_s,
            "depositMicro": order.deposit_micro,
        }
        key = community.keys.wallet(record_key_name(charger[:3], int(charger[4:])))
        signature = key.sign_digest(record.digest(separator))
        self.act(escrow.close(session, record_words(record), signature), gas=CLOSE_GAS)
        return order

    def _opened(self, paid_micro: int, deposit_micro: int, charger: str) -> ChargeOrder:
        community = self.people.community
        contracts = community.contracts
        order = ChargeOrder(
            driver=self.driver.address,
            charger_id=charger_id_of(charger[:3], int(charger[4:])),
            deposit_micro=deposit_micro,
            tariff=ChargeTariff(
                energy_per_kwh=0, start_fee=paid_micro, time_per_hour=0, idle_per_hour=0
            ),
            valid_until_s=community.now_s() + 3_600,
            nonce=next(self._numbers),
        )
        self.people.mint(self.driver.address, deposit_micro)
        separator = domain_separator(community.config.chain.chain_id, contracts.escrow)
        signature = self.driver.sign_digest(order.session_id(separator))
        permit = permit_words(self._permit(deposit_micro))
        host = self.escrow.charger_of(order.charger_id).host
        (role,) = [
            account_key(account)
            for account in (HOST, OTHER_HOST)
            if self.people.member(account).address == host
        ]
        self.act(
            escrow.open_session(order_words(order), signature, permit), role=role, gas=OPEN_GAS
        )
        return order

    def _permit(self, amount_micro: int) -> Permit | None:
        community = self.people.community
        contracts = community.contracts
        if self.is_whimsical:  # It knows none.
            data = encode_call("SettlementToken", "approve", [contracts.escrow, amount_micro])
            self.people.send_as(self.driver, contracts.token, data)
            return None
        token = TokenReader(community.chain, contracts.token)
        deadline_s = community.now_s() + 3_600
        digest = permit_digest(
            token.domain_separator(),
            owner=self.driver.address,
            spender=contracts.escrow,
            amount_micro=amount_micro,
            nonce=token.permit_nonce_of(self.driver.address),
            deadline_s=deadline_s,
        )
        return Permit(deadline_s=deadline_s, signature=self.driver.sign_digest(digest))

    def act(self, data: bytes, *, role: str = account_key(HOST), gas: int | None = None) -> None:
        """One of the community's keys sends something to the escrow."""
        community = self.people.community
        key = f"earning:{next(self._numbers)}"
        intent = community.intent(key, data, to=community.contracts.escrow, role=role, gas=gas)
        community.execute([intent])

    # A token that refuses somebody.

    is_whimsical: bool = False

    @contextmanager
    def whimsical(self) -> Iterator[Address]:
        """Another escrow with the same first charger; its token treats one address as it likes."""
        community = self.people.community
        before = community.contracts
        code = json.loads((ARTIFACTS / "WhimToken.json").read_text())["bytecode"]
        token = self._created(bytes.fromhex(code.removeprefix("0x")))
        contract = self._created(escrow.deploy(token, before.registry))
        vars(community)["contracts"] = replace(before, token=token, escrow=contract)
        self.is_whimsical = True
        try:
            data = escrow.register(
                charger_id=charger_id_of("CP1", 1),
                host=self.people.member(HOST).address,
                record_key=community.keys.wallet(record_key_name("CP1", 1)).address,
                power_w=POWER_W,
                last_wh=0,
            )
            self.act(data, role="registrar")
            yield token
        finally:
            self.is_whimsical = False
            vars(community)["contracts"] = before

    def _created(self, code: bytes) -> Address:
        community = self.people.community
        key = f"create:{next(self._numbers)}"
        (made,) = community.execute([community.intent(key, code, to=None, role="owner")])
        assert made.inclusion is not None
        assert made.inclusion.contract_address is not None
        return made.inclusion.contract_address

    def treat(self, token: Address, against: Address, whim: int) -> None:
        """From now on transfers to this address fare so."""
        selector = keccak256(b"treat(address,uint8)")[:4]
        data = selector + bytes(12) + against + whim.to_bytes(32)
        community = self.people.community
        key = f"treat:{next(self._numbers)}"
        community.execute([community.intent(key, data, to=token, role="owner")])


@contextmanager
def earning_world(path: Path) -> Iterator[EarningWorld]:
    """Two hosts, three chargers."""
    with people_world(path, **SECTIONS) as people:
        yield EarningWorld(people=people)
