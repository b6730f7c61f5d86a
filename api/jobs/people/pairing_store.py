"""Pairings in the database. That a meter is registered is the chain's to say."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    RowMapping,
    Table,
    insert,
    select,
    update,
)
from sqlmodel import Field, SQLModel

from api.jobs.people.pairings import Pairing, PairingState, PairingWish
from ledger.units import AccountId, Address, from_unix_s, to_unix_s
from metering.meters import MeterClass
from metering.readings import MeterId

__all__ = ["Connection", "Engine", "PairingStore"]

STANDING: Final = (PairingState.WAITING, PairingState.REGISTERING, PairingState.REGISTERED)


class _PairingTable(SQLModel, table=True):
    __tablename__ = "pairing"

    number: int | None = Field(default=None, primary_key=True)
    meter_id: bytes = Field(unique=True)
    account: int = Field(sa_type=BigInteger, index=True)
    label: str
    taken_label: str | None = Field(default=None, unique=True)  # While it is not refused.
    key: bytes
    taken_key: bytes | None = Field(default=None, unique=True)  # The same.
    meter_class: str
    limit_w: int = Field(sa_type=BigInteger)
    owner: bytes = Field(index=True)
    state: str = Field(index=True)
    reason: str
    valid_from_s: int | None = Field(default=None, sa_type=BigInteger)
    created_s: int = Field(sa_type=BigInteger)
    decided_s: int | None = Field(default=None, sa_type=BigInteger)
    decided_by: bytes | None = None


PAIRING: Final[Table] = _PairingTable.__table__  # type: ignore[attr-defined]


class PairingStore:
    """Every method works in the caller's transaction."""

    def add(
        self,
        connection: Connection,
        meter_id: MeterId,
        wish: PairingWish,
        owner: Address,
        *,
        at: datetime,
    ) -> Pairing:
        """Keeps a new pairing.

        Raises:
            IntegrityError: its key or label is taken.
        """
        connection.execute(
            insert(PAIRING).values(
                meter_id=meter_id,
                account=wish.account,
                label=wish.label,
                taken_label=wish.label,
                key=wish.key,
                taken_key=wish.key,
                meter_class=wish.meter_class,
                limit_w=wish.limit_w,
                owner=owner,
                state=PairingState.WAITING,
                reason="",
                created_s=to_unix_s(at),
            )
        )
        return self.require(connection, meter_id)

    def find(self, connection: Connection, meter_id: MeterId) -> Pairing | None:
        """A pairing; until the transaction ends nobody else decides it."""
        query = select(PAIRING).where(PAIRING.c.meter_id == meter_id).with_for_update()
        row = connection.execute(query).mappings().first()
        return None if row is None else _pairing(row)

    def require(self, connection: Connection, meter_id: MeterId) -> Pairing:
        """A pairing that is there."""
        query = select(PAIRING).where(PAIRING.c.meter_id == meter_id)
        return _pairing(connection.execute(query).mappings().one())

    def standing(self, connection: Connection, account: AccountId) -> list[Pairing]:
        """An account's pairings that were not refused."""
        query = select(PAIRING).where(PAIRING.c.account == account, PAIRING.c.state.in_(STANDING))
        return [_pairing(row) for row in connection.execute(query).mappings()]

    def holding(self, connection: Connection, *, key: Address, label: str) -> list[Pairing]:
        """Pairings that hold a key or a label."""
        query = select(PAIRING).where(
            (PAIRING.c.taken_key == key) | (PAIRING.c.taken_label == label)
        )
        return [_pairing(row) for row in connection.execute(query).mappings()]

    def let_go(self, connection: Connection, meter_ids: Iterable[MeterId]) -> None:
        """Frees the keys of meters that have retired; their labels stay theirs."""
        retired = PAIRING.c.meter_id.in_(list(meter_ids))
        connection.execute(update(PAIRING).where(retired).values(taken_key=None))

    def decide(
        self,
        connection: Connection,
        meter_id: MeterId,
        state: PairingState,
        *,
        by: Address | None = None,
        at: datetime | None = None,
        reason: str = "",
        valid_from: datetime | None = None,
    ) -> Pairing:
        """Moves a pairing on."""
        values: dict[str, Any] = {"state": state, "reason": reason}
        if state is PairingState.REFUSED:
            values |= {"taken_key": None, "taken_label": None}
        values |= {} if by is None else {"decided_by": by}
        values |= {} if at is None else {"decided_s": to_unix_s(at)}
        values |= {} if valid_from is None else {"valid_from_s": to_unix_s(valid_from)}
        own = PAIRING.c.meter_id == meter_id
        connection.execute(update(PAIRING).where(own).values(**values))
        return self.require(connection, meter_id)

    def in_state(self, connection: Connection, state: PairingState) -> list[Pairing]:
        """All pairings of a state, in order of arrival."""
        query = select(PAIRING).where(PAIRING.c.state == state).order_by(PAIRING.c.number)
        return [_pairing(row) for row in connection.execute(query).mappings()]

    def page(
        self,
        connection: Connection,
        *,
        owner: Address | None = None,
        state: PairingState | None = None,
        limit: int,
        before: int | None,
    ) -> tuple[Sequence[Pairing], int | None]:
        """Pairings, newest first, and where the next page begins."""
        query = select(PAIRING)
        if owner is not None:
            query = query.where(PAIRING.c.owner == owner)
        if state is not None:
            query = query.where(PAIRING.c.state == state)
        if before is not None:
            query = query.where(PAIRING.c.number < before)
        newest_first = query.order_by(PAIRING.c.number.desc()).limit(limit + 1)
        rows = connection.execute(newest_first).mappings().all()
        page = [_pairing(row) for row in rows[:limit]]
        return page, page[-1].number if len(rows) > limit else None


def _pairing(row: RowMapping) -> Pairing:
    valid_from_s, decided_s = row["valid_from_s"], row["decided_s"]
    return Pairing(
        number=row["number"],
        meter_id=MeterId(bytes(row["meter_id"])),
        wish=PairingWish(
            account=AccountId(row["account"]),
            label=row["label"],
            key=Address(bytes(row["key"])),
            meter_class=MeterClass(row["meter_class"]),
            limit_w=row["limit_w"],
        ),
        owner=Address(bytes(row["owner"])),
        state=PairingState(row["state"]),
        valid_from=None if valid_from_s is None else from_unix_s(valid_from_s),
        reason=row["reason"],
        created_at=from_unix_s(row["created_s"]),
        decided_at=None if decided_s is None else from_unix_s(decided_s),
    )
