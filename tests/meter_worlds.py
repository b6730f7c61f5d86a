"""Meters, keys and readings that tests of metering are built from."""

from datetime import UTC, datetime, timedelta

from ledger.keccak import address_of, domain_separator
from ledger.units import AccountId, Address
from metering.meters import MeterBook, MeterClass, MeterTerm
from metering.readings import MeterId, Reading, SignedReading
from metering.signing import CheckedReadings, sign_reading, verify_many

KEY = bytes(31) + b"\x01"
OTHER_KEY = bytes(31) + b"\x02"
REGISTRY = Address(b"\x11" * 20)
SEPARATOR = domain_separator(1337, REGISTRY)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=400)  # A now that is after every reading of a test.
HOUR = timedelta(hours=1)
HOME = AccountId(2)
METER = MeterId((1).to_bytes(32))


def meter(number: int) -> MeterId:
    return MeterId(number.to_bytes(32))


def term(
    meter_id: MeterId = METER,
    *,
    account: int = HOME,
    key: bytes = KEY,
    limit_w: int = 10_000,
    valid_from: datetime = datetime(1970, 1, 1, tzinfo=UTC),
    valid_until: datetime | None = None,
) -> MeterTerm:
    return MeterTerm(
        meter_id=meter_id,
        key=address_of(key),
        account=AccountId(account),
        meter_class=MeterClass.GATEWAY,
        limit_w=limit_w,
        valid_from=valid_from,
        valid_until=valid_until,
    )


def reading(
    taken_at: datetime,
    import_wh: int,
    export_wh: int = 0,
    *,
    meter_id: MeterId = METER,
) -> Reading:
    return Reading(meter_id=meter_id, taken_at=taken_at, import_wh=import_wh, export_wh=export_wh)


def signed(*readings: Reading, key: bytes = KEY) -> list[SignedReading]:
    return [sign_reading(each, key, SEPARATOR) for each in readings]


def checked(*readings: Reading, book: MeterBook, key: bytes = KEY) -> CheckedReadings:
    return verify_many(signed(*readings, key=key), book, SEPARATOR)
