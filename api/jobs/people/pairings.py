"""Meters that people pair with their accounts: values, and the text that a meter signs."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.keccak import checksum_address
from ledger.units import AccountId, Address, to_rfc3339
from metering.meters import MeterClass
from metering.readings import MeterId


class PairingState(StrEnum):
    """Where a pairing is."""

    WAITING = "waiting"  # For the grid operator.
    REGISTERING = "registering"  # The registration is on its way to the chain.
    REGISTERED = "registered"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingWish:
    """A device, and the account that it is to be paired with."""

    account: AccountId
    label: str
    key: Address  # Of the device: it signs the readings.
    meter_class: MeterClass
    limit_w: int

    def text(self, *, chain_id: int, registry: Address, owner: Address, issued_at: datetime) -> str:
        """What the device signs (EIP-191) to say that it is this person's.

        Without it anybody could pair anybody's device, and have its energy.
        """
        return (
            "Wattledger: pair this meter\n"
            f"Chain ID: {chain_id}\n"
            f"Registry: {checksum_address(registry)}\n"
            f"Account: {self.account}\n"
            f"Owner: {checksum_address(owner)}\n"
            f"Class: {self.meter_class}\n"
            f"Limit: {self.limit_w} W\n"
            f"Issued At: {to_rfc3339(issued_at)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """A device that asks to be a meter."""

    number: int  # In order of arrival.
    meter_id: MeterId  # Random: it tells nothing of device or place.
    wish: PairingWish
    owner: Address  # Who asked.
    state: PairingState
    valid_from: datetime | None  # Since when it counts, once that is known.
    reason: str  # Of a refusal.
    created_at: datetime
    decided_at: datetime | None
