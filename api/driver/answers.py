"""What a service says of its market, chargers and sessions; fields that are new are left."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from api.clock import SPEED_MAX, Clock, RunningClock
from api.driver.http import BadAnswer
from charging.desk import SessionState
from charging.orders import UINT64_MAX, ChargerId, SessionId
from charging.tariffs import PRICE_MAX, ChargeTariff
from ledger.json_fields import (
    BadField,
    Fields,
    choice,
    flag,
    if_any,
    instant_s,
    listed,
    octets,
    text,
    whole,
    whole_text,
)
from ledger.units import BPS, REGISTER_WH_MAX, Address, Hash32, from_unix_s

T = TypeVar("T")
SECONDS_MAX: Final = 2**40
WATTS_MAX: Final = 10**9
_amount = whole_text(0, UINT64_MAX, "must be a decimal string")
_price = whole_text(0, PRICE_MAX, "must be a decimal string of a price")


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Where the contracts are, and what money is called."""

    name: str
    currency: str
    chain_id: int
    escrow: Address
    token: Address
    clock: Clock  # The community's time, as it goes on since the answer.


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """One charger."""

    connector_id: int
    charger_id: ChargerId
    state: str
    busy: bool
    power_w: int
    tariff: ChargeTariff
    tariff_until_s: int | None
    vat_bps: int
    deposit_micro_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePoint:
    """A charge point and its connectors."""

    charge_point_id: str
    place: str
    online: bool
    connectors: tuple[Connector, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A charge as it is now."""

    session_id: SessionId
    state: SessionState
    reason: str
    charge_point_id: str
    connector_id: int
    deposit_micro: int
    energy_wh: int
    power_w: int | None
    measured_s: int | None
    time_s: int
    idle_s: int
    cost_micro: int
    paid_micro: int | None
    refunded_micro: int | None
    started_s: int | None
    open_tx: Hash32 | None
    close_tx: Hash32 | None


def read(url: str, document: object, of: Callable[[Fields], T]) -> T:
    """An answer as a value; raises BadAnswer."""
    try:
        return of(Fields(document, ""))
    except BadField as error:
        raise BadAnswer(url=url, rule=error.detail) from error


def market_of(fields: Fields) -> Market:
    """`GET /v1/market`."""
    contracts = Fields(fields.take("contracts", _any), "contracts")
    return Market(
        name=fields.take("name", text),
        currency=fields.take("currency", text),
        chain_id=fields.take("chain_id", whole(1, 2**53 - 1)),
        escrow=Address(contracts.take("escrow", octets(20))),
        token=Address(contracts.take("token", octets(20))),
        clock=RunningClock(
            from_unix_s(fields.take("now", instant_s)),
            speed=fields.take("speed", whole(1, SPEED_MAX)),
        ),
    )


def charge_point_of(fields: Fields) -> ChargePoint:
    """`GET /v1/chargers/{id}`."""
    place: dict[str, Any] = fields.take("place", _object)
    words = (place.get("name"), place.get("address"))
    return ChargePoint(
        charge_point_id=fields.take("id", text),
        place=", ".join(word for word in words if isinstance(word, str) and word),
        online=fields.take("state", text) == "online",
        connectors=fields.take("connectors", listed(_connector)),
    )


def charge_points_of(fields: Fields) -> tuple[tuple[ChargePoint, ...], str | None]:
    """A page of `GET /v1/chargers`, and where the next one begins."""
    points = fields.take("items", listed(lambda each, path: charge_point_of(Fields(each, path))))
    return points, fields.take("next", if_any(text))


def _connector(value: object, path: str) -> Connector:
    fields = Fields(value, path)
    tariff = Fields(fields.take("tariff", _any), f"{path}.tariff")
    return Connector(
        connector_id=fields.take("connector_id", whole(1, 10**6)),
        charger_id=ChargerId(fields.take("charger_id", octets(32))),
        state=fields.take("state", text),
        busy=fields.take("busy", flag),
        power_w=fields.take("power_w", whole(1, WATTS_MAX)),
        tariff=ChargeTariff(
            energy_per_kwh=tariff.take("energyPerKwh", _price),
            start_fee=tariff.take("startFee", _price),
            time_per_hour=tariff.take("timePerHour", _price),
            idle_per_hour=tariff.take("idlePerHour", _price),
        ),
        tariff_until_s=fields.take("tariff_until", if_any(instant_s)),
        vat_bps=fields.take("vat_bps", whole(0, BPS)),
        deposit_micro_min=fields.take("deposit_micro_min", _amount),
    )


def session_of(fields: Fields) -> Session:
    """`GET /v1/sessions/{id}`."""
    transactions = Fields(fields.take("transactions", _any), "transactions")
    open_tx = transactions.take("open", if_any(octets(32)))
    close_tx = transactions.take("close", if_any(octets(32)))
    return Session(
        session_id=SessionId(fields.take("session_id", octets(32))),
        state=SessionState(fields.take("state", choice([each.value for each in SessionState]))),
        reason=fields.take("reason", text),
        charge_point_id=fields.take("charge_point_id", text),
        connector_id=fields.take("connector_id", whole(1, 10**6)),
        deposit_micro=fields.take("deposit_micro", _amount),
        energy_wh=fields.take("energy_wh", whole(0, REGISTER_WH_MAX)),
        power_w=fields.take("power_w", if_any(whole(0, WATTS_MAX))),
        measured_s=fields.take("measured_at", if_any(instant_s)),
        time_s=fields.take("time_s", whole(0, SECONDS_MAX)),
        idle_s=fields.take("idle_s", whole(0, SECONDS_MAX)),
        cost_micro=fields.take("cost_micro", _amount),
        paid_micro=fields.take("paid_micro", if_any(_amount)),
        refunded_micro=fields.take("refunded_micro", if_any(_amount)),
        started_s=fields.take("started_at", if_any(instant_s)),
        open_tx=None if open_tx is None else Hash32(open_tx),
        close_tx=None if close_tx is None else Hash32(close_tx),
    )


def _any(value: object, _path: str) -> object:
    return value


def _object(value: object, path: str) -> dict[str, Any]:
    _ = Fields(value, path)
    return dict(value) if isinstance(value, dict) else {}
