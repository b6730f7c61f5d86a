"""Chargers as drivers look for them: where they are, whether they can be used now."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from api.errors import BadInput
from charging.desk import ChargePointView, ConnectorView
from charging.points import Availability

_STATES: Final[Mapping[Availability, str]] = {
    Availability.AVAILABLE: "free",
    Availability.PREPARING: "plugged",
    Availability.OCCUPIED: "plugged",
    Availability.CHARGING: "busy",
    Availability.SUSPENDED_EV: "busy",
    Availability.SUSPENDED_EVSE: "busy",
    Availability.FINISHING: "finishing",  # Another car's cable: it may leave at any moment.
    Availability.RESERVED: "reserved",
    Availability.UNAVAILABLE: "unavailable",
    Availability.FAULTED: "faulted",
}
USABLE: Final = frozenset({"free", "plugged"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Charger:
    """One connector, as it is looked for and stood before."""

    point: ChargePointView
    connector: ConnectorView

    @property
    def name(self) -> str:
        """As on its sign, with the connector where there are several."""
        name = self.point.charge_point_id
        several = len(self.point.connectors) > 1
        return f"{name}/{self.connector.connector_id}" if several else name

    @property
    def place(self) -> str:
        """Where it is, as far as is known."""
        words = (self.point.place.get("name"), self.point.place.get("address"))
        return ", ".join(word for word in words if word)

    @property
    def geo(self) -> str | None:
        """Where it is for maps (RFC 5870)."""
        latitude, longitude = (self.point.place.get(name) for name in ("latitude", "longitude"))
        return f"geo:{latitude},{longitude}" if latitude and longitude else None

    @property
    def state(self) -> str:
        """Whether it can be used: the last part of a `charge.state.…` key."""
        if not self.point.online:
            return "offline"
        return "busy" if self.connector.busy else _STATES[self.connector.availability]

    @property
    def is_usable(self) -> bool:
        """Whether a charge could begin now."""
        return self.state in USABLE

    @property
    def path(self) -> str:
        """Its page."""
        point_id = quote(self.point.charge_point_id, safe="")
        return f"/charge/{point_id}?connector={self.connector.connector_id}"


def chargers_of(points: Iterable[ChargePointView]) -> Iterator[Charger]:
    """Every connector."""
    for point in points:
        for connector in point.connectors:
            yield Charger(point=point, connector=connector)


def matching(chargers: Iterable[Charger], wanted: str) -> list[Charger]:
    """Those of which id or place have every word that was typed, usable ones first."""
    words = wanted.casefold().split()
    found = [
        charger
        for charger in chargers
        if all(word in f"{charger.name} {charger.place}".casefold() for word in words)
    ]
    return sorted(found, key=lambda each: (not each.is_usable, each.name))


def charger_at(point: ChargePointView, connector_id: int | None) -> Charger:
    """The connector that is asked for; else the first that can be used, else the first.

    Raises:
        BadInput: the charge point has no such connector.
    """
    chargers = list(chargers_of([point]))
    if connector_id is None:
        return next((each for each in chargers if each.is_usable), chargers[0])
    for charger in chargers:
        if charger.connector.connector_id == connector_id:
            return charger
    raise BadInput(field="connector", rule=f"{point.charge_point_id} has no such connector")
