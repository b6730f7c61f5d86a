"""What is signed for a charge: order, top-up and record, as EIP-712 typed data (INTERFACES §4)."""

from dataclasses import dataclass
from functools import cache
from typing import Final, NewType

from charging.tariffs import ChargeTariff
from ledger.errors import OutOfRange
from ledger.keccak import keccak256, typed_digest
from ledger.units import REGISTER_WH_MAX, Address, Hash32

SessionId = NewType("SessionId", bytes)  # 32 bytes: the EIP-712 digest of the order.
ChargerId = NewType("ChargerId", bytes)  # 32 bytes.

UINT64_MAX: Final = 2**64 - 1
UINT256_MAX: Final = 2**256 - 1
ADDRESS_BYTES: Final = 20
HASH_BYTES: Final = 32
TARIFF_TYPE: Final = (
    b"Tariff(uint64 energyPerKwh,uint64 startFee,uint64 timePerHour,uint64 idlePerHour)"
)
ORDER_TYPE: Final = (
    b"ChargeOrder(address driver,bytes32 chargerId,uint64 depositMicro,Tariff tariff,"
    b"uint64 validUntil,uint256 nonce)" + TARIFF_TYPE
)
RECORD_TYPE: Final = (
    b"ChargeRecord(bytes32 sessionId,uint64 startWh,uint64 stopWh,uint64 startedAt,"
    b"uint64 stoppedAt,uint64 idleS,bytes32 evidenceHash)"
)
TOP_UP_TYPE: Final = b"TopUp(bytes32 sessionId,uint64 addMicro,uint256 nonce)"


def charger_id_of(charge_point_id: str, connector_id: int) -> ChargerId:
    """`keccak256(bytes(chargePointId + "/" + connectorId))`."""
    return ChargerId(keccak256(f"{charge_point_id}/{connector_id}".encode()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeOrder:
    """What a driver wants: this charger, at this tariff, for at most this deposit."""

    driver: Address
    charger_id: ChargerId
    deposit_micro: int
    tariff: ChargeTariff
    valid_until_s: int  # Unix seconds; the last one in which it can be opened.
    nonce: int

    def __post_init__(self) -> None:
        _check("len(driver)", len(self.driver), ADDRESS_BYTES, ADDRESS_BYTES)
        _check("len(charger_id)", len(self.charger_id), HASH_BYTES, HASH_BYTES)
        _check("deposit_micro", self.deposit_micro, 0, UINT64_MAX)
        _check("valid_until", self.valid_until_s, 0, UINT64_MAX)
        _check("nonce", self.nonce, 0, UINT256_MAX)

    def session_id(self, separator: bytes) -> SessionId:
        """The order's digest under the escrow's domain: what is signed, and the session's name."""
        tariff = self.tariff
        tariff_hash = keccak256(
            _type_hash(TARIFF_TYPE)
            + tariff.energy_per_kwh.to_bytes(32)
            + tariff.start_fee.to_bytes(32)
            + tariff.time_per_hour.to_bytes(32)
            + tariff.idle_per_hour.to_bytes(32)
        )
        struct_hash = keccak256(
            _type_hash(ORDER_TYPE)
            + bytes(12)
            + self.driver
            + self.charger_id
            + self.deposit_micro.to_bytes(32)
            + tariff_hash
            + self.valid_until_s.to_bytes(32)
            + self.nonce.to_bytes(32)
        )
        return SessionId(typed_digest(separator, struct_hash))


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """A driver's addition to the deposit of an open session."""

    session_id: SessionId
    add_micro: int
    nonce: int

    def __post_init__(self) -> None:
        _check("len(session_id)", len(self.session_id), HASH_BYTES, HASH_BYTES)
        _check("add_micro", self.add_micro, 1, UINT64_MAX)
        _check("nonce", self.nonce, 0, UINT256_MAX)

    def digest(self, separator: bytes) -> Hash32:
        """What the driver signs."""
        struct_hash = keccak256(
            _type_hash(TOP_UP_TYPE)
            + self.session_id
            + self.add_micro.to_bytes(32)
            + self.nonce.to_bytes(32)
        )
        return typed_digest(separator, struct_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRecord:
    """What the charger measured, in its own register."""

    session_id: SessionId
    start_wh: int
    stop_wh: int
    started_at_s: int
    stopped_at_s: int
    idle_s: int
    evidence_hash: Hash32

    def __post_init__(self) -> None:
        _check("len(session_id)", len(self.session_id), HASH_BYTES, HASH_BYTES)
        _check("start_wh", self.start_wh, 0, REGISTER_WH_MAX)
        _check("stop_wh", self.stop_wh, self.start_wh, REGISTER_WH_MAX)
        _check("started_at", self.started_at_s, 0, UINT64_MAX)
        _check("stopped_at", self.stopped_at_s, self.started_at_s, UINT64_MAX)
        _check("idle_s", self.idle_s, 0, self.stopped_at_s - self.started_at_s)
        _check("len(evidence_hash)", len(self.evidence_hash), HASH_BYTES, HASH_BYTES)

    @property
    def energy_wh(self) -> int:
        """What was charged."""
        return self.stop_wh - self.start_wh

    @property
    def time_s(self) -> int:
        """Seconds of charging, idling not counted."""
        return self.stopped_at_s - self.started_at_s - self.idle_s

    def digest(self, separator: bytes) -> Hash32:
        """What the charger's record key signs."""
        struct_hash = keccak256(
            _type_hash(RECORD_TYPE)
            + self.session_id
            + self.start_wh.to_bytes(32)
            + self.stop_wh.to_bytes(32)
            + self.started_at_s.to_bytes(32)
            + self.stopped_at_s.to_bytes(32)
            + self.idle_s.to_bytes(32)
            + self.evidence_hash
        )
        return typed_digest(separator, struct_hash)


@cache
def _type_hash(type_text: bytes) -> Hash32:
    return keccak256(type_text)


def _check(field: str, value: int, value_min: int, value_max: int) -> None:
    if not value_min <= value <= value_max:
        raise OutOfRange(field=field, value=value, value_min=value_min, value_max=value_max)
