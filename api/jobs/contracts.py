"""Where a community's contracts are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ledger.units import Address

NO_ESCROW = Address(bytes(20))  # Of communities that were made before there was one.


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """Where a community's contracts are."""

    token: Address
    registry: Address
    market: Address
    escrow: Address
    from_block: int

    @classmethod
    def of(cls, facts: Mapping[str, str]) -> Self:
        """As they were noted when they were deployed."""
        return cls(
            token=Address(bytes.fromhex(facts["token"])),
            registry=Address(bytes.fromhex(facts["registry"])),
            market=Address(bytes.fromhex(facts["market"])),
            escrow=Address(bytes.fromhex(facts.get("escrow", NO_ESCROW.hex()))),
            from_block=int(facts["from_block"]),
        )

    @property
    def has_escrow(self) -> bool:
        """Whether drivers can put deposits down."""
        return self.escrow != NO_ESCROW

    @property
    def followed(self) -> tuple[Address, ...]:
        """Those whose events are followed."""
        return (self.market, self.registry, *([self.escrow] if self.has_escrow else []))
