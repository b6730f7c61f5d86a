"""The signed reading: cumulative registers of one meter at one instant."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NewType

from ledger.errors import BadSignature, OutOfRange
from ledger.keccak import SIGNATURE_BYTES
from ledger.units import EPOCH, REGISTER_WH_MAX
from metering.errors import BadTime, RegisterOutOfRange

MeterId = NewType("MeterId", bytes)  # 32 bytes, random, chosen when the meter is paired.
METER_ID_BYTES: Final = 32
_NO_OFFSET: Final = timedelta(0)


def check_instant(instant_at: datetime) -> None:
    """Refuses what is not an aware UTC instant in whole seconds since 1970."""
    if instant_at.tzinfo is not UTC and instant_at.utcoffset() != _NO_OFFSET:
        raise BadTime(text=instant_at.isoformat(), rule="a time is aware and UTC")
    if instant_at.microsecond:
        raise BadTime(text=_shown(instant_at), rule="a time is in whole seconds")
    if instant_at < EPOCH:
        raise BadTime(text=_shown(instant_at), rule="a time is not before 1970")


def _shown(instant_at: datetime) -> str:
    return instant_at.isoformat().replace("+00:00", "Z")


def check_meter_id(meter_id: MeterId) -> None:
    """Refuses an id that is not 32 bytes."""
    if len(meter_id) != METER_ID_BYTES:
        raise OutOfRange(
            field="len(meter_id)",
            value=len(meter_id),
            value_min=METER_ID_BYTES,
            value_max=METER_ID_BYTES,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Cumulative registers of one meter at one instant."""

    meter_id: MeterId
    taken_at: datetime  # Aware, UTC, whole seconds.
    import_wh: int  # Taken from the grid (OBIS 1-0:1.8.0).
    export_wh: int  # Fed into the grid (OBIS 1-0:2.8.0).

    def __post_init__(self) -> None:
        check_meter_id(self.meter_id)
        check_instant(self.taken_at)
        for register_wh in (self.import_wh, self.export_wh):
            if not 0 <= register_wh <= REGISTER_WH_MAX:
                raise RegisterOutOfRange(register_wh=register_wh, register_wh_max=REGISTER_WH_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReading:
    """A reading with the signature of the key that its meter had at that instant."""

    reading: Reading
    signature: bytes  # 65 bytes `r‖s‖v`; whether it is the meter's is for `signing` to say.

    def __post_init__(self) -> None:
        if len(self.signature) != SIGNATURE_BYTES:
            rule = f"a signature has {SIGNATURE_BYTES} bytes, not {len(self.signature)}"
            raise BadSignature(rule=rule)
