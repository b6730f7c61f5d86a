"""Gas a settlement, by account, on the embedded EVM; and two plain ways in the same run.

`python -m tests.bench gas`

Gas is exact: the same on any machine. Everything is a whole transaction, measured on the second
settlement, when no slot is written for the first time.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from api.jobs.settlement_calls import proposal_call
from ledger.chain import market_calls, settlement_token
from ledger.chain.abi import selector_of
from ledger.chain.codec import record_of
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.market_values import MarketConfig, MarketTariff, Proposal
from ledger.chain.protocol import Receipt
from ledger.chain.wallet import Wallet
from ledger.keccak import keccak256
from ledger.periods import Schedule
from ledger.settlement import SettlementPlan, plan
from ledger.units import NANO_PER_MICRO, Address, Hash32, from_unix_s
from ledger.words import WindowPrice, delta_words, prices_hash, windows_hash
from tests.bench.street import (
    DAY_S,
    MEMBER_NANO,
    RULES,
    START_S,
    SUPPLIER_NANO,
    TARIFF,
    WINDOW_S,
    assignment_of,
    schedule_of,
)

ACCOUNTS = 1_000
WINDOWS = (1, 96)
TRANSFERS = 20
BATCH = 200
GAS = 16_777_216  # Of one transaction (EIP-7825).
SECRET = b"only for measuring"
OPERATOR = Wallet(b"\x01" * 32)
NAIVE = json.loads((Path(__file__).parent / "artifacts/NaiveMarket.json").read_text("utf-8"))
NOTHING = Hash32(bytes(32))


class Street:
    """An embedded chain with one wallet that does everything."""

    def __init__(self, directory: Path, genesis_at: datetime) -> None:
        self.chain = EmbeddedChain.open(directory, genesis_at=genesis_at)
        self._nonce = 0

    def send(self, to: Address | None, data: bytes) -> Receipt:
        """Mines one transaction, which must succeed: gas of a failure means nothing."""
        signed = OPERATOR.sign_transaction(
            chain_id=self.chain.chain_id,
            nonce=self._nonce,
            to=to,
            data=data,
            gas=GAS,
            fees=self.chain.fees(),
        )
        self._nonce += 1
        receipt = self.chain.receipt(self.chain.send_raw(signed.raw))
        if receipt is None or not receipt.succeeded:
            raise RuntimeError(f"transaction {self._nonce} failed")
        return receipt

    def create(self, data: bytes) -> Address:
        """Deploys a contract."""
        address = self.send(None, data).contract_address
        if address is None:
            raise RuntimeError("no contract was created")
        return address

    def at(self, instant_s: int) -> None:
        """The next transaction happens then, or as soon after as a block can be."""
        self.chain.set_next_timestamp(from_unix_s(instant_s))


class Market:
    """Our contract with everybody enrolled, and every balance above zero after `seed`."""

    def __init__(self, street: Street, schedule: Schedule, accounts: int) -> None:
        self.street, self.schedule, self.accounts = street, schedule, accounts
        owner = OPERATOR.address
        self.token = street.create(settlement_token.deploy(owner))
        self.market = street.create(market_calls.deploy(_config(schedule, self.token)))
        for first in range(2, accounts, BATCH):
            count = min(BATCH, accounts - first)
            street.send(self.market, market_calls.enrol_many(first, [owner] * count))
        supplied_micro = (SUPPLIER_NANO + accounts * MEMBER_NANO) // NANO_PER_MICRO
        street.send(self.token, settlement_token.mint(owner, supplied_micro))
        street.send(self.token, settlement_token.approve(self.market, supplied_micro))
        street.send(self.market, market_calls.deposit(0, supplied_micro))

    def seed(self) -> None:
        """The first period: the supplier pays everybody the same."""
        paid_nano = (self.accounts - 1) * MEMBER_NANO
        deltas = delta_words([-paid_nano] + [MEMBER_NANO] * (self.accounts - 1))
        start_s = self.schedule.first_period_start_s
        end_s = self.schedule.period_end(start_s)
        proposal = Proposal(
            period_start_s=start_s,
            run=0,
            cutoff_at_s=end_s,
            statements_root=NOTHING,
            totals_hash=NOTHING,
        )
        price = WindowPrice(
            local_per_kwh=180_000,
            local_fee_per_kwh=TARIFF.local_fee_per_kwh,
            grid_import_per_kwh=TARIFF.grid_import_per_kwh,
            grid_export_per_kwh=TARIFF.grid_export_per_kwh,
        )
        prices = [price] * self.schedule.period_windows
        words = [each.word for each in prices]
        self.street.at(end_s)
        call = market_calls.propose if self.schedule.dispute_period_s else market_calls.settle
        self.street.send(
            self.market, call(proposal, prices=words, deltas=deltas, shortfalls_nano={})
        )
        if self.schedule.dispute_period_s:
            hidden = windows_hash(prices_hash(prices), NOTHING)
            self._finalize(start_s, NOTHING, hidden, deltas)

    def run(self) -> tuple[SettlementPlan, int]:
        """The second period, planned from the street's flows; its plan and its gas in all."""
        planned = plan(assignment_of(self.accounts, self.schedule, period=1), SECRET)
        self.street.at(self.schedule.period_end(planned.period_start_s))
        function = "propose" if self.schedule.dispute_period_s else "settle"
        gas = self.street.send(self.market, proposal_call(function, planned)).gas_used
        if self.schedule.dispute_period_s:
            gas += self._finalize(
                planned.period_start_s, planned.tree.root, planned.windows_hash, planned.deltas
            )
        return planned, gas

    def _finalize(
        self, period_start_s: int, root: Hash32, windows: Hash32, deltas: Sequence[int]
    ) -> int:
        proposed_s = self.street.chain.head().timestamp_s
        self.street.at(proposed_s + self.schedule.dispute_period_s + 1)
        data = market_calls.finalize(
            period_start_s=period_start_s,
            run=0,
            cutoff_at_s=self.schedule.period_end(period_start_s),
            statements_root=root,
            windows_hash=windows,
            deltas=deltas,
        )
        return self.street.send(self.market, data).gas_used


