"""Readings a second: verified and stored our way, and the plain way beside it in the same run.

`python -m tests.bench.bench_readings [READINGS] [NAIVE_READINGS]`
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session

from ledger.keccak import address_of, domain_separator
from ledger.store import open_engine
from ledger.units import AccountId, Address, to_unix_s
from metering.meters import MeterBook, MeterClass, MeterTerm
from metering.reading_rows_store import ReadingRow
from metering.readings import MeterId, Reading, SignedReading
from metering.signing import READING_TYPE, sign_reading, verify_many
from metering.store import ReadingStore

READINGS = 100_000  # 1,000,000 is the size that the target is stated for.
NAIVE_READINGS = 2_000
METERS = 1_000
CHAIN_ID = 1337
REGISTRY = Address(b"\x11" * 20)
KEYS = [number.to_bytes(32) for number in range(1, 11)]
SEPARATOR = domain_separator(CHAIN_ID, REGISTRY)
FIRST_AT = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=15)


def main(count: int = READINGS, naive_count: int = NAIVE_READINGS) -> None:
    """Prints the table; the plain way gets fewer readings, for it is slow."""
    naive_count = min(naive_count, count)
    book = MeterBook(_terms())
    print(f"signing {count:,} readings of {min(METERS, count):,} meters …", flush=True)
    readings = list(_readings(count))
    naive = readings[:naive_count]
    with tempfile.TemporaryDirectory() as directory:
        store = ReadingStore(open_engine(f"sqlite:///{directory}/batch.db"))
        store.create_tables()
        checked, verify_s = _timed(lambda: verify_many(readings, book, SEPARATOR))
        now_at = readings[-1].reading.taken_at
        taken, store_s = _timed(
            lambda: store.take(checked, book=book, now_at=now_at, accepted_at=now_at)
        )
        keys, naive_verify_s = _timed(lambda: [_recover_by_eth_account(each) for each in naive])
        _, naive_store_s = _timed(lambda: _insert_row_by_row(naive, Path(directory) / "rows.db"))
    known = {address_of(key) for key in KEYS}
    print(f"accepted {taken.accepted:,}, eth-account agrees on {sum(k in known for k in keys):,}")
    rows = [
        ("verify", count / verify_s, naive_count / naive_verify_s),
        ("store", count / store_s, naive_count / naive_store_s),
        (
            "verify and store",
            count / (verify_s + store_s),
            naive_count / (naive_verify_s + naive_store_s),
        ),
    ]
    print(f"\n{'readings a second':<20}{'ours':>12}{'plain':>12}{'ratio':>8}")
    for name, ours, plain in rows:
        print(f"{name:<20}{ours:>12,.0f}{plain:>12,.0f}{ours / plain:>8.1f}")
    print("plain: eth-account's encode_typed_data and recover; one ORM object and commit a row")


def _terms() -> Iterator[MeterTerm]:
    for number in range(METERS):
        yield MeterTerm(
            meter_id=_meter(number),
            key=address_of(KEYS[number % len(KEYS)]),
            account=AccountId(2 + number),
            meter_class=MeterClass.CERTIFIED,
            limit_w=30_000,
            valid_from=FIRST_AT,
        )


def _meter(number: int) -> MeterId:
    return MeterId((number + 1).to_bytes(32))


def _readings(count: int) -> Iterator[SignedReading]:
    for index in range(count):
        step, number = divmod(index, METERS)
        reading = Reading(
            meter_id=_meter(number),
            taken_at=FIRST_AT + step * STEP,
            import_wh=1_000_000 + step * (100 + number % 50),
            export_wh=step * (number % 7),
        )
        yield sign_reading(reading, KEYS[number % len(KEYS)], SEPARATOR)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begun_s = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun_s


def _recover_by_eth_account(signed: SignedReading) -> Address:
    from eth_account import Account  # noqa: PLC0415 (slow to import)
    from eth_account.messages import encode_typed_data  # noqa: PLC0415

    name, _, members = READING_TYPE.decode().rstrip(")").partition("(")
    fields = [dict(zip(("type", "name"), each.split(), strict=True)) for each in members.split(",")]
    reading = signed.reading
    message = encode_typed_data(
        {
            "name": "Wattledger",
            "version": "1",
            "chainId": CHAIN_ID,
            "verifyingContract": "0x" + REGISTRY.hex(),
        },
        {name: fields},
        {
            "meterId": reading.meter_id,
            "takenAt": to_unix_s(reading.taken_at),
            "importWh": reading.import_wh,
            "exportWh": reading.export_wh,
        },
    )
    address = Account.recover_message(message, signature=signed.signature)
    return Address(bytes.fromhex(address[2:]))


def _insert_row_by_row(readings: list[SignedReading], path: Path) -> None:
    engine = open_engine(f"sqlite:///{path}")
    ReadingStore(engine).create_tables()
    with closing(Session(engine)) as session:
        for each in readings:
            reading = each.reading
            session.add(
                ReadingRow(
                    meter_no=int.from_bytes(reading.meter_id),
                    taken_s=to_unix_s(reading.taken_at),
                    version=1,
                    import_wh=reading.import_wh,
                    export_wh=reading.export_wh,
                    signature=each.signature,
                    accepted_s=0,
                )
            )
            session.commit()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
