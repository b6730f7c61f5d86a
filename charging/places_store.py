"""Charge points and connectors as they last were, in the database."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Table, insert, select, update

from charging.points import Availability, Booted
from charging.session_rows_store import ChargePointRow, ConnectorRow
from ledger.units import to_unix_s

POINT: Final[Table] = ChargePointRow.__table__  # type: ignore[attr-defined]
CONNECTOR: Final[Table] = ConnectorRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointState:
    """A charge point as it last was."""

    contact_s: int
    protocol: str
    vendor: str
    model: str
    serial: str
    firmware: str


class Places:
    """Every method works in the caller's transaction."""

    def note_contact(self, connection: Connection, charge_point_id: str, contact_s: int) -> None:
        """Notes when a charge point was last heard of."""
        self._upsert_point(connection, charge_point_id, {"contact_s": contact_s})

    def note_protocol(self, connection: Connection, charge_point_id: str, protocol: str) -> None:
        """Notes what a charge point speaks."""
        self._upsert_point(connection, charge_point_id, {"protocol": protocol})

    def note_boot(self, connection: Connection, event: Booted) -> None:
        """Notes what a charge point says of itself."""
        values = {
            "contact_s": to_unix_s(event.received_at),
            "vendor": event.vendor,
            "model": event.model,
            "serial": event.serial,
            "firmware": event.firmware,
        }
        self._upsert_point(connection, event.charge_point_id, values)

    def points(self, connection: Connection) -> dict[str, PointState]:
        """Every charge point that was ever here."""
        return {
            row["charge_point_id"]: PointState(
                **{name: row[name] for name in PointState.__dataclass_fields__}
            )
            for row in connection.execute(select(POINT)).mappings()
        }

    def note_availability(
        self,
        connection: Connection,
        charge_point_id: str,
        connector_id: int,
        availability: Availability,
        *,
        error: str,
        since_s: int,
    ) -> None:
        """Notes a connector's state."""
        where = (
            CONNECTOR.c.charge_point_id == charge_point_id,
            CONNECTOR.c.connector_id == connector_id,
        )
        values = {"availability": availability.value, "error": error, "since_s": since_s}
        if connection.execute(update(CONNECTOR).where(*where).values(**values)).rowcount == 0:
            connection.execute(
                insert(CONNECTOR).values(
                    charge_point_id=charge_point_id, connector_id=connector_id, **values
                )
            )

    def availability(
        self, connection: Connection, charge_point_id: str, connector_id: int
    ) -> Availability | None:
        """A connector's state; None before its charger told one."""
        query = select(CONNECTOR.c.availability).where(
            CONNECTOR.c.charge_point_id == charge_point_id,
            CONNECTOR.c.connector_id == connector_id,
        )
        found = connection.execute(query).scalar()
        return None if found is None else Availability(found)

    def availabilities(
        self, connection: Connection
    ) -> dict[tuple[str, int], tuple[Availability, int]]:
        """Every connector's state, and since when."""
        return {
            (row.charge_point_id, row.connector_id): (Availability(row.availability), row.since_s)
            for row in connection.execute(select(CONNECTOR))
        }

    def _upsert_point(
        self, connection: Connection, charge_point_id: str, values: dict[str, Any]
    ) -> None:
        where = POINT.c.charge_point_id == charge_point_id
        if connection.execute(update(POINT).where(where).values(**values)).rowcount == 0:
            unknown = {"protocol": "", "vendor": "", "model": "", "serial": "", "firmware": ""}
            whole = unknown | {"contact_s": 0} | values
            connection.execute(insert(POINT).values(charge_point_id=charge_point_id, **whole))
