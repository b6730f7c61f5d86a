"""The one place that writes to the chain: what is owed is stored first, and sent until it is done.

An intent is committed, in its caller's own transaction, before anything is signed; a transaction is
committed before it is sent. So a crash between any two steps is a retry with the same bytes, never
a second payment. What each step does is decided in `outbox_states.py`.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from ledger.chain.errors import (
    ChainUnavailable,
    ContractReverted,
    Refusal,
    TransactionRefused,
    UnknownBlock,
    WrongChain,
)
from ledger.chain.protocol import Block, Chain, Fees, Receipt
from ledger.errors import LedgerError
from ledger.outbox_states import (
    Abandon,
    Attempt,
    Bump,
    Entry,
    Include,
    Inclusion,
    Intent,
    IntentFailed,
    NoteTaken,
    Policy,
    Reopen,
    Send,
    Sighting,
    Sign,
    State,
    UnknownIntent,
    Wait,
    WrongGenesis,
    bumped,
    decide,
    unsettled,
)
from ledger.outbox_store import Connection, OutboxStore, Signed
from ledger.units import Address, Hash32

BACK_OFF_S_MAX = 64
STEPS_MAX = 10_000  # Of one `drain`: a node that contradicts itself must not hold us for ever.
PATIENCE_S = 120
POLL_S = 1
FOR_GOOD = frozenset({Refusal.BAD_TRANSACTION, Refusal.GAS_OUT_OF_RANGE})


class Signer(Protocol):
    """A key that signs transactions; `ledger.chain.wallet.Wallet` is one."""

    @property
    def address(self) -> Address: ...

    def sign_transaction(
        self,
        *,
        chain_id: int,
        nonce: int,
        to: Address | None,
        data: bytes,
        gas: int,
        fees: Fees,
        slots: Sequence[int],
    ) -> Signed: ...


class Outcome(StrEnum):
    """What a step came to."""

    ACTED = "acted"  # Something changed: step again.
    WAITING = "waiting"  # Nothing to do until the chain moves or time passes.
    IDLE = "idle"  # Nothing is owed.
    CHAIN_DOWN = "chain_down"  # Try later; `problem` says what is wrong.


class Outbox:
    """Carries out stored intents on a chain, each exactly once."""

    def __init__(
        self,
        chain: Chain,
        wallets: Iterable[Signer],
        store: OutboxStore,
        *,
        now: Callable[[], datetime],
        policy: Policy | None = None,
        set_time: Callable[[datetime], None] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`set_time` moves the clock of a simulated chain to an intent's `not_before_at`."""
        self.problem: LedgerError | None = None
        self._chain = chain
        self._wallets = {wallet.address: wallet for wallet in wallets}
        self._store = store
        self._now = now
        self._policy = policy or Policy()
        self._set_time = set_time
        self._pause = pause
        self._checked = False
        self._failures = 0
        self._down_until: datetime | None = None
        # All of this may be lost at any time: it only saves questions to the chain.
        self._sent: dict[Hash32, tuple[Hash32, datetime]] = {}
        self._looked: dict[int, Hash32] = {}

    # For callers.

    def put(self, intent: Intent, connection: Connection | None = None) -> None:
        """Commits to an intent, together with whatever else the caller's transaction holds.

        Raises:
            IntentKeyReused: its key stands for another transaction.
        """
        self._store.put(intent, connection)

    def retry(self, intent: Intent, connection: Connection | None = None) -> None:
        """Asks again, with new data if need be, for an intent that reverted."""
        self._store.retry(intent, connection)

    def status(self, key: str) -> Entry:
        """How an intent fares.

        Raises:
            UnknownIntent: there is no intent of this key.
        """
        entry = self._store.entry(key)
        if entry is None:
            raise UnknownIntent(key=key)
        return entry

    def wait(self, key: str, *, patience_s: int = PATIENCE_S, poll_s: int = POLL_S) -> Entry:
        """Works until an intent is confirmed.

        Raises:
            IntentFailed: it reverted, or the chain will never take it.
            IntentUnsettled, ChainUnavailable: patience ran out; the intent stays.
        """
        waited_s = 0
        while True:
            self._down_until = None  # Our own pauses are the back-off.
            self.drain()
            entry = self.status(key)
            if entry.state is State.CONFIRMED:
                return entry
            if entry.state is State.REVERTED:
                raise IntentFailed(
                    key=key, reason_code=entry.error_code or "", reason=entry.error_detail or ""
                )
            if waited_s >= patience_s:
                raise self.problem or unsettled(entry, waited_s)
            self._pause(poll_s)
            waited_s += poll_s

    def execute(self, intent: Intent, *, patience_s: int = PATIENCE_S) -> Entry:
        """Puts an intent and waits for it."""
        self.put(intent)
        return self.wait(intent.key, patience_s=patience_s)

    def drain(self) -> Outcome:
        """Steps until there is nothing left to do for now."""
        for _ in range(STEPS_MAX):
            outcome = self.step()
            if outcome is not Outcome.ACTED:
                return outcome
        return Outcome.ACTED

    def step(self) -> Outcome:
        """Takes the next single step for one intent.

        Raises:
            WrongChain, WrongGenesis: this is not the chain that the intents are meant for.
        """
        now_at = self._now()
        if self._down_until is not None and now_at < self._down_until:
            return Outcome.CHAIN_DOWN
        try:
            outcome = self._step()
        except ChainUnavailable as problem:
            back_off_s = min(2**self._failures, BACK_OFF_S_MAX)
            self._failures += 1
            self._down_until = now_at + timedelta(seconds=back_off_s)
            self._checked = False  # Whoever answers next may be another.
            self.problem = problem
            return Outcome.CHAIN_DOWN
        self._failures, self._down_until, self.problem = 0, None, None
        return outcome

    # One step.

    def _step(self) -> Outcome:
        self._require_our_chain()
        head = self._chain.head()
        owed = False
        due_at = None if self._set_time is not None else self._now()
        for sender in sorted(self._wallets):
            nonce = self._chain.nonce(sender)
            entries = self._store.open_entries(sender, due_at=due_at)
            if self._step_sender(head, nonce, self._store.lost_entries(sender, nonce) + entries):
                return Outcome.ACTED
            owed = owed or bool(entries)
        return Outcome.WAITING if owed else Outcome.IDLE

    def _require_our_chain(self) -> None:
        expected = self._store.chain_id
        if self._chain.chain_id != expected:
            raise WrongChain(chain_id=self._chain.chain_id, chain_id_expected=expected)
        if self._checked:
            return
        first = self._chain.block(0)
        if first is None:
            raise ChainUnavailable(rule="the chain does not show its first block")
        bound = self._store.bind(first.block_hash)
        if bound != first.block_hash:
            raise WrongGenesis(
                genesis_hash=first.block_hash.hex(), genesis_hash_expected=bound.hex()
            )
        self._checked = True

    def _step_sender(self, head: Block, nonce: int, entries: list[Entry]) -> bool:
        in_flight = 0
        for entry in entries:
            # A later nonce is never signed before all earlier ones are with the chain.
            if entry.state is State.PENDING and in_flight >= self._policy.in_flight_max:
                return False
            if self._act(entry, head, nonce, in_flight):
                return True
            if entry.state is State.SIGNED:
                in_flight += 1
                if entry.live[-1].tx_hash not in self._sent:
                    in_flight = self._policy.in_flight_max
        return False

    def _act(self, entry: Entry, head: Block, nonce: int, in_flight: int) -> bool:
        if entry.state is State.MINED and self._looked.get(entry.entry_id) == head.block_hash:
            return False
        sighting = self._look(entry, head, nonce)
        action = decide(
            entry,
            sighting,
            self._policy,
            now_at=self._now(),
            moves_time=self._set_time is not None,
        )
        match action:
            case Wait():
                self._looked[entry.entry_id] = head.block_hash
                return False
            case Sign():
                return self._sign(entry, nonce, in_flight)
            case Send(tx_hash=tx_hash):
                return self._send(entry, tx_hash, head)
            case Bump(attempt=attempt):
                return self._bump(entry, attempt)
            case Include(inclusion=inclusion, state=state):
                self._include(entry, inclusion, state)
            case Reopen():
                self._store.reopen(entry)
            case NoteTaken(block=block):
                self._store.note_taken(entry, block)
            case Abandon():
                self._store.abandon(entry)
        return True  # Where another process was first, there is something new to see, too.

    def _look(self, entry: Entry, head: Block, nonce: int) -> Sighting:
        receipt = self._receipt(entry)
        known = False
        if receipt is None and entry.state is State.SIGNED:
            tx_hash = entry.live[-1].tx_hash
            known = self._chain.transaction(tx_hash) is not None
            if known:
                self._sent.setdefault(tx_hash, (head.block_hash, self._now()))
        return Sighting(head_number=head.number, nonce=nonce, receipt=receipt, known=known)

    def _receipt(self, entry: Entry) -> Receipt | None:
        for attempt in reversed(entry.attempts):
            receipt = self._chain.receipt(attempt.tx_hash)
            # The failure of an attempt that we gave up is what made us try again.
            if receipt is not None and (receipt.succeeded or not attempt.abandoned):
                return receipt
        return None

    # Acting on what was decided.

    def _sign(self, entry: Entry, nonce_mined: int, in_flight: int) -> bool:
        intent = self._store.intent(entry)
        fees, gas = self._fees(), intent.gas
        if gas is None:
            self._move_time(entry)
            try:
                gas = self._chain.estimate_gas(sender=entry.sender, to=intent.to, data=intent.data)
            except ContractReverted as error:
                # It may hang on one that is not mined yet; alone, it would fail in a block too.
                if in_flight:
                    return False
                self._store.refuse(entry, _explained(error))
                return True
            if gas > (gas_max := self._policy.gas_max.get(entry.sender, gas)):
                self._store.refuse(entry, ("TooMuchGas", f"gas={gas}, gas_max={gas_max}"))
                return True
        chosen_gas = gas

        def make(nonce: int) -> Signed:
            return self._wallets[entry.sender].sign_transaction(
                chain_id=self._store.chain_id,
                nonce=nonce,
                to=intent.to,
                data=intent.data,
                gas=chosen_gas,
                fees=fees,
                slots=intent.slots,
            )

        self._store.sign(
            entry, nonce_mined=nonce_mined, gas=gas, fees=fees, now_at=self._now(), make=make
        )
        return True

    def _fees(self) -> Fees:
        market, fee_max_wei = self._chain.fees(), self._policy.fee_max_wei
        return Fees(
            max_fee_wei=min(market.max_fee_wei, fee_max_wei),
            priority_fee_wei=min(market.priority_fee_wei, fee_max_wei),
        )

    def _bump(self, entry: Entry, attempt: Attempt) -> bool:
        intent = self._store.intent(entry)
        fees = bumped(attempt.fees, self._chain.fees(), fee_max_wei=self._policy.fee_max_wei)
        signed = self._wallets[entry.sender].sign_transaction(
            chain_id=self._store.chain_id,
            nonce=attempt.nonce,
            to=intent.to,
            data=intent.data,
            gas=attempt.gas,
            fees=fees,
            slots=intent.slots,
        )
        self._store.bump(entry, signed, fees=fees, now_at=self._now())
        return True

    def _send(self, entry: Entry, tx_hash: Hash32, head: Block) -> bool:
        now_at = self._now()
        sent_head, sent_at = self._sent.get(tx_hash, (None, now_at))
        is_fresh = now_at - sent_at < timedelta(seconds=self._policy.resend_after_s)
        if sent_head == head.block_hash and is_fresh:
            return False
        self._move_time(entry)
        try:
            self._chain.send_raw(self._store.raw(entry, tx_hash))
        except TransactionRefused as refusal:
            return self._refused(entry, refusal)
        self._sent[tx_hash] = (head.block_hash, now_at)
        return True

    def _move_time(self, entry: Entry) -> None:
        if self._set_time is not None and entry.not_before_at is not None:
            self._set_time(entry.not_before_at)

    def _refused(self, entry: Entry, refusal: TransactionRefused) -> bool:
        problem = (f"{refusal.code}:{refusal.reason}", refusal.rule)
        if refusal.reason in FOR_GOOD:
            self._store.refuse(entry, problem)
            return True
        if problem != (entry.error_code, entry.error_detail):
            self._store.note_problem(entry, problem)
        return False

    def _include(self, entry: Entry, inclusion: Inclusion, state: State) -> None:
        error = None if inclusion.succeeded else self._why(entry, inclusion)
        self._store.include(entry, inclusion, state, error=error)

    def _why(self, entry: Entry, inclusion: Inclusion) -> tuple[str, str]:
        gas = {attempt.tx_hash: attempt.gas for attempt in entry.attempts}[inclusion.tx_hash]
        if inclusion.gas_used == gas:
            return ("Halted", f"it used up its gas of {gas}")
        intent = self._store.intent(entry)
        try:
            if intent.to is None:
                self._chain.estimate_gas(sender=entry.sender, to=None, data=intent.data)
            else:
                # In its own block first: many a refusal depends on the block's time.
                for block in (inclusion.block_number, inclusion.block_number - 1):
                    self._chain.call(intent.to, intent.data, sender=entry.sender, block=block)
        except ContractReverted as error:
            return _explained(error)
        except (ChainUnavailable, UnknownBlock) as error:
            return ("Unknown", str(error))
        return ("Unknown", "it failed in its block, and not when it was tried again")


def _explained(error: ContractReverted) -> tuple[str, str]:
    return error.name, ", ".join(f"{name}={value}" for name, value in error.arguments.items())