def main(accounts: int = ACCOUNTS) -> None:
    """Prints the table."""
    settle: list[float] = []
    two_steps: list[float] = []
    slots: list[float] = []
    transfers: list[float] = []
    for windows in WINDOWS:
        planned, gas = _measured(windows, accounts, dispute_period_s=0)
        settle.append(gas / accounts)
        two_steps.append(_measured(windows, accounts, dispute_period_s=WINDOW_S // 4)[1] / accounts)
        with _street() as street:
            slots.append(_slot_a_member(street, planned) / accounts)
            transfers.append(_transfer_gas(street) * _trades(planned) / accounts)
    print(f"gas an account, {accounts:,} accounts, whole transactions, steady state\n")
    head = "".join(f"{f'{count} window' + 's' * (count > 1):>13}{'ratio':>8}" for count in WINDOWS)
    print(f"{'':<36}{head}")
    for name, row in (
        ("settle", settle),
        ("propose and finalize", two_steps),
        ("plain: one slot a member", slots),
        ("plain: one ERC-20 transfer a trade", transfers),
    ):
        cells = "".join(f"{a:>13,.0f}{a / b:>8.1f}" for a, b in zip(row, settle, strict=True))
        print(f"{name:<36}{cells}")
    print("ratio: to settle. A trade: a member's purchase in a window; paid to one seller.")


def _measured(windows: int, accounts: int, *, dispute_period_s: int) -> tuple[SettlementPlan, int]:
    with _street() as street:
        schedule = schedule_of(windows, dispute_period_s=dispute_period_s)
        market = Market(street, schedule, accounts)
        market.seed()
        return market.run()


@contextmanager
def _street() -> Iterator[Street]:
    """A street on a chain of its own, gone afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        street = Street(Path(directory), from_unix_s(START_S - DAY_S))
        try:
            yield street
        finally:
            street.chain.close()


def _slot_a_member(street: Street, planned: SettlementPlan) -> int:
    accounts = len(planned.results)
    market = street.create(bytes.fromhex(NAIVE["bytecode"][2:]))
    for first in range(0, accounts, BATCH):
        count = min(BATCH, accounts - first)
        nano = SUPPLIER_NANO if first == 0 else MEMBER_NANO
        street.send(market, _naive_call("credit", first, count, nano))
    deltas_nano = [result.delta_nano for result in planned.results]
    data = _naive_call("settle", planned.period_start_s, planned.tree.root, deltas_nano)
    return street.send(market, data).gas_used


def _transfer_gas(street: Street) -> float:
    """Of a transfer to somebody who holds some already."""
    token = street.create(settlement_token.deploy(OPERATOR.address))
    street.send(token, settlement_token.mint(OPERATOR.address, 10**12))
    gas = 0
    for number in range(TRANSFERS):
        seller = Address(keccak256(b"seller %d" % number)[:20])
        street.send(token, settlement_token.transfer(seller, 1_000_000))
        gas += street.send(token, settlement_token.transfer(seller, 123_456)).gas_used
    return gas / TRANSFERS


def _trades(planned: SettlementPlan) -> int:
    return sum(row.bought_wh > 0 for result in planned.results for row in result.rows)


def _naive_call(function: str, *arguments: Any) -> bytes:
    entry = next(each for each in NAIVE["abi"] if each.get("name") == function)
    return selector_of(entry) + record_of(entry["inputs"]).encode(arguments)


def _config(schedule: Schedule, token: Address) -> MarketConfig:
    owner = OPERATOR.address
    return MarketConfig(
        token=token,
        registry=Address(b"\x11" * 20),
        owner=owner,
        operator=owner,
        supplier=owner,
        grid_operator=owner,
        first_period_start_s=schedule.first_period_start_s,
        window_s=schedule.window_s,
        period_windows=schedule.period_windows,
        grace_s=schedule.grace_s,
        dispute_period_s=schedule.dispute_period_s,
        finalize_within_s=schedule.finalize_within_s,
        withdrawal_delay_s=RULES.withdrawal_delay_s,
        volume_rule=RULES.volume_rule,
        price_rule=RULES.price_rule,
        residual=RULES.residual,
        auction_k_bps=RULES.auction_k_bps,
        keys_hash=NOTHING,
        debit_max_wh=RULES.debit_max_wh,
        supplier_debit_max_nano=RULES.supplier_debit_max_nano,
        tariff=MarketTariff(
            grid_import_per_kwh=TARIFF.grid_import_per_kwh,
            grid_export_per_kwh=TARIFF.grid_export_per_kwh,
            local_fee_per_kwh=TARIFF.local_fee_per_kwh,
        ),
    )


if __name__ == "__main__":
    main()
