"""The tables of charging; only `store.py` reads and writes them."""

from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from charging.desk import SessionState
from charging.orders import ChargeOrder, ChargeRecord, ChargerId, SessionId
from charging.sessions import ChargeSession, Evidence, PaidCharge
from charging.tariffs import ChargeTariff
from ledger.units import Address, Hash32

T = TypeVar("T")
_SAME: Final = (  # Columns that a session has under the same name and in the same type.
    "number",
    "order_signature",
    "charge_point_id",
    "connector_id",
    "power_w",
    "last_wh",
    "vat_bps",
    "reason",
    "created_s",
    "opened_s",
    "transaction_no",
    "start_asked_s",
    "stop_asked_s",
    "stop_reason",
    "ended_s",
    "record_signature",
    "metered",
    "id_token",
)


class ChargeSessionRow(SQLModel, table=True):
    """One session, from order to refund."""

    __tablename__ = "charge_session"
    __table_args__ = (
        Index("charge_session_state", "state"),
        Index("charge_session_charger", "charge_point_id", "connector_id"),
        Index("charge_session_driver", "driver"),
        Index("charge_session_host", "host"),
    )

    number: int | None = Field(default=None, primary_key=True)  # In order of arrival.
    session_id: bytes = Field(unique=True)
    # The order, as it was signed.
    driver: bytes
    charger_id: bytes
    order_deposit_micro: str  # uint64 does not fit a signed column.
    energy_per_kwh: int = Field(sa_type=BigInteger)
    start_fee: int = Field(sa_type=BigInteger)
    time_per_hour: int = Field(sa_type=BigInteger)
    idle_per_hour: int = Field(sa_type=BigInteger)
    valid_until_s: str
    nonce: str
    order_signature: bytes
    # The charger, as it was registered when the session opened.
    charge_point_id: str
    connector_id: int
    host: bytes
    record_key: bytes
    power_w: int = Field(sa_type=BigInteger)
    last_wh: int = Field(sa_type=BigInteger)  # Its register before.
    vat_bps: int
    # Where it is.
    state: str
    reason: str
    created_s: int = Field(sa_type=BigInteger)
    deposit_micro: str  # With every top-up that the chain has.
    opened_s: int | None = Field(default=None, sa_type=BigInteger)
    id_token: str = Field(unique=True)
    transaction_no: int | None = None
    start_asked_s: int | None = Field(default=None, sa_type=BigInteger)
    stop_asked_s: int | None = Field(default=None, sa_type=BigInteger)
    stop_reason: str
    ended_s: int | None = Field(default=None, sa_type=BigInteger)  # The charger said so, our clock.
    # What was measured.
    record_json: str | None = None
    record_signature: bytes | None = None
    evidence_json: str | None = None
    # What it came to.
    paid_micro: str | None = None
    refunded_micro: str | None = None
    open_tx: bytes | None = None
    close_tx: bytes | None = None
    metered: bool = Field(index=True)


class ChargeTransactionRow(SQLModel, table=True):
    """One charge as a charge point speaks of it; its number is OCPP 1.6's `transactionId`."""

    __tablename__ = "charge_transaction"
    __table_args__ = (
        UniqueConstraint("charge_point_id", "transaction_id"),
        Index("charge_transaction_open", "charge_point_id", "ended"),
    )

    number: int | None = Field(default=None, primary_key=True)
    charge_point_id: str
    transaction_id: str
    connector_id: int | None = None
    id_token: str
    session_id: bytes | None = Field(default=None, index=True)
    begun: bool  # Its start has been told.
    ended: bool


class ChargeEventRow(SQLModel, table=True):
    """What a charge point said, once, in the order in which it reached us."""

    __tablename__ = "charge_event"
    __table_args__ = (Index("charge_event_transaction", "transaction_no", "number"),)

    number: int | None = Field(default=None, primary_key=True)
    digest: bytes = Field(unique=True)  # The same message again is the same event.
    charge_point_id: str
    received_s: int = Field(sa_type=BigInteger, index=True)
    transaction_no: int | None = None
    kind: str
    event_json: str


class ChargePointRow(SQLModel, table=True):
    """A charge point as it last described itself."""

    __tablename__ = "charge_point"

    charge_point_id: str = Field(primary_key=True)
    contact_s: int = Field(sa_type=BigInteger)
    protocol: str
    vendor: str
    model: str
    serial: str
    firmware: str


