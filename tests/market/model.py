"""What an EnergyMarket must do, in plain integers, for driving the real bytecode against.

Written from DESIGN §2 and the requirements in IEnergyMarket, not from the code. Each method is one
call at the instant `now_s`: it returns the names of all requirements that the call breaks, without
the contract's prefix, and changes something only if there is none.
"""

from collections.abc import Sequence

from ledger.units import Address
from tests.market.state import (
    BALANCE_NANO_MAX,
    NANO_PER_MICRO,
    NOBODY,
    Account,
    Draft,
    MarketState,
    Pending,
    Prices,
)

DEPOSIT_NANO_MAX = 2**50
PRICE_MAX = 10**8

Broken = list[str]
Permit = tuple[Address, int, int, int]  # Payer, micro, nonce, deadline.


class MarketModel(MarketState):
    """One market, as far as its interface tells."""

    # Accounts.

    def enrol(self, by: Address, account: int, owners: Sequence[Address]) -> Broken:
        broken = _names(
            NotOperator=by != self.operator,
            NotNextAccount=account != len(self.accounts) and len(owners) > 0,
            ZeroAddress=NOBODY in owners,
        )
        if not broken:
            self.accounts += [Account(owner) for owner in owners]
        return broken

    def name_recovery(self, by: Address, account: int, recovery: Address) -> Broken:
        broken = self._not_whose(by, account)
        if not broken:
            self.accounts[account].recovery = recovery
        return broken

    def request_move(self, by: Address, account: int, to: Address) -> Broken:
        if account >= len(self.accounts):
            return ["UnknownAccount"]
        own = self.accounts[account]
        by_recovery = by != own.owner
        broken = _names(
            NotAccountsAddress=by not in {own.owner, own.recovery},
            OwnMoveUnderWay=by_recovery and own.move is not None and not own.move[2],
            ZeroAddress=to == NOBODY,
        )
        if not broken:
            own.move = (to, self.now_s, by_recovery)
        return broken

    def cancel_move(self, by: Address, account: int) -> Broken:
        broken = self._not_whose(by, account)
        if account < len(self.accounts):
            broken += _names(NoMove=self.accounts[account].move is None)
        if not broken:
            self.accounts[account].move = None
        return broken

    def execute_move(self, account: int) -> Broken:
        move = self.accounts[account].move if account < len(self.accounts) else None
        if move is None:
            return ["NoMove"]
        if self.now_s < move[1] + self.fixed.delay_s:
            return ["TooEarly"]
        own = self.accounts[account]
        own.owner, own.recovery, own.move = move[0], NOBODY, None
        return []

    # Money in and out.

    def deposit(self, by: Address, account: int, micro: int) -> Broken:
        broken = self._not_payable(by, account, micro, self.allowances_micro.get(by, 0))
        if not broken:
            self._take(by, account, micro)
        return broken

    def deposit_with_permit(self, account: int, permit: Permit, signer: Address) -> Broken:
        """The permit is payer, micro, nonce, deadline; the signer signed exactly that."""
        payer, micro, nonce, deadline_s = permit
        fresh = nonce == self.permit_nonces.get(payer, 0)
        allowed = micro if fresh else self.allowances_micro.get(payer, 0)
        broken = self._not_payable(payer, account, micro, allowed) + _names(
            PermitExpired=self.now_s > deadline_s,
            BadSignature=signer != payer,
            PermitUsed=permit in self.permits_used,
        )
        if account < len(self.accounts):
            broken += _names(NotPayersAccount=self.accounts[account].owner != payer)
        if not broken:
            self.permits_used.add(permit)
            if fresh:
                self.permit_at_token(permit)
            self._take(payer, account, micro)
        return broken

    def permit_at_token(self, permit: Permit) -> None:
        """A permit that the token takes, whoever brings it."""
        payer, micro, nonce, _ = permit
        self.permit_nonces[payer] = nonce + 1
        self.allowances_micro[payer] = micro

    def request_withdrawal(self, by: Address, account: int, micro: int) -> Broken:
        broken = self._not_whose(by, account)
        if not broken:
            self._ask(account, micro)
        return broken

    def request_by_sig(self, signer: Address, account: int, micro: int, nonce: int) -> Broken:
        broken = self._not_signed(signer, account)
        if not broken and nonce <= self.accounts[account].withdrawal_nonce:
            broken = ["NonceUsed"]
        if not broken:
            self.accounts[account].withdrawal_nonce = nonce
            self._ask(account, micro)
        return broken

    def withdraw(self, account: int) -> Broken:
        if account >= len(self.accounts) or not self.accounts[account].request[0]:
            return ["NoRequest"]
        own = self.accounts[account]
        matures_s = own.request[1] + self.fixed.delay_s
        pending = self.pending if self.state() == "proposed" else None
        broken = _names(
            NotMatured=self.now_s < matures_s,
            ProposalPending=pending is not None and pending.proposed_s < matures_s,
        )
        if not broken:
            micro = min(own.request[0], own.balance_nano // NANO_PER_MICRO)
            own.request = (0, 0)
            own.balance_nano -= micro * NANO_PER_MICRO
            own.paid_in_micro -= micro
            own.note_own(self.now_s)
            self.wallets_micro[own.owner] = self.wallets_micro.get(own.owner, 0) + micro
        return broken

    def set_limits(
        self, signer: Address, account: int, limits: tuple[int, int, int], nonce: int
    ) -> Broken:
        broken = self._not_signed(signer, account)
        if not broken and nonce <= self.accounts[account].limits_nonce:
            broken = ["NonceUsed"]
        if not broken:
            own = self.accounts[account]
            own.limits_nonce = nonce
            own.limits.append((max(limits[0], self.now_s), *limits[1:]))
        return broken

    # Settlement.

    def publish(self, by: Address, draft: Draft, *, at_once: bool) -> Broken:
        """`propose`, or `settle` if it is applied at once."""
        broken = _names(
            NotOperator=by != self.operator,
            DisputePeriodIsZero=not at_once and not self.fixed.dispute_s,
            DisputePeriodIsNotZero=at_once and bool(self.fixed.dispute_s),
        )
        broken += self._not_turn(draft) + self._not_priced(draft) + self._not_shaped(draft)
        if at_once:
            broken += self._not_applicable(draft)
        if broken:
            return broken
        self.published[draft.key] = draft.commitment
        if draft.run == 0:
            everybody = range(len(self.accounts))
            self.applied_before[draft.period_s] = [self.applied_nano(a) for a in everybody]
        self.pending = Pending(draft=draft, proposed_s=self.now_s)
        if at_once:
            self._apply(draft)
        return []

    def finalize(self, given: Draft) -> Broken:
        pending = self.pending
        if pending is None or pending.cancelled or pending.draft.key != given.key:
            return ["NotPending"]
        broken = _names(
            DisputeOpen=self.now_s < pending.proposed_s + self.fixed.dispute_s,
            Lapsed=self.now_s > self.lapses_s(),
            WrongCommitment=given.commitment != pending.draft.commitment,
        )
        broken += self._not_applicable(pending.draft)
        if not broken:
            self._apply(pending.draft)
        return broken

    def cancel(self, by: Address) -> Broken:
        broken = _names(NotOperator=by != self.operator, NotPending=self.state() != "proposed")
        if not broken and self.pending:
            self.pending.cancelled = True
        return broken

    # Roles.

    def announce_owner(self, by: Address, to: Address) -> Broken:
        broken = _names(NotOwner=by != self.owner)
        if not broken:
            self.next_owner = to
        return broken

    def accept_owner(self, by: Address) -> Broken:
        broken = _names(NotAnnounced=by != self.next_owner)
        if not broken:
            self.owner, self.next_owner = by, NOBODY
        return broken

    def announce_operator(self, by: Address, to: Address) -> Broken:
        broken = _names(NotOwner=by != self.owner)
        if not broken:
            self.next_operator = (to, self.now_s)
        return broken

    def accept_operator(self, by: Address) -> Broken:
        to, since_s = self.next_operator
        broken = _names(NotAnnounced=by != to, TooEarly=self.now_s < since_s + self.fixed.delay_s)
        if not broken:
            self.operator, self.next_operator = by, (NOBODY, 0)
        return broken

    def announce_tariff(self, by: Address, prices: Prices, starts_s: int) -> Broken:
        is_fixed = self.fixed.price_rule == "fixed"
        low, high = (prices.grid_export, prices.most) if is_fixed else (0, 0)
        broken = _names(
            NotOwner=by != self.owner,
            PriceTooHigh=prices.grid_import > PRICE_MAX,
            NoMargin=prices.grid_export > prices.most,
            FixedOutOfBounds=not low <= prices.fixed <= high,
            TariffTooSoon=starts_s < self.now_s + self.fixed.delay_s,
            TariffUnaligned=starts_s % self.fixed.period_s != 0,
            TariffOutOfOrder=starts_s < self.tariffs[-1][0],
        )
        if not broken:
            self.next_tariff = (starts_s, prices, self.now_s)
        return broken

    def enact_tariff(self) -> Broken:
        if self.next_tariff is None:
            return ["NothingAnnounced"]
        starts_s, prices, since_s = self.next_tariff
        proposed_s = max([self.next_period_s, *(s + self.fixed.period_s for s in self.tried_s())])
        broken = _names(
            TooEarly=self.now_s < since_s + self.fixed.delay_s, TariffTooLate=starts_s < proposed_s
        )
        if not broken:
            self.tariffs.append((starts_s, prices))
            self.next_tariff = None
        return broken

    def tried_s(self) -> list[int]:
        """Every period that was ever proposed."""
        return [period_s for period_s, _ in self.published]

    # What is broken.

    def _not_whose(self, by: Address, account: int) -> Broken:
        if account >= len(self.accounts):
            return ["UnknownAccount"]
        return _names(NotAccountsAddress=self.accounts[account].owner != by)

    def _not_signed(self, signer: Address, account: int) -> Broken:
        if account >= len(self.accounts):
            return ["UnknownAccount"]
        return _names(BadSignature=self.accounts[account].owner != signer)

    def _not_payable(self, payer: Address, account: int, micro: int, allowed_micro: int) -> Broken:
        if account >= len(self.accounts):
            return ["UnknownAccount"]
        balance_nano = self.accounts[account].balance_nano + micro * NANO_PER_MICRO
        return _names(
            ZeroAmount=micro == 0,
            DepositTooLarge=balance_nano > DEPOSIT_NANO_MAX,
            ERC20InsufficientAllowance=allowed_micro < micro,
            ERC20InsufficientBalance=self.wallets_micro.get(payer, 0) < micro,
        )

    def _not_turn(self, draft: Draft) -> Broken:
        ends_s, state = draft.period_s + self.fixed.period_s, self.state()
        again = self.pending if state in {"cancelled", "lapsed"} else None
        return _names(
            ProposalPending=state == "proposed",
            MustBeMadeAgain=again is not None and again.draft.key != draft.key,
            NotNextPeriod=draft.run == 0 and draft.period_s != self.next_period_s,
            NotNextRun=draft.run != self.runs(draft.period_s),
            PeriodUnaligned=draft.period_s % self.fixed.period_s != 0,
            PeriodNotEnded=self.now_s < ends_s,
            CutoffOutOfRange=not ends_s <= draft.cutoff_s <= self.now_s,
            RevisionTooSoon=draft.run > 0 and self.now_s < self.revision_s(),
        )

    def _not_priced(self, draft: Draft) -> Broken:
        prices = self.prices_at(draft.period_s)
        if prices is None:  # Nothing before the first period can be proposed anyway.
            return []
        low, high = prices.allowed(self.fixed.price_rule)
        stated = [(p.grid_import, p.grid_export, p.fee) for _, p in draft.prices]
        in_force = (prices.grid_import, prices.grid_export, prices.fee)
        return _names(
            WrongPriceCount=len(draft.prices) != self.fixed.windows,
            WrongTariff=any(each != in_force for each in stated),
            PriceOutOfBounds=any(not low <= local <= high for local, _ in draft.prices),
        )

    def _not_shaped(self, draft: Draft) -> Broken:
        accounts, lanes = len(self.accounts), draft.lanes
        if len(draft.words) != -(-accounts // 4):
            return ["WrongDeltaCount"]
        broken = _names(UnusedLanes=any(lanes[accounts:]))
        before = 0
        for account, short_nano in draft.shorts:
            if account >= accounts:
                return [*broken, "UnknownAccount"]
            broken += _names(
                ShortsOutOfOrder=account <= before,
                ZeroShortfall=short_nano == 0,
                ShortTakesNotAll=lanes[account] != -self.available_nano(account),
            )
            before = account
        return broken

    def _not_applicable(self, draft: Draft) -> Broken:
        broken = _names(Unbalanced=sum(draft.lanes) != 0)
        for account, delta_nano in enumerate(draft.lanes[: len(self.accounts)]):
            balance_nano = self.accounts[account].balance_nano
            broken += _names(
                BalanceTooLarge=balance_nano + delta_nano > BALANCE_NANO_MAX,
                Overdrawn=balance_nano + delta_nano < 0,
                AboveDebitCap=-delta_nano > self.cap_nano(account, draft),
            )
        return broken

    # What happens.

    def _ask(self, account: int, micro: int) -> None:
        own = self.accounts[account]
        own.request = (micro, self.now_s if micro else 0)
        own.note_own(self.now_s)

    def _take(self, payer: Address, account: int, micro: int) -> None:
        own = self.accounts[account]
        own.balance_nano += micro * NANO_PER_MICRO
        own.paid_in_micro += micro
        own.note_own(self.now_s)
        self.wallets_micro[payer] -= micro
        self.allowances_micro[payer] -= micro

    def _apply(self, draft: Draft) -> None:
        for account, delta_nano in enumerate(draft.lanes[: len(self.accounts)]):
            self.accounts[account].balance_nano += delta_nano
        self.final.append(draft)
        self.pending = None
        if draft.run:
            self.last_revision_s = self.now_s
        else:
            self.next_period_s += self.fixed.period_s


def _names(**broken: bool) -> Broken:
    return [name for name, is_broken in broken.items() if is_broken]
