"""The contract and its model side by side: every call goes to both, and then they are compared."""

from collections import Counter
from collections.abc import Iterable

from ledger.chain.market_values import MarketTariff, PendingState
from ledger.chain.protocol import Receipt
from ledger.chain.replay import market_events, read_entries, read_history
from ledger.chain.wallet import Wallet
from ledger.history import AccountLimits, MarketEvent, MarketHistory
from tests.market.model import Broken, MarketModel
from tests.market.on_chain import MarketOnChain
from tests.market.state import NANO_PER_MICRO, NOBODY, Prices

LANES = 4
OWN_MONEY = {"Deposited": 1, "Withdrawn": -1}


class Pair:
    """A contract that must do what its model does."""

    def __init__(self, chain: MarketOnChain, model: MarketModel) -> None:
        self.chain, self.model = chain, model
        self.history = MarketHistory()
        self.read_blocks = 0
        self.seen: Counter[str] = Counter()  # Calls taken and refusals, by name.
        self.touched = {0, 1, 2}  # Accounts that are compared in the end.
        self.model.now_s = chain.now_s
        self.follow()
        self.balances_nano = self.read_balances()

    def at(self, instant_s: int) -> None:
        """The next call happens then."""
        self.chain.at(instant_s)
        self.model.now_s = self.chain.now_s

    def act(self, name: str, by: Wallet, data: bytes, broken: Broken) -> bool:
        """One call, that the model has just made; whether it was taken."""
        if broken:
            refusal = self.chain.refusal(by, data)
            assert refusal in broken, f"{name}: the contract says {refusal}, the model {broken}"
            self.seen[refusal] += 1
            return False
        at_s = self.chain.now_s
        receipt = self.chain.send(by, data)
        assert self.chain.chain.head().timestamp_s == at_s
        self.seen[name] += 1
        self.model.now_s = self.chain.now_s
        events = self.follow()
        self.check_moves(events, receipt)
        self.compare()
        for account in {event.args["account"] for event in events if "account" in event.args}:
            if len(events) == 1:
                self.compare_account(account)
            self.touched.add(account)
        return True

    def read_balances(self) -> list[int]:
        words = self.chain.reader.all_balance_words()
        return [word >> 64 * lane & 2**64 - 1 for word in words for lane in range(LANES)]

    def follow(self) -> list[MarketEvent]:
        """Folds what has happened since."""
        chain, market = self.chain.chain, self.chain.market
        entries = read_entries(chain, market, from_block=self.read_blocks)
        self.read_blocks = chain.head().number + 1
        events = list(market_events(entries))
        self.history.extend(events)
        return events

    def check_moves(self, events: Iterable[MarketEvent], receipt: Receipt) -> None:
        """Nobody's balance moves but by deposit, own withdrawal or a final settlement."""
        lanes = self.read_balances()
        expected = self.balances_nano + [0] * (len(lanes) - len(self.balances_nano))
        for event in events:
            if event.name in OWN_MONEY:
                account, micro = event.args["account"], event.args["amountMicro"]
                expected[account] += OWN_MONEY[event.name] * micro * NANO_PER_MICRO
            if event.name == "Withdrawn":
                assert event.args["to"] == self.model.accounts[account].owner
            if event.name == "Finalized":
                key = (event.args["periodStart"], event.args["run"])
                assert self.model.final[-1].key == key
                assert sum(self.model.final[-1].lanes) == 0
                for account, nano in enumerate(self.model.final[-1].lanes):
                    expected[account] += nano
        assert lanes == expected, receipt
        self.balances_nano = lanes

    def compare(self) -> None:
        """What is cheap to compare after every call."""
        model, history, reader = self.model, self.history, self.chain.reader
        balances_nano = [account.balance_nano for account in model.accounts]
        assert self.balances_nano[: len(balances_nano)] == balances_nano
        assert not any(self.balances_nano[len(balances_nano) :])
        assert history.balances_nano == balances_nano
        held_micro = self.chain.token.balance_micro_of(self.chain.market)
        assert held_micro == model.held_micro == history.deposited_micro()
        assert held_micro * NANO_PER_MICRO == sum(balances_nano)
        assert history.owners == [account.owner for account in model.accounts]
        assert history.final_order == [draft.key for draft in model.final]
        assert len(set(history.final_order)) == len(history.final_order)
        pending = reader.pending()
        assert pending.state == PendingState[model.state().upper()]
        if model.pending:
            assert (pending.period_start_s, pending.run) == model.pending.draft.key
            assert pending.proposed_at_s == model.pending.proposed_s
        assert history.last_revision_at_s == model.last_revision_s

    def compare_account(self, account: int) -> None:
        """One account, in storage and as the events tell."""
        model, history, reader = self.model, self.history, self.chain.reader
        own = model.accounts[account]
        limits = [
            AccountLimits(effective_from_s=since, max_buy_per_kwh=most, min_sell_per_kwh=least)
            for since, most, least in own.limits
        ]
        assert reader.address_of(account) == own.owner == history.owners[account]
        assert (reader.recovery_of(account) or NOBODY) == own.recovery
        move = reader.move_of(account)
        assert own.move == (move and (move.to, move.requested_at_s, move.by_recovery))
        request = reader.request_of(account)
        assert (request.amount_micro, request.requested_at_s) == own.request
        requested_s, requested_micro = history.request_at(account)
        assert (requested_micro, requested_s if requested_micro else 0) == own.request
        assert reader.limits_of(account) == limits
        assert reader.limits_nonce(account) == own.limits_nonce
        assert reader.withdrawal_nonce(account) == own.withdrawal_nonce
        delay_s, now_s = model.fixed.delay_s, model.now_s
        available_nano = history.available_nano(account, at_s=now_s, withdrawal_delay_s=delay_s)
        assert reader.available_nano_of(account) == model.available_nano(account) == available_nano
        changes_s = {since + step for since, _, _ in own.limits for step in (-1, 0)}
        for period_s in changes_s.union(self.periods_s()):
            effective = [each for each in limits if each.effective_from_s <= period_s]
            assert history.limits_at(account, period_s) == (effective[-1] if effective else None)
        for period_s in self.periods_s():
            assert history.cover_nano(account, period_s) == model.cover_nano(account, period_s)
            applied_nano = history.applied_nano(period_s, account, before_run=model.runs(period_s))
            assert applied_nano == model.applied_nano(account, period_s)

    def compare_all(self) -> None:
        """Everything, and the history folded anew from the first block."""
        model, reader = self.model, self.chain.reader
        self.history = read_history(self.chain.chain, self.chain.market)
        self.compare()
        for account in sorted(self.touched):
            self.compare_account(account)
        assert (reader.owner(), reader.operator()) == (model.owner, model.operator)
        assert reader.next_period_start_s() == model.next_period_s
        assert reader.last_revision_at_s() == model.last_revision_s
        for key, commitment in model.published.items():
            assert reader.commitment_of(*key) == commitment
        for period_s in self.periods_s():
            runs = model.runs(period_s)
            assert reader.final_runs(period_s) == runs == len(self.history.final_runs(period_s))
            assert reader.final_runs(period_s + 1) == 0
            prices = model.prices_at(period_s)
            assert prices is not None
            assert reader.tariff_at(period_s) == tariff_of(prices)
        starts = [
            (tariff.starts_at_s, tariff.grid_import_per_kwh, tariff.fixed_per_kwh)
            for tariff in self.history.tariffs
        ]
        assert starts == [(since, each.grid_import, each.fixed) for since, each in model.tariffs]

    def periods_s(self) -> list[int]:
        """Starts of the periods that were ever proposed, and of some around now."""
        model, fixed = self.model, self.model.fixed
        now_s = max(fixed.first_s, model.now_s // fixed.period_s * fixed.period_s)
        near = (now_s, now_s + fixed.period_s, model.next_period_s)
        return sorted({fixed.first_s, *near, *model.tried_s()})


def tariff_of(prices: Prices) -> MarketTariff:
    return MarketTariff(
        grid_import_per_kwh=prices.grid_import,
        grid_export_per_kwh=prices.grid_export,
        local_fee_per_kwh=prices.fee,
        fixed_per_kwh=prices.fixed,
    )
