"""Whatever anybody calls whenever, the market's bytecode does what a plain-integer model does."""

from collections import Counter
from copy import deepcopy
from dataclasses import replace
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.chain import evm  # noqa: F401 (sets the recursion limit: before hypothesis looks)
from ledger.chain import market_calls as calls
from ledger.chain.wallet import Wallet
from tests.market.actor import WALLETS, MarketActor
from tests.market.drafts import SPOILS, Transfer
from tests.market.kinds import KINDS, POOR, begun
from tests.market.model import MarketModel
from tests.market.on_chain import GRID, MEMBERS, OPERATOR, OWNER, STRANGER, SUPPLIER, Template
from tests.market.pair import tariff_of
from tests.market.state import NOBODY, Prices
from tests.market.strategies import (
    ACCOUNTS,
    AFTER,
    BY,
    DEPOSITS_MICRO,
    FAULTS,
    JITTER_S,
    LIMITS_PER_KWH,
    NONCES,
    PLACES,
    PRICES,
    REQUESTS_MICRO,
    TRANSFERS,
)


class MarketMachine(RuleBasedStateMachine):
    """Honest and hostile calls in any order, around every instant that matters."""

    numbers = count()
    directory: ClassVar[Path]
    templates: ClassVar[dict[str, tuple[Template, MarketModel]]]
    seen: ClassVar[Counter[str]]

    @initialize(name=st.sampled_from(sorted(KINDS)))
    def start(self, name: str) -> None:
        self.copied_to = self.directory / f"example-{next(self.numbers)}"
        template, model = self.templates[name]
        self.chain, self.model = template.copy(self.copied_to), deepcopy(model)
        self.actor = MarketActor(self.chain, self.model)

    def teardown(self) -> None:
        if not hasattr(self, "actor"):
            return
        try:
            if self.actor.is_sound:
                self.actor.pair.compare_all()
        finally:
            self.seen.update(self.actor.pair.seen)
            self.chain.chain.close()
            rmtree(self.copied_to)

    # Time.

    @rule(which=st.integers(0, 9), jitter_s=JITTER_S)
    def wait(self, which: int, jitter_s: int) -> None:
        instants = self.model.instants()
        self.actor.at(instants[which % len(instants)] + jitter_s)

    # Accounts.

    @rule(
        by=BY,
        off=st.sampled_from([0, 0, 0, 1, -1]),
        owners=st.lists(st.sampled_from([*MEMBERS, None]), min_size=1, max_size=3)
        | st.just([POOR]),
    )
    def enrol(self, by: Wallet | None, off: int, owners: list[Wallet | None]) -> None:
        self.actor.enrol(by, len(self.model.accounts) + off, owners)

    @rule(
        account=ACCOUNTS,
        by=BY,
        to=st.sampled_from([*MEMBERS, None]),
        what=st.sampled_from(["recover", "cancel", "execute", "request", "contest", "whole"]),
        jitter_s=JITTER_S,
    )
    def move(
        self, *, account: int, by: Wallet | None, to: Wallet | None, what: str, jitter_s: int
    ) -> None:
        who, address = by or self.actor.whose(account), to.address if to else NOBODY
        if what in {"recover", "contest"} or (what == "whole" and jitter_s == 0):
            broken = self.model.name_recovery(who.address, account, address)
            self.actor.act("nameRecovery", who, calls.name_recovery(account, address), broken)
        if what == "cancel":
            broken = self.model.cancel_move(who.address, account)
            self.actor.act("cancelMove", who, calls.cancel_move(account), broken)
        if what in {"request", "contest", "whole"}:
            broken = self.model.request_move(who.address, account, address)
            self.actor.act("requestMove", who, calls.request_move(account, address), broken)
        if what == "contest" and account < len(self.model.accounts):
            who = WALLETS.get(self.model.accounts[account].recovery, STRANGER)
            broken = self.model.request_move(who.address, account, STRANGER.address)
            data = calls.request_move(account, STRANGER.address)
            self.actor.act("requestMove by recovery", who, data, broken)
        if what == "whole":
            self.actor.at(self.model.now_s - 1 + self.model.fixed.delay_s + jitter_s)
        if what in {"execute", "whole"}:
            broken = self.model.execute_move(account)
            self.actor.act("executeMove", STRANGER, calls.execute_move(account), broken)

    # Money in and out.

    @rule(account=ACCOUNTS, by=BY, micro=DEPOSITS_MICRO, to_the_top=st.booleans())
    def deposit(self, account: int, by: Wallet | None, micro: int, to_the_top: bool) -> None:
        if to_the_top and account < len(self.model.accounts):
            room_nano = 2**50 - self.model.accounts[account].balance_nano
            self.actor.deposit(SUPPLIER, account, max(0, room_nano) // 1_000 + micro % 2)
        else:
            self.actor.deposit(by, account, micro)

    @rule(
        account=ACCOUNTS,
        key=BY,
        micro=st.sampled_from([0, 10, 600_000]),
        wrong=st.sampled_from(["", "", "brought", "brought", "twice", "late", "nonce", "payer"]),
    )
    def permit(self, account: int, key: Wallet | None, micro: int, wrong: str) -> None:
        payer = self.actor.whose(account).address if wrong != "payer" else GRID.address
        nonce = self.model.permit_nonces.get(payer, 0) + (wrong == "nonce")
        deadline_s = self.model.now_s + (2 if wrong != "late" else -1)
        permit = (payer, micro, nonce, deadline_s)
        signer = key or WALLETS[payer]
        signature = self.chain.sign_permit(signer, *permit)
        if wrong == "brought" and signer.address == payer:
            self.chain.send(
                STRANGER, self.chain.permit_call(permit, signature), to=self.chain.config.token
            )
            self.actor.at(0)
            self.model.permit_at_token(permit)
        for _ in range(2 if wrong == "twice" else 1):
            broken = self.model.deposit_with_permit(account, permit, signer.address)
            data = calls.deposit_with_permit(
                account=account,
                payer=payer,
                amount_micro=micro,
                nonce=nonce,
                deadline_s=deadline_s,
                signature=signature,
            )
            self.actor.act("depositWithPermit", STRANGER, data, broken)

    @rule(account=ACCOUNTS, by=BY, micro=REQUESTS_MICRO, step=st.none() | NONCES)
    def request(self, account: int, by: Wallet | None, micro: int, step: int | None) -> None:
        if step is None:
            self.actor.request(by, account, micro)
            return
        known = account < len(self.model.accounts)
        last = self.model.accounts[account].withdrawal_nonce if known else 0
        signer, nonce = by or self.actor.whose(account), max(0, last + step)
        signature = self.chain.sign_withdrawal(signer, account, micro, nonce)
        data = calls.request_withdrawal_by_sig(
            account=account, amount_micro=micro, nonce=nonce, signature=signature
        )
        broken = self.model.request_by_sig(signer.address, account, micro, nonce)
        self.actor.act("requestBySig", STRANGER, data, broken)

    @precondition(lambda self: any(own.request[0] for own in self.model.accounts))
    @rule(account=ACCOUNTS, jitter_s=st.none() | JITTER_S)
    def withdraw(self, account: int, jitter_s: int | None) -> None:
        """By somebody who asked for it, or by anybody now."""
        asking = [n for n, own in enumerate(self.model.accounts) if own.request[0]]
        if jitter_s is not None:
            account = asking[account % len(asking)]
            matures_s = self.model.accounts[account].request[1] + self.model.fixed.delay_s
            self.actor.at(matures_s + jitter_s)
        self.actor.withdraw(account)

    @rule(
        account=ACCOUNTS,
        key=BY,
        since_s=st.sampled_from([-10_000, -1, 0, 1, 1_800]),
        most=LIMITS_PER_KWH,
        least=LIMITS_PER_KWH,
        step=NONCES,
    )
    def limit(
        self, *, account: int, key: Wallet | None, since_s: int, most: int, least: int, step: int
    ) -> None:
        known = account < len(self.model.accounts)
        last = self.model.accounts[account].limits_nonce if known else 0
        signer, nonce = key or self.actor.whose(account), max(0, last + step)
        period_s = self.model.fixed.period_s
        limits = ((self.model.now_s // period_s + 1) * period_s + since_s, most, least)
        data = calls.set_limits(
            account=account,
            valid_from_s=limits[0],
            max_buy_per_kwh=most,
            min_sell_per_kwh=least,
            nonce=nonce,
            signature=self.chain.sign_limits(signer, account, limits, nonce),
        )
        broken = self.model.set_limits(signer.address, account, limits, nonce)
        self.actor.act("setLimits", STRANGER, data, broken)

    # Settlement.

    @rule(transfers=TRANSFERS, place=PLACES, jitter_s=JITTER_S, after=AFTER, late_s=JITTER_S)
    def run_next(
        self, transfers: list[Transfer], place: str, jitter_s: int, after: str, late_s: int
    ) -> None:
        self.actor.clear(jitter_s)
        draft = self.actor.draft(transfers, place, jitter_s, None)
        if self.actor.publish(None, draft):
            self.actor.finish(after, late_s)

    @rule(
        transfers=TRANSFERS,
        jitter_s=JITTER_S,
        after=AFTER,
        late_s=JITTER_S,
        revision=st.integers(0, 3),
    )
    def revise(
        self, transfers: list[Transfer], jitter_s: int, after: str, late_s: int, revision: int
    ) -> None:
        self.actor.clear()
        draft = self.actor.draft(transfers, "low", jitter_s, revision)
        if self.actor.publish(None, draft):
            self.actor.finish(after, late_s)

    @rule(
        transfers=TRANSFERS,
        place=PLACES,
        revision=st.none() | st.integers(0, 3),
        fault=FAULTS,
        by=BY,
        wrong_call=st.sampled_from([False, False, False, True]),
    )
    def run_wrongly(
        self,
        *,
        transfers: list[Transfer],
        place: str,
        revision: int | None,
        fault: str,
        by: Wallet | None,
        wrong_call: bool,
    ) -> None:
        is_turn = place != "high"
        if by is None:
            self.actor.clear()
        draft = self.actor.draft(transfers, place, 0, revision, is_turn=is_turn)
        spoilt = SPOILS[fault](self.model, draft) if is_turn else draft
        if self.actor.publish(by, spoilt, wrong_call=wrong_call):
            self.actor.finish("dispute", 0)

    @rule(
        transfers=TRANSFERS,
        revision=st.none() | st.integers(0, 3),
        padding=st.integers(0, 2),
        fault=FAULTS,
    )
    def finalize_something_else(
        self, transfers: list[Transfer], revision: int | None, padding: int, fault: str
    ) -> None:
        """What is pending with other parts; words of zeros behind the last one are none."""
        self.actor.clear()
        draft = self.actor.draft(transfers, "middle", 0, revision)
        if not self.actor.publish(None, draft) or self.model.pending is None:
            return
        draft = self.model.pending.draft
        self.actor.finish("dispute", 0, SPOILS[fault](self.model, draft))
        self.actor.finish("dispute", 0, replace(draft, words=draft.words + (0,) * padding))

    @precondition(lambda self: self.model.pending is not None)
    @rule(after=st.sampled_from(["dispute", "dispute", "last", "last", "now"]), jitter_s=JITTER_S)
    def finalize(self, after: str, jitter_s: int) -> None:
        self.actor.finish(after, jitter_s)

    @rule(by=BY, jitter_s=st.none() | JITTER_S)
    def cancel(self, by: Wallet | None, jitter_s: int | None) -> None:
        """Now, or around the instant at which it lapses."""
        if self.model.pending and jitter_s is not None:
            self.actor.at(max(self.model.now_s, self.model.lapses_s() + jitter_s))
        who = by or WALLETS[self.model.operator]
        self.actor.act("cancel", who, calls.cancel(), self.model.cancel(who.address))

    @rule(account=ACCOUNTS, micro=REQUESTS_MICRO, lead_s=st.sampled_from([0, 0, 1, 2, -1]))
    def race(self, account: int, micro: int, lead_s: int) -> None:
        self.actor.race(account, micro, lead_s)

    # Roles.

    @rule(
        by=BY,
        to=st.sampled_from([OWNER, STRANGER, OPERATOR, None]),
        what=st.sampled_from(["owner", "accept", "operator", "accept operator", "whole", "tariff"]),
        jitter_s=JITTER_S,
    )
    def hand_on(self, by: Wallet | None, to: Wallet | None, what: str, jitter_s: int) -> None:
        model, address = self.model, to.address if to else NOBODY
        owner = by or WALLETS[model.owner]
        if what == "owner":
            broken = model.announce_owner(owner.address, address)
            self.actor.act("announceOwner", owner, calls.announce_owner(address), broken)
        if what == "accept":
            owner = by or WALLETS.get(model.next_owner, STRANGER)
            broken = model.accept_owner(owner.address)
            self.actor.act("acceptOwner", owner, calls.accept_owner(), broken)
        if what in {"operator", "whole"}:
            broken = model.announce_operator(owner.address, address)
            self.actor.act("announceOperator", owner, calls.announce_operator(address), broken)
        if what == "whole":
            self.actor.at(model.now_s - 1 + model.fixed.delay_s + jitter_s)
        if what in {"accept operator", "whole"}:
            operator = by or WALLETS.get(model.next_operator[0], STRANGER)
            broken = model.accept_operator(operator.address)
            self.actor.act("acceptOperator", operator, calls.accept_operator(), broken)
        if what == "tariff" and (model.next_tariff or by):
            self.enact_tariff()

    @rule(
        by=BY,
        prices=PRICES,
        ahead=st.integers(-1, 3),
        off_s=st.sampled_from([0, 0, 0, 0, 1, 900]),
        jitter_s=JITTER_S,
        caught_up=st.sampled_from([0, 1, 2, None]),
    )
    def change_tariff(
        self,
        *,
        by: Wallet | None,
        prices: Prices,
        ahead: int,
        off_s: int,
        jitter_s: int,
        caught_up: int | None,
    ) -> None:
        """Announced for around the first period that may have it, and enacted as soon as may be."""
        period_s, who = self.model.fixed.period_s, by or WALLETS[self.model.owner]
        earliest_s = self.model.now_s + self.model.fixed.delay_s
        if off_s == 900:  # At the very boundary.
            self.actor.at(
                -(-earliest_s // period_s) * period_s - self.model.fixed.delay_s + jitter_s
            )
            off_s, earliest_s = 0, self.model.now_s + self.model.fixed.delay_s - jitter_s
        starts_s = -(-earliest_s // period_s) * period_s + ahead * period_s + off_s
        if self.model.fixed.price_rule != "fixed" and ahead != 3:
            prices = replace(prices, fixed=0)
        broken = self.model.announce_tariff(who.address, prices, starts_s)
        data = calls.announce_tariff(tariff_of(prices), starts_s)
        if self.actor.act("announceTariff", who, data, broken) and caught_up is not None:
            self.actor.at(self.model.now_s - 1 + self.model.fixed.delay_s + jitter_s)
            if caught_up:
                self.actor.catch_up(starts_s + (caught_up - 1) * period_s)
            self.enact_tariff()

    def enact_tariff(self) -> None:
        self.actor.act("enactTariff", STRANGER, calls.enact_tariff(), self.model.enact_tariff())


@pytest.mark.slow
def test_the_market_does_what_the_model_does_whatever_is_called(tmp_path: Path) -> None:
    templates = {name: begun(kind, tmp_path / name) for name, kind in KINDS.items()}

    class Machine(MarketMachine):
        directory = tmp_path
        seen: ClassVar[Counter[str]] = Counter()

    Machine.templates = templates
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=20,
            phases=[Phase.reuse, Phase.generate],  # Shrinking takes minutes.
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # A machine that is refused everything, or that does one thing only, shows nothing.
    assert len(Machine.seen) > 20, Machine.seen
