"""Relays in the database. How each fares is the outbox's to say."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Index,
    RowMapping,
    Table,
    func,
    insert,
    select,
    update,
)
from sqlmodel import Field, SQLModel

from api.jobs.people.relays import ASKED_FOR, Relay, RelayId, RelayKind
from charging.orders import ChargerId
from ledger.units import AccountId, Address, from_unix_s, to_unix_s

__all__ = ["Connection", "Engine", "RelayStore"]


class _RelayTable(SQLModel, table=True):
    __tablename__ = "relay"
    __table_args__ = (
        Index("relay_account", "account", "number"),
        Index("relay_owner", "owner", "kind"),
    )

    number: int | None = Field(default=None, primary_key=True)  # In order of arrival.
    relay_id: bytes = Field(unique=True)
    slot: str | None = Field(default=None, unique=True)  # None: it let another have its nonce.
    kind: str
    owner: bytes
    account: int | None = Field(default=None, sa_type=BigInteger)
    nonce: str  # uint256 does not fit a column.
    amount_micro: str | None = None
    created_s: int = Field(sa_type=BigInteger)
    charger_id: bytes | None = None


RELAY: Final[Table] = _RelayTable.__table__  # type: ignore[attr-defined]


class RelayStore:
    """Every method works in the caller's transaction."""

    def add(self, connection: Connection, relay: Relay) -> None:
        """Keeps a new relay, which holds its slot.

        Raises:
            IntegrityError: another transaction was first.
        """
        connection.execute(insert(RELAY).values(**_values(relay), slot=relay.slot))

    def find(self, connection: Connection, relay_id: RelayId) -> Relay | None:
        """A relay by its id."""
        row = connection.execute(select(RELAY).where(RELAY.c.relay_id == relay_id))
        return _first(row.mappings().first())

    def holder(self, connection: Connection, slot: str) -> Relay | None:
        """Which relay holds a slot."""
        row = connection.execute(select(RELAY).where(RELAY.c.slot == slot))
        return _first(row.mappings().first())

    def hold(self, connection: Connection, relay: Relay) -> None:
        """Takes its slot again."""
        connection.execute(
            update(RELAY).where(RELAY.c.relay_id == relay.relay_id).values(slot=relay.slot)
        )

    def let_go(self, connection: Connection, relay: Relay) -> None:
        """Frees the slot of a relay that failed."""
        connection.execute(
            update(RELAY).where(RELAY.c.relay_id == relay.relay_id).values(slot=None)
        )

    def latest(self, connection: Connection, kind: RelayKind, account: AccountId) -> list[Relay]:
        """An account's last few relays of a kind, newest first."""
        query = select(RELAY).where(RELAY.c.account == account, RELAY.c.kind == kind)
        rows = connection.execute(query.order_by(RELAY.c.number.desc()).limit(_LOOKED_AT))
        return [_relay(row) for row in rows.mappings()]

    def count_since(self, connection: Connection, account: AccountId, since: datetime) -> int:
        """How many relays an account has asked for since an instant."""
        query = select(func.count()).where(
            RELAY.c.account == account, RELAY.c.created_s > to_unix_s(since)
        )
        return int(connection.execute(query).scalar_one())

    def count_asked_for(self, connection: Connection, owner: Address, since: datetime) -> int:
        """How often somebody was paid what they asked for, or was to be, since an instant."""
        query = select(func.count()).where(
            RELAY.c.owner == owner,
            RELAY.c.kind.in_(sorted(ASKED_FOR)),
            RELAY.c.created_s > to_unix_s(since),
        )
        return int(connection.execute(query).scalar_one())

    def last_asked_for(self, connection: Connection, owner: Address) -> list[Relay]:
        """What somebody asked for last of each charger's credit and of claims, newest first."""
        whose = (RELAY.c.owner == owner, RELAY.c.kind.in_(sorted(ASKED_FOR)))
        last = select(func.max(RELAY.c.number)).where(*whose)
        last = last.group_by(RELAY.c.kind, RELAY.c.charger_id)
        query = select(RELAY).where(RELAY.c.number.in_(last)).order_by(RELAY.c.number.desc())
        return [_relay(row) for row in connection.execute(query).mappings()]

    def count(self, connection: Connection, kind: RelayKind, owner: Address) -> int:
        """How many relays of a kind somebody has had."""
        query = select(func.count()).where(RELAY.c.owner == owner, RELAY.c.kind == kind)
        return int(connection.execute(query).scalar_one())

    def page(
        self, connection: Connection, account: AccountId, *, limit: int, before: int | None
    ) -> tuple[Sequence[Relay], int | None]:
        """An account's relays, newest first, and where the next page begins."""
        query = select(RELAY).where(RELAY.c.account == account)
        if before is not None:
            query = query.where(RELAY.c.number < before)
        found = connection.execute(query.order_by(RELAY.c.number.desc()).limit(limit + 1))
        rows = found.mappings().all()
        page = rows[:limit]
        return [_relay(row) for row in page], page[-1]["number"] if len(rows) > limit else None


_LOOKED_AT: Final = 10


def _first(row: RowMapping | None) -> Relay | None:
    return None if row is None else _relay(row)


def _values(relay: Relay) -> dict[str, object]:
    return {
        "relay_id": relay.relay_id,
        "kind": relay.kind,
        "owner": relay.owner,
        "account": relay.account,
        "nonce": str(relay.nonce),
        "amount_micro": None if relay.amount_micro is None else str(relay.amount_micro),
        "created_s": to_unix_s(relay.created_at),
        "charger_id": relay.charger_id,
    }


def _relay(row: RowMapping) -> Relay:
    amount, account, charger_id = row["amount_micro"], row["account"], row["charger_id"]
    return Relay(
        relay_id=RelayId(bytes(row["relay_id"])),
        kind=RelayKind(row["kind"]),
        owner=Address(bytes(row["owner"])),
        account=None if account is None else AccountId(account),
        nonce=int(row["nonce"]),
        amount_micro=None if amount is None else int(amount),
        created_at=from_unix_s(row["created_s"]),
        charger_id=None if charger_id is None else ChargerId(bytes(charger_id)),
    )
