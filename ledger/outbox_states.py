"""What may become of a transaction that we owe to a chain: values and one pure decision.

    pending ──sign──▶ signed ──seen in a block──▶ mined ──deep enough──▶ confirmed | reverted
       ▲                │ ▲                         │                        │         │
       └─nonce is taken─┘ └──────── its block was dropped (reorg) ───────────┘      retry: pending

`decide` looks at one entry and at what the chain says, and names the next thing to do. It knows no
database and no chain; `outbox.py` does what it says and commits before and after each step.

LedgerError
├── IntentKeyReused         intent_key_reused        one key, two different transactions
├── UnknownIntent           unknown_intent           nobody asked for it
├── IntentFailed            intent_failed            it reverted, or the chain will never take it
├── IntentUnsettled         intent_unsettled         not final after all the patience there was
└── WrongGenesis            wrong_chain              the right id, but another chain
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from ledger.chain.protocol import Fees, Receipt
from ledger.errors import LedgerError, OutOfRange
from ledger.keccak import checksum_address
from ledger.units import Address, Hash32

KEY_CHARS_MAX = 200
GAS_MAX = 2**40
BUMP_DIVISOR = 8  # Nodes replace a transaction only for a fee at least an eighth (12.5 %) higher.
FEE_MAX_WEI = 10**12  # Beyond 1,000 gwei a gas we wait rather than pay.


class State(StrEnum):
    """Where an intent stands."""

    PENDING = "pending"  # No transaction of it can be mined.
    SIGNED = "signed"  # A transaction is stored, and may be on its way.
    MINED = "mined"  # In a block that may still be dropped.
    CONFIRMED = "confirmed"  # Executed, deep enough.
    REVERTED = "reverted"  # Executed and failed, deep enough; or the chain would never take it.


@dataclass(eq=False, kw_only=True)
class IntentKeyReused(LedgerError):
    """A key was used again, for another transaction."""

    code: ClassVar[str] = "intent_key_reused"
    key: str


@dataclass(eq=False, kw_only=True)
class UnknownIntent(LedgerError):
    """No intent has this key."""

    code: ClassVar[str] = "unknown_intent"
    key: str


@dataclass(eq=False, kw_only=True)
class IntentFailed(LedgerError):
    """An intent came to its end without having been carried out."""

    code: ClassVar[str] = "intent_failed"
    key: str
    reason_code: str
    reason: str


@dataclass(eq=False, kw_only=True)
class IntentUnsettled(LedgerError):
    """An intent is still under way after all the patience there was; it is not lost."""

    code: ClassVar[str] = "intent_unsettled"
    key: str
    sender: str
    state: str
    waited_s: int
    reason: str  # Why nothing moves, if the chain said so.


@dataclass(eq=False, kw_only=True)
class WrongGenesis(LedgerError):
    """The chain has the expected id, but it is not the one that we wrote to before."""

    code: ClassVar[str] = "wrong_chain"
    genesis_hash: str
    genesis_hash_expected: str


TERMINAL = frozenset({State.CONFIRMED, State.REVERTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A transaction that is owed, under a key that makes asking for it twice harmless."""

    key: str
    sender: Address
    to: Address | None  # None creates a contract.
    data: bytes
    created_at: datetime
    gas: int | None = None  # None: estimated when it is signed.
    slots: tuple[int, ...] = ()  # Storage of `to` that it touches (EIP-2930 access list).
    # The block's time is at least this: a simulated chain is moved there, any other waited for.
    not_before_at: datetime | None = None

    def __post_init__(self) -> None:
        for name, value, value_min, value_max in (
            ("key", len(self.key), 1, KEY_CHARS_MAX),
            ("sender", len(self.sender), 20, 20),
            ("to", 20 if self.to is None else len(self.to), 20, 20),
            ("gas", 1 if self.gas is None else self.gas, 1, GAS_MAX),
        ):
            if not value_min <= value <= value_max:
                raise OutOfRange(field=name, value=value, value_min=value_min, value_max=value_max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One signed transaction of an intent. Every one ever signed is remembered."""

    tx_hash: Hash32
    nonce: int
    gas: int
    fees: Fees
    signed_at: datetime
    abandoned: bool  # It can no longer be mined: its nonce is spent, or it was refused for good.


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """Where an attempt was mined, and with what outcome."""

    tx_hash: Hash32
    block_number: int
    block_hash: Hash32
    succeeded: bool
    gas_used: int
    contract_address: Address | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An intent's fate so far; what callers are shown."""

    entry_id: int
    version: int  # Rises with every change: a change is made on what was read, or not at all.
    key: str
    sender: Address
    state: State
    not_before_at: datetime | None
    attempts: tuple[Attempt, ...]  # In the order in which they were signed.
    inclusion: Inclusion | None
    taken_block: int | None  # Head at which somebody else's use of the nonce was first seen.
    error_code: str | None
    error_detail: str | None

    @property
    def live(self) -> tuple[Attempt, ...]:
        """Attempts that can still be mined, all with one nonce, the best paid last."""
        return tuple(attempt for attempt in self.attempts if not attempt.abandoned)

    @property
    def tx_hash(self) -> Hash32 | None:
        """The transaction that counts: the mined one, else the last that was signed."""
        if self.inclusion:
            return self.inclusion.tx_hash
        return self.live[-1].tx_hash if self.live else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient the outbox is with a chain."""

    confirmations: int = 0  # Blocks on top before an outcome counts as final.
    bump_after_s: int | None = None  # Unmined for so long, the fee is raised; None: never.
    fee_max_wei: int = FEE_MAX_WEI
    resend_after_s: int = 30  # At an unmoved head the same bytes are not sent again sooner.
    in_flight_max: int = 16  # Signed and unmined, for each sender.
    # By sender, the most that a transaction may take whose gas has to be estimated.
    gas_max: Mapping[Address, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What the chain says about one entry. The nonce is read before the receipts: an own
    transaction that explains a spent nonce is then always seen."""

    head_number: int
    nonce: int  # Mined transactions of the sender.
    receipt: Receipt | None  # Of whichever attempt was mined.
    known: bool  # The node holds the newest attempt, mined or not.


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do until the chain moves or time passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Choose a nonce, sign, store, and only then send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Hand the stored bytes over (again)."""

    tx_hash: Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """Sign again with the same nonce and a higher fee."""

    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Include:
    """Note the block that holds it."""

    inclusion: Inclusion
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    """Its block was dropped: it is on its way again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteTaken:
    """Somebody else used the nonce, as of this head; None takes that back."""

    block: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandon:
    """No attempt can be mined any more: back to pending, for a new nonce."""


Action = Wait | Sign | Send | Bump | Include | Reopen | NoteTaken | Abandon


def decide(
    entry: Entry,
    sighting: Sighting,
    policy: Policy,
    *,
    now_at: datetime,
    moves_time: bool = False,
) -> Action:
    """The next thing to do for an entry.

    A terminal entry is judged like a mined one, so that a reorg deeper than the confirmations
    is followed too. `moves_time` says that the chain's clock can be moved to `not_before_at`.
    """
    if sighting.receipt is not None:
        return _follow(entry, sighting.receipt, sighting, policy)
    if entry.state is State.PENDING:
        is_due = entry.not_before_at is None or moves_time or now_at >= entry.not_before_at
        return Sign() if is_due else Wait()
    if entry.state is State.SIGNED:
        return _chase(entry, sighting, policy, now_at)
    # Mined or final, and the chain does not know it any more. An intent that the chain refused
    # before it reached a block has nothing to follow.
    return Wait() if entry.inclusion is None else Reopen()


def _follow(entry: Entry, receipt: Receipt, sighting: Sighting, policy: Policy) -> Action:
    inclusion = Inclusion(
        tx_hash=receipt.tx_hash,
        block_number=receipt.block_number,
        block_hash=receipt.block_hash,
        succeeded=receipt.succeeded,
        gas_used=receipt.gas_used,
        contract_address=receipt.contract_address,
    )
    state = State.MINED
    if sighting.head_number - receipt.block_number >= policy.confirmations:
        state = State.CONFIRMED if receipt.succeeded else State.REVERTED
    if (inclusion, state) == (entry.inclusion, entry.state):
        return Wait()
    return Include(inclusion=inclusion, state=state)


def _chase(entry: Entry, sighting: Sighting, policy: Policy, now_at: datetime) -> Action:
    attempt = entry.live[-1]
    if sighting.nonce > attempt.nonce and not sighting.known:
        # Two looks, `confirmations` blocks apart, before we believe it: signing anew while an own
        # attempt can still be mined would pay twice.
        if entry.taken_block is None:
            return NoteTaken(block=sighting.head_number)
        is_deep = sighting.head_number - entry.taken_block >= policy.confirmations
        return Abandon() if is_deep else Wait()
    if entry.taken_block is not None:
        return NoteTaken(block=None)
    if sighting.nonce == attempt.nonce and _is_stuck(attempt, policy, now_at):
        return Bump(attempt=attempt)
    return Wait() if sighting.known else Send(tx_hash=attempt.tx_hash)


def _is_stuck(attempt: Attempt, policy: Policy, now_at: datetime) -> bool:
    if policy.bump_after_s is None:
        return False
    is_old = now_at - attempt.signed_at >= timedelta(seconds=policy.bump_after_s)
    return is_old and _bumped_up(attempt.fees.max_fee_wei) <= policy.fee_max_wei


def bumped(fees: Fees, market: Fees, *, fee_max_wei: int) -> Fees:
    """Fees that a node accepts as a replacement: both an eighth higher at least."""
    max_fee_wei = max(_bumped_up(fees.max_fee_wei), min(market.max_fee_wei, fee_max_wei))
    priority_fee_wei = max(_bumped_up(fees.priority_fee_wei), market.priority_fee_wei)
    return Fees(max_fee_wei=max_fee_wei, priority_fee_wei=min(priority_fee_wei, max_fee_wei))


def _bumped_up(fee_wei: int) -> int:
    return fee_wei + max(1, -(-fee_wei // BUMP_DIVISOR))


def unsettled(entry: Entry, waited_s: int) -> IntentUnsettled:
    """What a caller whose patience ran out is told."""
    reason = f"{entry.error_code} {entry.error_detail}" if entry.error_code else ""
    return IntentUnsettled(
        key=entry.key,
        sender=checksum_address(entry.sender),
        state=entry.state,
        waited_s=waited_s,
        reason=reason.strip(),
    )
