"""The outbox's tables, and how their rows become values. Only `outbox_store.py` uses this."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import BigInteger, Index, RowMapping, Text
from sqlmodel import Field, SQLModel

from ledger.chain.protocol import Fees
from ledger.outbox_states import Attempt, Entry, Inclusion, State
from ledger.units import Address, Hash32, from_unix_s


class _IntentTable(SQLModel, table=True):
    __tablename__ = "outbox_intent"
    __table_args__ = (
        Index("outbox_intent_state", "chain_id", "state"),
        Index("outbox_intent_nonce", "chain_id", "sender", "nonce"),
    )

    entry_id: int | None = Field(default=None, primary_key=True)
    version: int = 0
    key: str = Field(unique=True)
    chain_id: int = Field(sa_type=BigInteger)
    sender: bytes
    to_address: bytes | None = None  # None creates a contract.
    data: bytes
    gas: int | None = Field(default=None, sa_type=BigInteger)
    slots: bytes = b""  # Of its access list: 32-byte words.
    created_s: int = Field(sa_type=BigInteger)
    not_before_s: int | None = Field(default=None, sa_type=BigInteger)
    state: str
    nonce: int | None = Field(default=None, sa_type=BigInteger)  # Set: it holds this nonce.
    taken_block: int | None = Field(default=None, sa_type=BigInteger)
    mined_tx_hash: bytes | None = None
    mined_block: int | None = Field(default=None, sa_type=BigInteger)
    mined_block_hash: bytes | None = None
    succeeded: bool | None = None
    gas_used: int | None = Field(default=None, sa_type=BigInteger)
    contract_address: bytes | None = None
    error_code: str | None = None
    error_detail: str | None = Field(default=None, sa_type=Text)


class _AttemptTable(SQLModel, table=True):
    __tablename__ = "outbox_attempt"

    entry_id: int = Field(primary_key=True, foreign_key="outbox_intent.entry_id")
    ordinal: int = Field(primary_key=True)
    tx_hash: bytes = Field(index=True)
    nonce: int = Field(sa_type=BigInteger)
    gas: int = Field(sa_type=BigInteger)
    raw: bytes
    max_fee_wei: int = Field(sa_type=BigInteger)
    priority_fee_wei: int = Field(sa_type=BigInteger)
    signed_s: int = Field(sa_type=BigInteger)
    abandoned: bool = False


class _ChainTable(SQLModel, table=True):
    __tablename__ = "outbox_chain"

    chain_id: int = Field(primary_key=True, sa_type=BigInteger)
    genesis_hash: bytes


INTENT = SQLModel.metadata.tables["outbox_intent"]
ATTEMPT = SQLModel.metadata.tables["outbox_attempt"]
CHAIN = SQLModel.metadata.tables["outbox_chain"]


def instant(unix_s: int | None) -> datetime | None:
    """An optional instant of an optional number of seconds."""
    return None if unix_s is None else from_unix_s(unix_s)


def attempt_of(row: RowMapping) -> Attempt:
    """A signed transaction, less its bytes."""
    return Attempt(
        tx_hash=Hash32(row["tx_hash"]),
        nonce=row["nonce"],
        gas=row["gas"],
        fees=Fees(max_fee_wei=row["max_fee_wei"], priority_fee_wei=row["priority_fee_wei"]),
        signed_at=from_unix_s(row["signed_s"]),
        abandoned=row["abandoned"],
    )


def entry_of(row: RowMapping, attempts: Iterable[Attempt]) -> Entry:
    """An intent's fate, less its calldata."""
    return Entry(
        entry_id=row["entry_id"],
        version=row["version"],
        key=row["key"],
        sender=Address(row["sender"]),
        state=State(row["state"]),
        not_before_at=instant(row["not_before_s"]),
        attempts=tuple(attempts),
        inclusion=_inclusion(row),
        taken_block=row["taken_block"],
        error_code=row["error_code"],
        error_detail=row["error_detail"],
    )


def _inclusion(row: RowMapping) -> Inclusion | None:
    if row["mined_tx_hash"] is None:
        return None
    created = row["contract_address"]
    return Inclusion(
        tx_hash=Hash32(row["mined_tx_hash"]),
        block_number=row["mined_block"],
        block_hash=Hash32(row["mined_block_hash"]),
        succeeded=row["succeeded"],
        gas_used=row["gas_used"],
        contract_address=None if created is None else Address(created),
    )


def work_order(entry: Entry) -> tuple[bool, int, int]:
    """What is signed comes first, by its nonce."""
    live = entry.live
    return (not live, live[-1].nonce if live else 0, entry.entry_id)


def lowest_free(nonce_mined: int, held: Iterable[int]) -> int:
    """The first nonce that none of ours holds."""
    taken = frozenset(held)
    nonce = nonce_mined
    while nonce in taken:
        nonce += 1
    return nonce


def error_values(error: tuple[str, str] | None) -> dict[str, str | None]:
    """The columns of a reason."""
    code, detail = error or (None, None)
    return {"error_code": code, "error_detail": detail}
