"""What is counted in the database for whoever watches the service: by index, never all rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, func, select
from sqlmodel import SQLModel

# Each import makes its tables known.
import charging.store  # noqa: F401
import ledger.outbox_store  # noqa: F401
from ledger.outbox_states import TERMINAL, State
from ledger.store import open_engine
from ledger.units import Address

LIVE = sorted(state for state in State if state not in TERMINAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxDepth:
    """What one sender still owes the chain."""

    sender: Address
    count: int
    oldest_s: int  # When the oldest of them was put.


class Counts:
    """Counts beside whoever writes: no lock is taken."""

    def __init__(self, engine: Engine, *, chain_id: int) -> None:
        self._chain_id = chain_id
        self._engine, self._is_ours = engine, False
        if engine.dialect.name == "sqlite":
            # Readers of the service's own engine take turns with its writers.
            self._engine = open_engine(
                engine.url.render_as_string(hide_password=False), read_only=True
            )
            self._is_ours = True

    def outbox(self) -> list[OutboxDepth]:
        """By sender, what is not confirmed yet."""
        intent = SQLModel.metadata.tables["outbox_intent"]
        query = (
            select(intent.c.sender, func.count(), func.min(intent.c.created_s))
            .where(intent.c.chain_id == self._chain_id, intent.c.state.in_(LIVE))
            .group_by(intent.c.sender)
        )
        with self._engine.connect() as connection:
            return [
                OutboxDepth(sender=Address(sender), count=count, oldest_s=oldest_s)
                for sender, count, oldest_s in connection.execute(query)
            ]

    def sessions(self) -> Mapping[str, int]:
        """How many charging sessions are in which state: the whole index of states is read."""
        session = SQLModel.metadata.tables["charge_session"]
        query = select(session.c.state, func.count()).group_by(session.c.state)
        with self._engine.connect() as connection:
            return {str(state): int(count) for state, count in connection.execute(query)}

    def close(self) -> None:
        """Gives connections back."""
        if self._is_ours:
            self._engine.dispose()


@contextmanager
def counting(engine: Engine, *, chain_id: int) -> Iterator[Counts]:
    """Counts for as long as the block runs."""
    counts = Counts(engine, chain_id=chain_id)
    try:
        yield counts
    finally:
        counts.close()
