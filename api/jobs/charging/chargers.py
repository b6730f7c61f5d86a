"""The chargers of a community, as its configuration describes them."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from api.config import ChargerSection
from api.jobs.community import Community
from api.jobs.create import accounts_of, address_of, charger_password, record_key_name
from charging.errors import ChargerUnknown
from charging.orders import ChargerId, charger_id_of
from charging.tariff_tables import TariffTable, tariff_table_of
from ledger.chain.wallet import Wallet
from ledger.units import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Charger:
    """One connector: what the escrow, the market and drivers call a charger."""

    charge_point_id: str
    connector_id: int
    charger_id: ChargerId
    section: ChargerSection
    host: Address
    account: int
    record_key: Wallet
    tariffs: TariffTable

    @property
    def label(self) -> str:
        """Its meter's label in the market."""
        return f"{self.charge_point_id}/{self.connector_id}"


class ChargerBook:
    """All chargers of one community."""

    def __init__(self, community: Community) -> None:
        self._community = community

    @cached_property
    def chargers(self) -> dict[ChargerId, Charger]:
        """Every charger by its id."""
        return {charger.charger_id: charger for charger in self._all()}

    def points(self) -> dict[str, ChargerSection]:
        """Every charge point by its id."""
        config = self._community.config
        return {section.charge_point_id: section for section in config.chargers}

    def of_point(self, charge_point_id: str) -> list[Charger]:
        """A charge point's chargers, by connector; raises ChargerUnknown."""
        found = [each for each in self.chargers.values() if each.charge_point_id == charge_point_id]
        if not found:
            raise ChargerUnknown(charger=charge_point_id)
        return found

    def require(self, charger_id: bytes) -> Charger:
        """A charger by its id; raises ChargerUnknown."""
        charger = self.chargers.get(ChargerId(charger_id))
        if charger is None:
            raise ChargerUnknown(charger="0x" + charger_id.hex())
        return charger

    def at(self, charge_point_id: str, connector_id: int) -> Charger | None:
        """A charger by its connector, if there is one."""
        return self.chargers.get(charger_id_of(charge_point_id, connector_id))

    def password(self, charge_point_id: str) -> str:
        """The password that a charge point signs in with (OCPP security profiles 1 and 2)."""
        community = self._community
        password = charger_password(community.config, community.keys, charge_point_id)
        if password is None:
            raise ChargerUnknown(charger=charge_point_id)
        return password

    async def may_connect(
        self, charge_point_id: str, *, password: bytes | None, certificate_name: str | None
    ) -> bool:
        """Whether a charger of this id may connect: by its certificate, else by its password."""
        if charge_point_id not in self.points():
            return False
        if certificate_name is not None:
            return hmac.compare_digest(certificate_name.encode(), charge_point_id.encode())
        if password is None:
            return False
        return hmac.compare_digest(password, self.password(charge_point_id).encode())

    def _all(self) -> Iterator[Charger]:
        community = self._community
        accounts = dict(accounts_of(community.config))
        for section in community.config.chargers:
            host = address_of(community, section.host, accounts[section.host])
            for connector_id in section.connector_ids():
                name = record_key_name(section.charge_point_id, connector_id)
                yield Charger(
                    charge_point_id=section.charge_point_id,
                    connector_id=connector_id,
                    charger_id=charger_id_of(section.charge_point_id, connector_id),
                    section=section,
                    host=host,
                    account=section.host,
                    record_key=community.keys.wallet(name),
                    tariffs=tariff_table_of(section.tariff),
                )
