"""Intents and every transaction ever signed for them, in the database.

Each method is one transaction. A change names the version that it was decided on and is not made
if another process was there first.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from ledger.chain.protocol import Fees
from ledger.outbox_rows_store import (
    ATTEMPT,
    CHAIN,
    INTENT,
    attempt_of,
    entry_of,
    error_values,
    instant,
    lowest_free,
    work_order,
)
from ledger.outbox_states import (
    TERMINAL,
    Attempt,
    Entry,
    Inclusion,
    Intent,
    IntentKeyReused,
    State,
    UnknownIntent,
)
from ledger.units import Address, Hash32, from_unix_s, to_unix_s

__all__ = ["Connection", "Engine", "OutboxStore", "Signed"]

PENDING_READ_MAX = 32
KEYS_AT_ONCE = 500

# What an entry shows; the calldata is read only to sign it.
_SHOWN = [column for column in INTENT.c if column.name != "data"]
_NOT_MINED = {
    "mined_tx_hash": None,
    "mined_block": None,
    "mined_block_hash": None,
    "succeeded": None,
    "gas_used": None,
    "contract_address": None,
}
_NO_ERROR = {"error_code": None, "error_detail": None}


class Signed(Protocol):
    """A signed transaction and the hash that it will be known by."""

    @property
    def raw(self) -> bytes: ...

    @property
    def tx_hash(self) -> Hash32: ...


class OutboxStore:
    """The outbox's tables, for the intents of one chain."""

    def __init__(self, engine: Engine, *, chain_id: int) -> None:
        self.engine = engine
        self.chain_id = chain_id

    # Asking.

    def put(self, intent: Intent, connection: Connection | None = None) -> None:
        """Stores an intent, in the caller's transaction if given; the same one twice is one.

        Raises:
            IntentKeyReused: its key stands for another transaction.
        """
        if connection is None:
            with self.engine.begin() as own:
                return self.put(intent, own)
        query = select(INTENT).where(INTENT.c.key == intent.key)
        row = connection.execute(query).mappings().first()
        if row is None:
            values = self._values(intent) | {"key": intent.key, "version": 0}
            connection.execute(insert(INTENT).values(**values))
        elif not self._is_same(row, intent):
            raise IntentKeyReused(key=intent.key)
        return None

    def retry(self, intent: Intent, connection: Connection | None = None) -> None:
        """Asks again, with new data if need be, for an intent that reverted; else does nothing.

        Raises:
            UnknownIntent: there is no intent of this key.
        """
        if connection is None:
            with self.engine.begin() as own:
                return self.retry(intent, own)
        found = connection.execute(
            select(INTENT.c.entry_id, INTENT.c.state).where(INTENT.c.key == intent.key)
        ).first()
        if found is None:
            raise UnknownIntent(key=intent.key)
        if found.state == State.REVERTED:
            self._free(connection, found.entry_id)
            connection.execute(
                update(INTENT)
                .where(INTENT.c.entry_id == found.entry_id)
                .values(
                    **self._values(intent), **_NOT_MINED, **_NO_ERROR, version=INTENT.c.version + 1
                )
            )
        return None

    def _values(self, intent: Intent) -> dict[str, Any]:
        not_before_at = intent.not_before_at
        return {
            "chain_id": self.chain_id,
            "sender": intent.sender,
            "to_address": intent.to,
            "data": intent.data,
            "gas": intent.gas,
            "slots": b"".join(slot.to_bytes(32) for slot in intent.slots),
            "created_s": to_unix_s(intent.created_at),
            "not_before_s": None if not_before_at is None else to_unix_s(not_before_at),
            "state": State.PENDING,
            "nonce": None,
            "taken_block": None,
        }

    def _is_same(self, row: RowMapping, intent: Intent) -> bool:
        stored = (row["chain_id"], row["sender"], row["to_address"], row["data"])
        return stored == (self.chain_id, intent.sender, intent.to, intent.data)

    # Reading.

    def bind(self, genesis_hash: Hash32) -> Hash32:
        """Remembers which chain has this id, the first time; returns what is remembered."""
        try:
            with self.engine.begin() as connection:
                found = connection.execute(self._this_chain()).scalar()
                if found is not None:
                    return Hash32(found)
                connection.execute(
                    insert(CHAIN).values(chain_id=self.chain_id, genesis_hash=genesis_hash)
                )
                return genesis_hash
        except IntegrityError:  # Another process was first.
            return self.bind(genesis_hash)

    def _this_chain(self) -> Any:
        return select(CHAIN.c.genesis_hash).where(CHAIN.c.chain_id == self.chain_id)

    def entry(self, key: str) -> Entry | None:
        """How an intent fares."""
        entries = self._entries(INTENT.c.key == key)
        return entries[0] if entries else None

    def entries(
        self, keys: Sequence[str], connection: Connection | None = None
    ) -> dict[str, Entry]:
        """How those of these intents fare that there are, in the caller's transaction if given."""
        if connection is None:
            with self.engine.begin() as own:
                return self.entries(keys, own)
        found: dict[str, Entry] = {}
        for place in range(0, len(keys), KEYS_AT_ONCE):
            some = INTENT.c.key.in_(keys[place : place + KEYS_AT_ONCE])
            found |= {entry.key: entry for entry in self._entries_in(connection, some)}
        return found

    def open_entries(self, sender: Address, *, due_at: datetime | None) -> list[Entry]:
        """A sender's intents that are not final: by nonce what is signed, then what comes next.

        Of those that wait for a nonce only the first few that are due at `due_at` (None: all are)
        are read, however many there are.
        """
        own = (INTENT.c.chain_id == self.chain_id, INTENT.c.sender == sender)
        under_way = self._entries(*own, INTENT.c.state.in_([State.SIGNED, State.MINED]))
        order: list[ColumnElement[Any]] = [INTENT.c.entry_id]
        if due_at is not None:
            order.insert(0, func.coalesce(INTENT.c.not_before_s, 0) > to_unix_s(due_at))
        pending = (*own, INTENT.c.state == State.PENDING)
        first = select(INTENT.c.entry_id).where(*pending).order_by(*order).limit(PENDING_READ_MAX)
        return under_way + self._entries(INTENT.c.entry_id.in_(first))

    def lost_entries(self, sender: Address, nonce: int) -> list[Entry]:
        """Final entries whose nonce the chain does not count as spent: a deep reorg."""
        return self._entries(
            INTENT.c.chain_id == self.chain_id,
            INTENT.c.sender == sender,
            INTENT.c.nonce >= nonce,
            INTENT.c.state.in_(sorted(TERMINAL)),
        )

    def intent(self, entry: Entry) -> Intent:
        """What was asked for."""
        query = select(INTENT).where(INTENT.c.entry_id == entry.entry_id)
        with self.engine.begin() as connection:
            row = connection.execute(query).mappings().one()
        return Intent(
            key=row["key"],
            sender=Address(row["sender"]),
            to=None if row["to_address"] is None else Address(row["to_address"]),
            data=row["data"],
            created_at=from_unix_s(row["created_s"]),
            gas=row["gas"],
            slots=tuple(
                int.from_bytes(row["slots"][place : place + 32])
                for place in range(0, len(row["slots"]), 32)
            ),
            not_before_at=instant(row["not_before_s"]),
        )

    def raw(self, entry: Entry, tx_hash: Hash32) -> bytes:
        """The signed bytes of an attempt."""
        query = select(ATTEMPT.c.raw).where(
            ATTEMPT.c.entry_id == entry.entry_id, ATTEMPT.c.tx_hash == tx_hash
        )
        with self.engine.begin() as connection:
            found: bytes = connection.execute(query.limit(1)).scalar_one()
        return found

    def _entries(self, *conditions: ColumnElement[bool]) -> list[Entry]:
        with self.engine.begin() as connection:
            return self._entries_in(connection, *conditions)

    def _entries_in(self, connection: Connection, *conditions: ColumnElement[bool]) -> list[Entry]:
        wanted = select(INTENT.c.entry_id).where(*conditions)
        attempts: defaultdict[int, list[Attempt]] = defaultdict(list)
        rows = connection.execute(select(*_SHOWN).where(*conditions)).mappings().all()
        if rows:
            columns = [column for column in ATTEMPT.c if column.name != "raw"]
            query = select(*columns).where(ATTEMPT.c.entry_id.in_(wanted))
            for row in connection.execute(query.order_by(ATTEMPT.c.ordinal)).mappings():
                attempts[row["entry_id"]].append(attempt_of(row))
        entries = [entry_of(row, attempts[row["entry_id"]]) for row in rows]
        return sorted(entries, key=work_order)

    # Changing.

    def sign(
        self,
        entry: Entry,
        *,
        nonce_mined: int,
        gas: int,
        fees: Fees,
        now_at: datetime,
        make: Callable[[int], Signed],
    ) -> Signed | None:
        """Chooses the lowest free nonce, signs and stores; None if another was first."""
        with self.engine.begin() as connection:
            # One signer at a time, or two intents would share a nonce.
            connection.execute(self._this_chain().with_for_update())
            held = select(INTENT.c.nonce).where(
                INTENT.c.chain_id == self.chain_id,
                INTENT.c.sender == entry.sender,
                INTENT.c.nonce >= nonce_mined,
            )
            nonce = lowest_free(nonce_mined, connection.execute(held).scalars())
            change = {"state": State.SIGNED, "nonce": nonce, "taken_block": None} | _NO_ERROR
            if not self._change(connection, entry, change):
                return None
            signed = make(nonce)
            self._add_attempt(
                connection, entry, signed, nonce=nonce, gas=gas, fees=fees, now_at=now_at
            )
        return signed

    def bump(self, entry: Entry, signed: Signed, *, fees: Fees, now_at: datetime) -> bool:
        """Stores a better paid attempt beside those that went before."""
        last = entry.live[-1]
        with self.engine.begin() as connection:
            changed = self._change(connection, entry, _NO_ERROR)
            if changed:
                self._add_attempt(
                    connection,
                    entry,
                    signed,
                    nonce=last.nonce,
                    gas=last.gas,
                    fees=fees,
                    now_at=now_at,
                )
        return changed

    def include(
        self,
        entry: Entry,
        inclusion: Inclusion,
        state: State,
        *,
        error: tuple[str, str] | None = None,
    ) -> bool:
        """Notes the block that holds an attempt, and why it failed if it did."""
        nonces = {attempt.tx_hash: attempt.nonce for attempt in entry.attempts}
        change = {
            "state": state,
            "nonce": nonces[inclusion.tx_hash],
            "taken_block": None,
            "mined_tx_hash": inclusion.tx_hash,
            "mined_block": inclusion.block_number,
            "mined_block_hash": inclusion.block_hash,
            "succeeded": inclusion.succeeded,
            "gas_used": inclusion.gas_used,
            "contract_address": inclusion.contract_address,
        }
        return self._change_alone(entry, change | error_values(error))

    def reopen(self, entry: Entry) -> bool:
        """The block was dropped: it is signed and under way, as before."""
        change = {"state": State.SIGNED, "taken_block": None} | _NOT_MINED | _NO_ERROR
        return self._change_alone(entry, change)

    def note_taken(self, entry: Entry, block: int | None) -> bool:
        """Remembers since which head the nonce looks spent by somebody else."""
        return self._change_alone(entry, {"taken_block": block})

    def note_problem(self, entry: Entry, error: tuple[str, str]) -> bool:
        """Keeps the reason why nothing moves, for people to see."""
        return self._change_alone(entry, error_values(error))

    def abandon(self, entry: Entry) -> bool:
        """Gives the attempts up; the intent waits for a new nonce."""
        change = {"state": State.PENDING, "nonce": None, "taken_block": None} | _NO_ERROR
        return self._give_up(entry, change)

    def refuse(self, entry: Entry, error: tuple[str, str]) -> bool:
        """The chain will never take it: final, and its nonce is free."""
        change = {"state": State.REVERTED, "nonce": None, "taken_block": None}
        return self._give_up(entry, change | _NOT_MINED | error_values(error))

    def _give_up(self, entry: Entry, change: dict[str, Any]) -> bool:
        with self.engine.begin() as connection:
            changed = self._change(connection, entry, change)
            if changed:
                self._free(connection, entry.entry_id)
        return changed

    def _change_alone(self, entry: Entry, change: dict[str, Any]) -> bool:
        with self.engine.begin() as connection:
            return self._change(connection, entry, change)

    def _change(self, connection: Connection, entry: Entry, change: dict[str, Any]) -> bool:
        done = connection.execute(
            update(INTENT)
            .where(INTENT.c.entry_id == entry.entry_id, INTENT.c.version == entry.version)
            .values(**change, version=entry.version + 1)
        )
        return done.rowcount == 1

    def _free(self, connection: Connection, entry_id: int) -> None:
        connection.execute(
            update(ATTEMPT).where(ATTEMPT.c.entry_id == entry_id).values(abandoned=True)
        )

    def _add_attempt(
        self,
        connection: Connection,
        entry: Entry,
        signed: Signed,
        *,
        nonce: int,
        gas: int,
        fees: Fees,
        now_at: datetime,
    ) -> None:
        connection.execute(
            insert(ATTEMPT).values(
                entry_id=entry.entry_id,
                ordinal=len(entry.attempts),
                tx_hash=signed.tx_hash,
                nonce=nonce,
                gas=gas,
                raw=signed.raw,
                max_fee_wei=fees.max_fee_wei,
                priority_fee_wei=fees.priority_fee_wei,
                signed_s=to_unix_s(now_at),
                abandoned=False,
            )
        )
