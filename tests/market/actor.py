"""Calls that people make of a market, in its contract's and its model's terms at once."""

from collections.abc import Sequence
from itertools import count

from ledger.chain import market_calls as calls
from ledger.chain.abi import encode_call
from ledger.chain.market_values import Proposal
from ledger.chain.wallet import Wallet
from ledger.units import Hash32
from tests.market.drafts import Transfer, bare_draft, bills_of, settled
from tests.market.model import MarketModel
from tests.market.on_chain import PEOPLE, STRANGER, MarketOnChain
from tests.market.pair import Pair
from tests.market.state import NOBODY, Draft

WALLETS = {wallet.address: wallet for wallet in PEOPLE}


class MarketActor:
    """Makes calls of a pair; `by` is whoever has the right to, if nobody else is named."""

    def __init__(self, chain: MarketOnChain, model: MarketModel) -> None:
        self.chain, self.model = chain, model
        self.pair = Pair(chain, model)
        self.seeds = count(1)
        self.is_sound = True  # While nothing has failed.

    def act(self, name: str, by: Wallet, data: bytes, broken: list[str]) -> bool:
        self.is_sound = False
        taken = self.pair.act(name, by, data, broken)
        self.is_sound = True
        return taken

    def at(self, instant_s: int) -> None:
        self.pair.at(instant_s)

    def whose(self, account: int) -> Wallet:
        """Whose account it is; the stranger's while nobody has it."""
        accounts = self.model.accounts
        return WALLETS[accounts[account].owner] if account < len(accounts) else STRANGER

    def enrol(self, by: Wallet | None, account: int, owners: Sequence[Wallet | None]) -> None:
        who = by or WALLETS[self.model.operator]
        addresses = [owner.address if owner else NOBODY for owner in owners]
        broken = self.model.enrol(who.address, account, addresses)
        if len(owners) == 1:
            self.act("enrol", who, calls.enrol(account, addresses[0]), broken)
        else:
            self.act("enrolMany", who, calls.enrol_many(account, addresses), broken)

    def deposit(self, by: Wallet | None, account: int, micro: int) -> None:
        who = by or self.whose(account)
        broken = self.model.deposit(who.address, account, micro)
        self.act("deposit", who, calls.deposit(account, micro), broken)

    def publish(self, by: Wallet | None, draft: Draft, *, wrong_call: bool = False) -> bool:
        who = by or WALLETS[self.model.operator]
        at_once = (self.model.fixed.dispute_s == 0) != wrong_call
        broken = self.model.publish(who.address, draft, at_once=at_once)
        proposal = Proposal(
            period_start_s=draft.period_s,
            run=draft.run,
            cutoff_at_s=draft.cutoff_s,
            statements_root=Hash32(draft.root),
            totals_hash=Hash32(draft.totals),
        )
        data = encode_call(
            calls.CONTRACT,
            "settle" if at_once else "propose",
            [proposal.to_abi(), draft.price_words, draft.words, _shorts_of(draft)],
        )
        name = f"{'settle' if at_once else 'propose'} run {min(draft.run, 1)}"
        return self.act(f"{name} with shorts" if draft.shorts else name, who, data, broken)

    def finalize(self, by: Wallet, draft: Draft) -> bool:
        data = calls.finalize(
            period_start_s=draft.period_s,
            run=draft.run,
            cutoff_at_s=draft.cutoff_s,
            statements_root=Hash32(draft.root),
            windows_hash=Hash32(draft.windows_hash),
            deltas=draft.words,
        )
        return self.act("finalize", by, data, self.model.finalize(draft))

    def withdraw(self, account: int) -> None:
        self.act("withdraw", STRANGER, calls.withdraw(account), self.model.withdraw(account))

    def request(self, by: Wallet | None, account: int, micro: int) -> None:
        who = by or self.whose(account)
        broken = self.model.request_withdrawal(who.address, account, micro)
        self.act("request", who, calls.request_withdrawal(account, micro), broken)

    def turn(self, *, revision: int | None, is_turn: bool) -> tuple[int, int]:
        """Period and run whose turn it is, or the next or a revision as if nothing came first."""
        model = self.model
        if is_turn and model.pending and model.state() != "proposed":
            return model.pending.draft.key
        if revision is not None and model.final:
            period_s = model.final[revision % len(model.final)].period_s
            return period_s, model.runs(period_s)
        return model.next_period_s, 0

    def draft(
        self,
        transfers: Sequence[Transfer],
        place: str,
        jitter_s: int,
        revision: int | None,
        *,
        is_turn: bool = True,
    ) -> Draft:
        """An honest run, at the first instant at which it may be published, or beside it."""
        period_s, run = self.turn(revision=revision, is_turn=is_turn)
        ends_s = period_s + self.model.fixed.period_s
        earliest_s = max(ends_s, self.model.revision_s() if run else 0)
        self.at(max(self.model.now_s, earliest_s + jitter_s))
        cutoff_s = max(ends_s, self.model.now_s - 1)
        bare = bare_draft(
            self.model, period_s, run, cutoff_s=cutoff_s, place=place, seed=next(self.seeds)
        )
        return settled(self.model, bare, bills_of(self.model, bare, transfers))

    def catch_up(self, until_s: int) -> None:
        """Settles empty periods that have ended, until the next one starts then."""
        for _ in range(8):
            if self.model.next_period_s < until_s:
                self.clear()
                self.publish(None, self.draft([], "low", 0, None))
                self.finish("dispute", 0)

    def clear(self, jitter_s: int = 0) -> None:
        """Finalizes what is pending; if it cannot be, waits until it has lapsed."""
        self.finish("dispute", 0)
        if self.model.state() == "proposed":
            self.at(self.model.lapses_s() + 1 + jitter_s)

    def finish(self, after: str, jitter_s: int, draft: Draft | None = None) -> None:
        """Finalizes what is pending around an instant that matters."""
        if self.model.pending is None or after == "never":
            return
        proposed_s, fixed = self.model.pending.proposed_s, self.model.fixed
        within_s = {"dispute": 0, "last": fixed.finalize_within_s, "now": -(10**6)}[after]
        self.at(max(self.model.now_s, proposed_s + fixed.dispute_s + within_s + jitter_s))
        self.finalize(STRANGER, draft or self.model.pending.draft)

    def race(self, account: int, micro: int, lead_s: int) -> None:
        """A withdrawal that matures just before, with or after a proposal that takes everything."""
        self.clear()
        self.request(None, account, micro)
        matures_s = self.model.now_s - 1 + self.model.fixed.delay_s
        everything = [(account, 0, "all+1")]
        draft = self.draft(everything, "middle", 0, None)
        if self.model.now_s < matures_s - lead_s:
            self.at(matures_s - lead_s)
            draft = settled(self.model, draft, bills_of(self.model, draft, everything))
        self.publish(None, draft)
        self.withdraw(account)
        self.at(matures_s)
        self.withdraw(account)
        self.finish("dispute", 0)
        self.withdraw(account)


def _shorts_of(draft: Draft) -> list[dict[str, int]]:
    """As they are, out of order too."""
    return [{"account": account, "shortfallNano": nano} for account, nano in draft.shorts]
