"""Our own contracts through the typed calls and readers, on the embedded chain."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger import words
from ledger.chain import market_calls, registry, settlement_token
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.errors import ContractReverted
from ledger.chain.market import MarketReader
from ledger.chain.market_values import (
    AnnouncedOperator,
    AnnouncedTariff,
    MarketConfig,
    MarketTariff,
    Move,
    Pending,
    PendingState,
    Proposal,
    WithdrawalRequest,
)
from ledger.chain.protocol import Receipt
from ledger.chain.registry import VALID_UNTIL_OPEN_S, MeterClass, RegistryReader, RegistryTerm
from ledger.chain.settlement_token import TokenReader
from ledger.chain.wallet import Wallet
from ledger.clearing import PriceRule, Residual, VolumeRule
from ledger.history import AccountLimits
from ledger.keccak import domain_separator, keccak256, typed_digest
from ledger.units import Address, Hash32, from_unix_s, to_unix_s
from ledger.words import WindowPrice

DAY_S = 86_400
FIRST_S = to_unix_s(datetime(2016, 6, 1, tzinfo=UTC))
GENESIS_AT = from_unix_s(FIRST_S - DAY_S)
OPERATOR, OWNER, GRID, SUPPLIER, ANNA, BERND = (Wallet(bytes([n]) * 32) for n in range(1, 7))
NO_HASH = Hash32(bytes(32))
TARIFF = MarketTariff(
    grid_import_per_kwh=300_000, grid_export_per_kwh=80_000, local_fee_per_kwh=20_000
)
PRICE = WindowPrice(
    local_per_kwh=180_000,
    local_fee_per_kwh=20_000,
    grid_import_per_kwh=300_000,
    grid_export_per_kwh=80_000,
)
NOWHERE = Address(bytes(20))
METER_ID = Hash32(b"\x0a" * 32)


@dataclass
class Town:
    """A community with its three contracts."""

    chain: EmbeddedChain
    dispute_period_s: int
    token: Address = NOWHERE
    registry: Address = NOWHERE
    market: Address = NOWHERE

    def send(self, wallet: Wallet, to: Address | None, data: bytes) -> Receipt:
        if to is not None:  # A refusal should say why.
            self.chain.call(to, data, sender=wallet.address)
        signed = wallet.sign_transaction(
            chain_id=self.chain.chain_id,
            nonce=self.chain.nonce(wallet.address),
            to=to,
            data=data,
            gas=16_000_000,
            fees=self.chain.fees(),
        )
        receipt = self.chain.receipt(self.chain.send_raw(signed.raw))
        assert receipt is not None
        assert receipt.succeeded
        return receipt

    def create(self, data: bytes) -> Address:
        created = self.send(OPERATOR, None, data).contract_address
        assert created is not None
        return created

    def build(self) -> None:
        self.token = self.create(settlement_token.deploy(OPERATOR.address))
        self.registry = self.create(registry.deploy(GRID.address))
        self.market = self.create(market_calls.deploy(self.config))
        owners = [ANNA.address, BERND.address]
        self.send(OPERATOR, self.market, market_calls.enrol(2, owners[0]))
        self.send(OPERATOR, self.market, market_calls.enrol_many(3, owners[1:]))
        for account, wallet in ((0, SUPPLIER), (2, ANNA), (3, BERND)):
            mint = settlement_token.mint(wallet.address, 200_000_000)
            self.send(OPERATOR, self.token, mint)
            self.send(wallet, self.token, settlement_token.approve(self.market, 50_000_000))
            self.send(wallet, self.market, market_calls.deposit(account, 50_000_000))

    @property
    def config(self) -> MarketConfig:
        return MarketConfig(
            token=self.token,
            registry=self.registry,
            owner=OWNER.address,
            operator=OPERATOR.address,
            supplier=SUPPLIER.address,
            grid_operator=GRID.address,
            first_period_start_s=FIRST_S,
            window_s=DAY_S,
            period_windows=1,
            grace_s=DAY_S,
            dispute_period_s=self.dispute_period_s,
            finalize_within_s=DAY_S // 4,
            withdrawal_delay_s=4 * DAY_S,
            volume_rule=VolumeRule.PROPORTIONAL,
            price_rule=PriceRule.MID_MARKET,
            residual=Residual.SETTLED,
            auction_k_bps=5_000,
            keys_hash=NO_HASH,
            debit_max_wh=100_000,
            supplier_debit_max_nano=10**15,
            tariff=TARIFF,
        )

    @property
    def reader(self) -> MarketReader:
        return MarketReader(self.chain, self.market)

    def sign_typed(self, wallet: Wallet, kind: bytes, *values: int) -> bytes:
        struct = keccak256(kind) + b"".join(value.to_bytes(32) for value in values)
        separator = domain_separator(self.chain.chain_id, self.market)
        return wallet.sign_digest(typed_digest(separator, keccak256(struct)))


def town_of(directory: Path, dispute_period_s: int) -> Iterator[Town]:
    with EmbeddedChain.open(directory, genesis_at=GENESIS_AT) as chain:
        town = Town(chain, dispute_period_s)
        town.build()
        yield town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Settles in one transaction."""
    yield from town_of(tmp_path, 0)