class ConnectorRow(SQLModel, table=True):
    """A connector's last known state."""

    __tablename__ = "charge_connector"

    charge_point_id: str = Field(primary_key=True)
    connector_id: int = Field(primary_key=True)
    availability: str
    error: str
    since_s: int = Field(sa_type=BigInteger)


class TopUpRow(SQLModel, table=True):
    """A signed addition to a deposit."""

    __tablename__ = "charge_top_up"

    session_id: bytes = Field(primary_key=True)
    nonce: str = Field(primary_key=True)
    add_micro: str
    signature: bytes


class SignedRecordRow(SQLModel, table=True):
    """A record that a meter signed, and the one session that it proves."""

    __tablename__ = "charge_signed_record"

    digest: bytes = Field(primary_key=True)  # Of what is signed, however it was encoded.
    session_id: bytes


def session_values(session: ChargeSession) -> dict[str, Any]:
    """The columns of a session."""
    order, tariff = session.order, session.order.tariff
    return {
        "session_id": session.session_id,
        "driver": order.driver,
        "charger_id": order.charger_id,
        "order_deposit_micro": str(order.deposit_micro),
        "energy_per_kwh": tariff.energy_per_kwh,
        "start_fee": tariff.start_fee,
        "time_per_hour": tariff.time_per_hour,
        "idle_per_hour": tariff.idle_per_hour,
        "valid_until_s": str(order.valid_until_s),
        "nonce": str(order.nonce),
        "order_signature": session.order_signature,
        "charge_point_id": session.charge_point_id,
        "connector_id": session.connector_id,
        "host": session.host,
        "record_key": session.record_key,
        "power_w": session.power_w,
        "last_wh": session.last_wh,
        "vat_bps": session.vat_bps,
        "state": session.state.value,
        "reason": session.reason,
        "created_s": session.created_s,
        "deposit_micro": str(session.deposit_micro),
        "opened_s": session.opened_s,
        "id_token": session.id_token,
        "transaction_no": session.transaction_no,
        "start_asked_s": session.start_asked_s,
        "stop_asked_s": session.stop_asked_s,
        "stop_reason": session.stop_reason,
        "ended_s": session.ended_s,
        "record_json": _json(session.record),
        "record_signature": session.record_signature,
        "evidence_json": _json(session.evidence),
        "paid_micro": _text(session.paid_micro),
        "refunded_micro": _text(session.refunded_micro),
        "open_tx": session.open_tx,
        "close_tx": session.close_tx,
        "metered": session.metered,
    }


def session_of(row: Any) -> ChargeSession:
    """The session of a row."""
    tariff = ChargeTariff(
        energy_per_kwh=row["energy_per_kwh"],
        start_fee=row["start_fee"],
        time_per_hour=row["time_per_hour"],
        idle_per_hour=row["idle_per_hour"],
    )
    order = ChargeOrder(
        driver=Address(row["driver"]),
        charger_id=ChargerId(row["charger_id"]),
        deposit_micro=int(row["order_deposit_micro"]),
        tariff=tariff,
        valid_until_s=int(row["valid_until_s"]),
        nonce=int(row["nonce"]),
    )
    return ChargeSession(
        **{name: row[name] for name in _SAME},
        session_id=SessionId(row["session_id"]),
        order=order,
        host=Address(row["host"]),
        record_key=Address(row["record_key"]),
        state=SessionState(row["state"]),
        deposit_micro=int(row["deposit_micro"]),
        record=_of_json(row["record_json"], ChargeRecord),
        evidence=_of_json(row["evidence_json"], Evidence),
        paid_micro=_number(row["paid_micro"]),
        refunded_micro=_number(row["refunded_micro"]),
        open_tx=None if row["open_tx"] is None else Hash32(row["open_tx"]),
        close_tx=None if row["close_tx"] is None else Hash32(row["close_tx"]),
    )


def paid_charge_of(row: Any) -> PaidCharge:
    """What the row of a closed session brought its host."""
    record = _of_json(row.record_json, ChargeRecord)
    return PaidCharge(
        charge_point_id=row.charge_point_id,
        connector_id=row.connector_id,
        energy_wh=0 if record is None else record.energy_wh,
        paid_micro=_number(row.paid_micro) or 0,
    )


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _of_json(text: str | None, kind: type[T]) -> T | None:
    return None if text is None else msgspec.json.decode(text, type=kind)


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
