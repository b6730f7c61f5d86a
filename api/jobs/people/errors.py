"""What can be wrong with what people ask for.

    LedgerError
    ├── about what is relayed
    │   ├── WrongMarket       wrong_chain       signed for another chain
    │   ├── NonceUsed         nonce_used        the chain, or a relay under way, has it
    │   ├── NothingOwed       nothing_owed      the escrow owes nothing that is worth a transaction
    │   └── KeyNotHere        key_not_here      another machine must sign this
    └── about joining and meters
        ├── AlreadyMember     already_member
        ├── AlreadyApplied    already_applied
        ├── AlreadyPaired     already_paired
        └── AlreadyDecided    wrong_state

`BadSignature`, `MalleableSignature` and `OutOfRange` are the ledger's, `FundsMissing` is
charging's, `NotFound` and `BadInput` are this layer's.
"""

from dataclasses import dataclass
from typing import ClassVar

from ledger.errors import LedgerError


@dataclass(eq=False, kw_only=True)
class WrongMarket(LedgerError):
    """The message was signed for another chain."""

    code: ClassVar[str] = "wrong_chain"
    rule: str


@dataclass(eq=False, kw_only=True)
class NonceUsed(LedgerError):
    """The nonce is spent, or something else that was signed with it is on its way."""

    code: ClassVar[str] = "nonce_used"
    nonce: int
    last_nonce: int  # A message's must be above it.
    rule: str


@dataclass(eq=False, kw_only=True)
class NothingOwed(LedgerError):
    """The escrow owes this person nothing, or too little at each charger to be paid out."""

    code: ClassVar[str] = "nothing_owed"
    owed_micro: int  # Of all chargers.
    least_micro: int  # Of one charger.
    rule: str


@dataclass(eq=False, kw_only=True)
class KeyNotHere(LedgerError):
    """This service does not hold the key that would have to sign: somebody else does."""

    code: ClassVar[str] = "key_not_here"
    role: str
    rule: str


@dataclass(eq=False, kw_only=True)
class AlreadyMember(LedgerError):
    """This address owns an account already."""

    code: ClassVar[str] = "already_member"
    account: int


@dataclass(eq=False, kw_only=True)
class AlreadyApplied(LedgerError):
    """This address has asked to join, and waits for an answer."""

    code: ClassVar[str] = "already_applied"
    application_id: str


@dataclass(eq=False, kw_only=True)
class AlreadyPaired(LedgerError):
    """This meter's key speaks for a meter already, or waits to."""

    code: ClassVar[str] = "already_paired"
    key: str


@dataclass(eq=False, kw_only=True)
class AlreadyDecided(LedgerError):
    """It was decided otherwise before."""

    code: ClassVar[str] = "wrong_state"
    state: str
    rule: str
