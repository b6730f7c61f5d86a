"""Reading and calling a ChargingEscrow contract.

Structs are mappings with the names of contracts/interfaces/IChargingEscrow.sol; what they mean is
for `charging` to say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.chain.abi import (
    Event,
    decode_call,
    decode_event,
    decode_result,
    deploy_data,
    encode_call,
)
from ledger.chain.protocol import Chain, Log
from ledger.units import Address, Hash32

CONTRACT = "ChargingEscrow"
OPEN_GAS = 400_000  # A driver's contract wallet may want some of it to check a signature.
CLOSE_GAS = 400_000  # Of which 100,000 are kept for the push of the refund, and mostly given back.
Struct = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredCharger:
    """A charger as the escrow has it."""

    host: Address
    record_key: Address
    power_w: int
    last_wh: int
    credit_micro: int
    session_hash: Hash32  # Zero while it is free.

    @property
    def is_known(self) -> bool:
        """Whether it was ever registered."""
        return self.host != bytes(20)

    @property
    def is_free(self) -> bool:
        """Whether no session is open at it."""
        return self.session_hash == bytes(32)


@dataclass(frozen=True, slots=True)
class EscrowReader:
    """One escrow as it is now, or with `at_block` as a past block left it."""

    chain: Chain
    address: Address
    at_block: int | None = None

    def charger_of(self, charger_id: bytes) -> RegisteredCharger:
        """A charger; all zero if it is not registered."""
        found = self._ask("chargerOf", charger_id)
        return RegisteredCharger(
            host=Address(found["host"]),
            record_key=Address(found["recordKey"]),
            power_w=found["powerW"],
            last_wh=found["lastWh"],
            credit_micro=found["creditMicro"],
            session_hash=Hash32(found["session"]),
        )

    def is_nonce_used(self, driver: Address, nonce: int) -> bool:
        """Whether a driver used or voided a nonce."""
        return bool(self._ask("isNonceUsed", driver, nonce))

    def is_delegate(self, host: Address, delegate: Address) -> bool:
        """Whether somebody may open and cancel sessions for a host."""
        return bool(self._ask("isDelegate", host, delegate))

    def claimable_micro_of(self, owed: Address) -> int:
        """What waits for somebody to be claimed."""
        return int(self._ask("claimableOf", owed))

    def session_hash_of(self, session: Struct) -> Hash32:
        """What the charger's slot holds while a session is open."""
        return Hash32(self._ask("sessionHashOf", session))

    def token(self) -> Address:
        """The settlement token."""
        return Address(self._ask("token"))

    def cost_micro(
        self, tariff: Struct, *, energy_wh: int, time_s: int, idle_s: int, deposit_micro: int
    ) -> int:
        """The contract's own price, capped at the deposit."""
        return int(self._ask("costMicro", tariff, energy_wh, time_s, idle_s, deposit_micro))

    def _ask(self, function: str, *arguments: object) -> Any:
        data = encode_call(CONTRACT, function, arguments)
        answer = self.chain.call(self.address, data, block=self.at_block)
        return decode_result(CONTRACT, function, answer)


def deploy(token: Address, registry: Address) -> bytes:
    """Data of the transaction that creates an escrow."""
    return deploy_data(CONTRACT, [token, registry])


def event_of(log: Log) -> Event | None:
    """The escrow's event in a log."""
    return decode_event(CONTRACT, log)


def call_of(data: bytes) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a call, from its calldata; raises UnknownAbiName, BadAbiValue."""
    return decode_call(CONTRACT, data)


def open_session(order: Struct, signature: bytes, permit: Struct) -> bytes:
    """By the host or its delegate: takes the deposit."""
    return encode_call(CONTRACT, "open", [order, signature, permit])


def top_up(session: Struct, addition: Struct, signature: bytes, permit: Struct) -> bytes:
    """By anyone: adds to a deposit."""
    return encode_call(CONTRACT, "topUp", [session, addition, signature, permit])


def close(session: Struct, record: Struct, signature: bytes) -> bytes:
    """By anyone: pays by the record, and refunds the rest."""
    return encode_call(CONTRACT, "close", [_closing(session, record, signature)])


def close_many(closings: Sequence[tuple[Struct, Struct, bytes]]) -> bytes:
    """By anyone: the same for up to 64 sessions."""
    return encode_call(CONTRACT, "closeMany", [[_closing(*closing) for closing in closings]])


def cancel(session: Struct) -> bytes:
    """By the host or its delegate: refunds everything."""
    return encode_call(CONTRACT, "cancel", [session])


def reclaim(session: Struct) -> bytes:
    """By the driver, four days after the opening: takes everything back."""
    return encode_call(CONTRACT, "reclaim", [session])


def void_nonce(nonce: int) -> bytes:
    """By the driver: makes an order worthless."""
    return encode_call(CONTRACT, "voidNonce", [nonce])


def pay_host(charger_id: bytes) -> bytes:
    """By anyone: pays a charger's credit to its host."""
    return encode_call(CONTRACT, "payHost", [charger_id])


def claim(owed: Address) -> bytes:
    """By anyone: pays what could not be pushed."""
    return encode_call(CONTRACT, "claim", [owed])


def set_delegate(delegate: Address, *, allowed: bool) -> bytes:
    """By a host: lets somebody open and cancel for it."""
    return encode_call(CONTRACT, "setDelegate", [delegate, allowed])


def register(
    *, charger_id: bytes, host: Address, record_key: Address, power_w: int, last_wh: int
) -> bytes:
    """By the registrar: registers a charger."""
    return encode_call(CONTRACT, "register", [charger_id, host, record_key, power_w, last_wh])


def reset_register(charger_id: bytes, to_wh: int) -> bytes:
    """By the registrar: its meter was swapped."""
    return encode_call(CONTRACT, "resetRegister", [charger_id, to_wh])


def _closing(session: Struct, record: Struct, signature: bytes) -> dict[str, Any]:
    return {"session": session, "record": record, "signature": signature}