@pytest.fixture
def disputing_town(tmp_path: Path) -> Iterator[Town]:
    """Proposes, waits, finalizes."""
    yield from town_of(tmp_path, DAY_S // 4)


# Anna buys 1 kWh of Bernd: 200,000 with the fee, 180,000 for him, 20,000 for the grid operator.
DELTAS_NANO = [0, 20_000_000, -200_000_000, 180_000_000]
DELTAS = words.delta_words(DELTAS_NANO)


def proposal_of(town: Town) -> Proposal:
    return Proposal(
        period_start_s=FIRST_S,
        run=0,
        cutoff_at_s=FIRST_S + DAY_S,
        statements_root=Hash32(b"\x01" * 32),
        totals_hash=Hash32(b"\x02" * 32),
    )


def test_a_market_says_what_it_was_created_with(town: Town) -> None:
    config = town.reader.config()
    assert config == town.config
    assert config.schedule.period_s == DAY_S
    assert town.reader.owner() == OWNER.address
    assert town.reader.operator() == OPERATOR.address
    assert town.reader.tariff_at(FIRST_S) == TARIFF
    assert town.reader.account_count() == 4
    assert [town.reader.address_of(account) for account in range(4)] == [
        SUPPLIER.address,
        GRID.address,
        ANNA.address,
        BERND.address,
    ]
    assert town.reader.next_period_start_s() == FIRST_S
    assert town.reader.last_revision_at_s() == 0


def test_rules_that_differ_from_the_default_survive_the_way_there_and_back(town: Town) -> None:
    config = replace(
        town.config,
        volume_rule=VolumeRule.PRIORITY,
        price_rule=PriceRule.SUPPLY_DEMAND_RATIO,
        residual=Residual.EXTERNAL,
        keys_hash=Hash32(b"\x07" * 32),
    )
    other = town.create(market_calls.deploy(config))
    assert MarketReader(town.chain, other).config() == config


def test_deposits_are_in_the_balance_words_and_in_the_tokens(town: Town) -> None:
    reader, token = town.reader, TokenReader(town.chain, town.token)
    assert (
        words.balances_of_words(reader.all_balance_words(), 4) == [5 * 10**10, 0] + [5 * 10**10] * 2
    )
    assert reader.balance_nano_of(2) == reader.available_nano_of(2) == 5 * 10**10
    assert token.balance_micro_of(town.market) == 150_000_000
    assert token.balance_micro_of(ANNA.address) == 150_000_000
    assert token.total_micro() == 600_000_000
    assert token.allowance_micro(ANNA.address, town.market) == 0
    assert token.decimals() == 6


def test_settle_moves_the_money_and_its_calldata_says_how(town: Town) -> None:
    town.chain.set_next_timestamp(from_unix_s(FIRST_S + DAY_S))
    data = market_calls.settle(
        proposal_of(town), prices=[PRICE.word], deltas=DELTAS, shortfalls_nano={}
    )
    receipt = town.send(OPERATOR, town.market, data)
    assert words.balances_of_words(town.reader.balance_words(0, 1), 4) == [
        50_000_000_000,
        20_000_000,
        49_800_000_000,
        50_180_000_000,
    ]
    events = [market_calls.event_of(log) for log in receipt.logs]
    assert [event.name for event in events if event] == ["Proposed", "Finalized"]
    transaction = town.chain.transaction(receipt.tx_hash)
    assert transaction is not None
    parsed = market_calls.parse_settlement_input(transaction.data)
    assert words.deltas_of_words(parsed.deltas, 4) == DELTAS_NANO
    windows = words.windows_hash(words.prices_hash([PRICE]), proposal_of(town).totals_hash)
    assert town.reader.commitment_of(FIRST_S, 0) == words.commitment(
        statements_root=parsed.statements_root,
        windows=windows,
        deltas_root=words.deltas_root(parsed.deltas),
        run=0,
        cutoff_at_s=parsed.cutoff_at_s,
    )
    assert town.reader.commitment_of(FIRST_S, 1) is None
    assert town.reader.final_runs(FIRST_S) == 1
    assert town.reader.next_period_start_s() == FIRST_S + DAY_S
    before = MarketReader(town.chain, town.market, at_block=receipt.block_number - 1)
    assert before.balance_nano_of(2) == 50_000_000_000


def test_propose_waits_and_finalize_applies(disputing_town: Town) -> None:
    town = disputing_town
    proposal = proposal_of(town)
    assert town.reader.pending().state is PendingState.NONE
    proposed_at_s = FIRST_S + DAY_S
    town.chain.set_next_timestamp(from_unix_s(proposed_at_s))
    propose = market_calls.propose(proposal, prices=[PRICE.word], deltas=DELTAS, shortfalls_nano={})
    town.send(OPERATOR, town.market, propose)
    assert town.reader.pending() == Pending(
        period_start_s=FIRST_S, run=0, proposed_at_s=proposed_at_s, state=PendingState.PROPOSED
    )
    finalize = market_calls.finalize(
        period_start_s=FIRST_S,
        run=0,
        cutoff_at_s=proposal.cutoff_at_s,
        statements_root=proposal.statements_root,
        windows_hash=words.windows_hash(words.prices_hash([PRICE]), proposal.totals_hash),
        deltas=DELTAS,
    )
    with pytest.raises(ContractReverted, match="EnergyMarket_DisputeOpen"):
        town.send(BERND, town.market, finalize)
    town.chain.set_next_timestamp(from_unix_s(proposed_at_s + DAY_S // 4))
    town.send(BERND, town.market, finalize)
    assert town.reader.balance_nano_of(3) == 50_180_000_000


def test_a_proposal_can_be_taken_back(disputing_town: Town) -> None:
    town = disputing_town
    town.chain.set_next_timestamp(from_unix_s(FIRST_S + DAY_S))
    propose = market_calls.propose(
        proposal_of(town), prices=[PRICE.word], deltas=DELTAS, shortfalls_nano={}
    )
    town.send(OPERATOR, town.market, propose)
    town.send(OPERATOR, town.market, market_calls.cancel())
    assert town.reader.pending().state is PendingState.CANCELLED


def test_a_refusal_has_the_contracts_words(town: Town) -> None:
    with pytest.raises(ContractReverted) as caught:
        town.send(ANNA, town.market, market_calls.enrol(4, ANNA.address))
    assert caught.value.name == "EnergyMarket_NotOperator"
    assert caught.value.arguments == {"caller": ANNA.address}


def test_limits_and_withdrawals_are_relayed_for_whoever_signed_them(town: Town) -> None:
    kind = (
        b"PriceLimits(uint32 account,uint64 validFrom,uint64 maxBuyPerKwh,"
        b"uint64 minSellPerKwh,uint256 nonce)"
    )
    signature = town.sign_typed(ANNA, kind, 2, FIRST_S, 250_000, 0, 5)
    limits = market_calls.set_limits(
        account=2,
        valid_from_s=FIRST_S,
        max_buy_per_kwh=250_000,
        min_sell_per_kwh=0,
        nonce=5,
        signature=signature,
    )
    town.send(OPERATOR, town.market, limits)
    assert town.reader.limits_of(2) == [
        AccountLimits(effective_from_s=FIRST_S, max_buy_per_kwh=250_000, min_sell_per_kwh=0)
    ]
    assert (town.reader.limits_nonce(2), town.reader.withdrawal_nonce(2)) == (5, 0)
    signature = town.sign_typed(
        ANNA, b"Withdrawal(uint32 account,uint64 amountMicro,uint256 nonce)", 2, 7_000_000, 1
    )
    withdrawal = market_calls.request_withdrawal_by_sig(
        account=2, amount_micro=7_000_000, nonce=1, signature=signature
    )
    block = town.chain.block(town.send(OPERATOR, town.market, withdrawal).block_number)
    assert block is not None
    assert town.reader.request_of(2) == WithdrawalRequest(
        amount_micro=7_000_000, requested_at_s=block.timestamp_s
    )
    town.chain.set_next_timestamp(from_unix_s(block.timestamp_s + 4 * DAY_S))
    assert town.reader.available_nano_of(2) == 43_000_000_000
    town.send(BERND, town.market, market_calls.withdraw(2))
    assert town.reader.request_of(2).amount_micro == 0
    assert TokenReader(town.chain, town.token).balance_micro_of(ANNA.address) == 157_000_000
    town.send(ANNA, town.market, market_calls.request_withdrawal(2, 1))
    assert town.reader.request_of(2).amount_micro == 1


def test_a_deposit_comes_by_permit(town: Town) -> None:
    token = TokenReader(town.chain, town.token)
    nonce, deadline_s = token.permit_nonce_of(ANNA.address), FIRST_S + 10 * DAY_S
    digest = settlement_token.permit_digest(
        token.domain_separator(),
        owner=ANNA.address,
        spender=town.market,
        amount_micro=9_000_000,
        nonce=nonce,
        deadline_s=deadline_s,
    )
    data = market_calls.deposit_with_permit(
        account=2,
        payer=ANNA.address,
        amount_micro=9_000_000,
        nonce=nonce,
        deadline_s=deadline_s,
        signature=ANNA.sign_digest(digest),
    )
    assert not town.reader.permit_used(digest)
    town.send(OPERATOR, town.market, data)
    assert town.reader.permit_used(digest)
    assert town.reader.balance_nano_of(2) == 59_000_000_000


def test_an_account_moves_to_another_address(town: Town) -> None:
    assert town.reader.recovery_of(2) is None
    assert town.reader.move_of(2) is None
    town.send(ANNA, town.market, market_calls.name_recovery(2, GRID.address))
    assert town.reader.recovery_of(2) == GRID.address
    move = market_calls.request_move(2, OWNER.address)
    block = town.chain.block(town.send(GRID, town.market, move).block_number)
    assert block is not None
    assert town.reader.move_of(2) == Move(
        to=OWNER.address, requested_at_s=block.timestamp_s, by_recovery=True
    )
    town.send(ANNA, town.market, market_calls.cancel_move(2))
    assert town.reader.move_of(2) is None
    town.send(GRID, town.market, move)
    town.chain.set_next_timestamp(from_unix_s(block.timestamp_s + 5 * DAY_S))
    town.send(BERND, town.market, market_calls.execute_move(2))
    assert town.reader.address_of(2) == OWNER.address


def test_operator_owner_and_tariff_change_in_two_steps(town: Town) -> None:
    reader = town.reader
    assert reader.announced_operator() is None
    assert reader.announced_owner() is None
    assert reader.announced_tariff() is None
    starts_at_s = FIRST_S + 30 * DAY_S
    tariff = replace(TARIFF, local_fee_per_kwh=10_000)
    town.send(OWNER, town.market, market_calls.announce_operator(BERND.address))
    announced = town.send(OWNER, town.market, market_calls.announce_tariff(tariff, starts_at_s))
    block = town.chain.block(announced.block_number)
    assert block is not None
    assert reader.announced_operator() == AnnouncedOperator(
        operator=BERND.address, announced_at_s=block.timestamp_s - 1
    )
    assert reader.announced_tariff() == AnnouncedTariff(
        tariff=tariff, starts_at_s=starts_at_s, announced_at_s=block.timestamp_s
    )
    town.chain.set_next_timestamp(from_unix_s(block.timestamp_s + 4 * DAY_S))
    town.send(BERND, town.market, market_calls.accept_operator())
    town.send(BERND, town.market, market_calls.enact_tariff())
    assert reader.operator() == BERND.address
    assert reader.tariff_at(starts_at_s) == tariff
    assert reader.tariff_at(starts_at_s - DAY_S) == TARIFF
    town.send(OWNER, town.market, market_calls.announce_owner(ANNA.address))
    assert reader.announced_owner() == ANNA.address
    town.send(ANNA, town.market, market_calls.accept_owner())
    assert reader.owner() == ANNA.address


def test_a_registry_keeps_the_terms_of_a_meter(town: Town) -> None:
    reader = RegistryReader(town.chain, town.registry)
    begin = registry.begin(
        meter_id=METER_ID,
        key=ANNA.address,
        account=2,
        meter_class=MeterClass.GATEWAY,
        limit_w=30_000,
        valid_from_s=FIRST_S,
    )
    receipt = town.send(GRID, town.registry, begin)
    event = registry.event_of(receipt.logs[0])
    assert event is not None
    assert (event.name, event.arguments["limitW"]) == ("TermBegan", 30_000)
    term = RegistryTerm(
        key=ANNA.address,
        account=2,
        meter_class=MeterClass.GATEWAY,
        limit_w=30_000,
        valid_from_s=FIRST_S,
        valid_until_s=VALID_UNTIL_OPEN_S,
    )
    assert reader.terms_of(METER_ID) == [term]
    end = registry.end(meter_id=METER_ID, valid_until_s=FIRST_S + DAY_S)
    town.send(GRID, town.registry, end)
    assert reader.terms_of(METER_ID) == [replace(term, valid_until_s=FIRST_S + DAY_S)]
    assert reader.registrar() == GRID.address
    town.send(GRID, town.registry, registry.announce_registrar(OWNER.address))
    town.send(OWNER, town.registry, registry.accept_registrar())
    assert reader.registrar() == OWNER.address


def test_tokens_are_paid_from_hand_to_hand(town: Town) -> None:
    pay = settlement_token.transfer(BERND.address, 1_000_000)
    receipt = town.send(ANNA, town.token, pay)
    event = settlement_token.event_of(receipt.logs[0])
    assert event is not None
    assert event.name == "Transfer"
    assert event.arguments["value"] == 1_000_000
