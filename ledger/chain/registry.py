"""Reading and calling a MeterRegistry contract."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ledger.chain.abi import Event, decode_event, decode_result, deploy_data, encode_call
from ledger.chain.protocol import Chain, Log
from ledger.units import Address

CONTRACT = "MeterRegistry"
VALID_UNTIL_OPEN_S = 2**64 - 1


class MeterClass(IntEnum):
    """How a meter's readings come to be signed; numbered as in the contract."""

    CERTIFIED = 0
    GATEWAY = 1
    IMPORTED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryTerm:
    """One stretch of a meter's life: `[valid_from_s, valid_until_s)`."""

    key: Address
    account: int
    meter_class: MeterClass
    limit_w: int
    valid_from_s: int
    valid_until_s: int  # `VALID_UNTIL_OPEN_S` while open.


@dataclass(frozen=True, slots=True)
class RegistryReader:
    """One registry as it is now, or with `at_block` as a past block left it."""

    chain: Chain
    address: Address
    at_block: int | None = None

    def registrar(self) -> Address:
        """Who may begin and end terms."""
        return Address(self._ask("registrar"))

    def terms_of(self, meter_id: bytes) -> list[RegistryTerm]:
        """All terms of a meter, oldest first."""
        return [
            RegistryTerm(
                key=term["key"],
                account=term["account"],
                meter_class=MeterClass(term["class"]),
                limit_w=term["limitW"],
                valid_from_s=term["validFrom"],
                valid_until_s=term["validUntil"],
            )
            for term in self._ask("termsOf", meter_id)
        ]

    def _ask(self, function: str, *arguments: object) -> Any:
        data = encode_call(CONTRACT, function, arguments)
        answer = self.chain.call(self.address, data, block=self.at_block)
        return decode_result(CONTRACT, function, answer)


def deploy(registrar: Address) -> bytes:
    """Data of the transaction that creates a registry."""
    return deploy_data(CONTRACT, [registrar])


def event_of(log: Log) -> Event | None:
    """The registry's event in a log."""
    return decode_event(CONTRACT, log)


def begin(
    *,
    meter_id: bytes,
    key: Address,
    account: int,
    meter_class: MeterClass,
    limit_w: int,
    valid_from_s: int,
) -> bytes:
    """By the registrar: begins a term."""
    return encode_call(
        CONTRACT, "begin", [meter_id, key, account, int(meter_class), limit_w, valid_from_s]
    )


def end(*, meter_id: bytes, valid_until_s: int) -> bytes:
    """By the registrar: ends the open term."""
    return encode_call(CONTRACT, "end", [meter_id, valid_until_s])


def announce_registrar(registrar: Address) -> bytes:
    """By the registrar: first step of handing the role on."""
    return encode_call(CONTRACT, "announceRegistrar", [registrar])


def accept_registrar() -> bytes:
    """By the announced registrar: second step."""
    return encode_call(CONTRACT, "acceptRegistrar")
