"""Telegrams of real formats: which registers they hold, when they were taken, what is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sml as pysml

from ledger.errors import LedgerError
from ledger.units import REGISTER_WH_MAX, to_rfc3339
from metering.dsmr import DSMR
from metering.sml import SML
from metering.telegrams import FRAME_BYTES_MAX, Telegram, TelegramFormat, TelegramReader
from tests.meters import (
    ESCAPE,
    EXAMPLE,
    Item,
    Signed,
    Unsigned,
    p1_of,
    p1_telegram,
    p1_time,
    sml_entry,
    sml_frame,
    sml_message,
    sml_of,
    sml_transport,
)

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
TIME = p1_time(AT)
NOTHING_ELSE = ("1-0:2.8.0(000000.000*kWh)",)


def read(telegram_format: TelegramFormat, octets: bytes) -> list[Telegram | LedgerError]:
    return TelegramReader(telegram_format).feed(octets)


def one(telegram_format: TelegramFormat, octets: bytes) -> Telegram:
    (found,) = read(telegram_format, octets)
    assert isinstance(found, Telegram), found
    return found


def codes(telegram_format: TelegramFormat, octets: bytes) -> list[str]:
    """The code of each refusal; an empty one for a telegram."""
    found = read(telegram_format, octets)
    return [each.code if isinstance(each, LedgerError) else "" for each in found]


def p1(*lines: str) -> bytes:
    return p1_telegram([TIME, *lines])


# P1 ports (DSMR, ESMR).


def test_the_specifications_example_is_read() -> None:
    telegram = one(DSMR, EXAMPLE.read_bytes())
    assert (telegram.import_wh, telegram.export_wh) == (246_913_578, 246_913_578)
    assert telegram.measured_at is not None
    assert to_rfc3339(telegram.measured_at) == "2010-12-09T10:30:20Z"


def test_the_specifications_example_as_printed_has_anothers_crc() -> None:
    assert codes(DSMR, EXAMPLE.read_bytes().replace(b"!E47C", b"!EF2F")) == ["bad_checksum"]


@pytest.mark.parametrize(
    ("lines", "import_wh", "export_wh"),
    [
        (("1-0:1.8.0(006545766*Wh)", "1-0:2.8.0(000000058*Wh)"), 6_545_766, 58),
        (("1-0:1.8.0*255(00052185.7825309*kWh)", *NOTHING_ELSE), 52_185_782, 0),
        (("1-0:1.8.1(000000.001*kWh)", "1-0:1.8.2(000000.002*kWh)"), 3, 0),
        # Rounded down once: after the sum, not before.
        (("1-0:1.8.1(000000.0006*kWh)", "1-0:1.8.2(000000.0006*kWh)"), 1, 0),
        # The total is believed where there is one; all tariffs count where there is none.
        (("1-0:1.8.0(9*Wh)", "1-0:1.8.1(4*Wh)", "1-0:1.8.2(4*Wh)", *NOTHING_ELSE), 9, 0),
        (("1-0:1.8.1(1*Wh)", "1-0:1.8.2(2*Wh)", "1-0:1.8.3(4*Wh)", "1-0:1.8.4(8*Wh)"), 15, 0),
        # A meter that only counts what a roof gives.
        (("1-0:2.8.0(000012.345*kWh)",), 0, 12_345),
        # What is of other things, or of other meters at the same port.
        (("1-0:1.8.0(7*Wh)", "0-1:24.2.1(101209112500W)(12785.123*m3)", "0-2:1.8.0(5*Wh)"), 7, 0),
        ((f"1-0:1.8.0({REGISTER_WH_MAX}*Wh)",), REGISTER_WH_MAX, 0),
    ],
)
def test_registers_are_whole_wh_of_totals_or_of_all_tariffs(
    lines: tuple[str, ...], import_wh: int, export_wh: int
) -> None:
    telegram = one(DSMR, p1(*lines))
    assert (telegram.import_wh, telegram.export_wh) == (import_wh, export_wh)
    assert telegram.measured_at == AT


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("1-0:1.8.0(-1*Wh)",), "register_out_of_range"),
        ((f"1-0:1.8.0({REGISTER_WH_MAX + 1}*Wh)",), "register_out_of_range"),
        (("1-0:1.8.0(1*kvarh)",), "bad_telegram"),
        (("1-0:1.8.0(1)",), "bad_telegram"),
        (("1-0:1.8.0()",), "bad_telegram"),
        (("1-0:1.8.0(*kWh)",), "bad_telegram"),
        (("1-0:1.8.0(1,5*kWh)",), "bad_telegram"),
        (("1-0:1.8.0(NaN*kWh)",), "bad_telegram"),
        (("1-0:1.8.0(Infinity*kWh)",), "bad_telegram"),
        (("1-0:1.8.0(1E9999*kWh)",), "bad_telegram"),
        (("1-0:1.8.0(0x10*kWh)",), "bad_telegram"),
        (("1-0:1.8.0(1*kWh*kWh)",), "bad_telegram"),
        ((f"1-0:1.8.0(0.{'1' * 30}*kWh)",), "bad_telegram"),
        (("1-0:1.8.1(5*Wh)",), "register_missing"),
        (("1-0:1.8.2(5*Wh)", "1-0:2.8.0(1*Wh)"), "register_missing"),
        (("1-0:1.7.0(00.244*kW)",), "register_missing"),
        (("1-0:1.8.0(5*Wh)", "0-0:1.0.0(101209113020X)"), ""),  # The first time counts.
    ],
)
def test_a_register_that_is_none_is_refused_with_its_telegram(
    lines: tuple[str, ...], code: str
) -> None:
    assert codes(DSMR, p1(*lines)) == [code]


@pytest.mark.parametrize(
    ("time", "instant"),
    [
        ("260329015959W", "2026-03-29T00:59:59Z"),  # The night in which an hour is missing.
        ("260329030000S", "2026-03-29T01:00:00Z"),
        ("261025025959S", "2026-10-25T00:59:59Z"),  # The night in which an hour comes twice.
        ("261025020000W", "2026-10-25T01:00:00Z"),
        ("260115120000S", "2026-01-15T10:00:00Z"),  # The flag is believed, not the season.
    ],
)
def test_a_meters_local_time_is_made_utc_by_its_own_flag(time: str, instant: str) -> None:
    telegram = one(DSMR, p1_telegram([f"0-0:1.0.0({time})", "1-0:1.8.0(1*Wh)"]))
    assert telegram.measured_at is not None
    assert to_rfc3339(telegram.measured_at) == instant


@pytest.mark.parametrize("time", ["", "260230120000W", "261126250000W", "2611261200W", "x"])
def test_a_time_that_is_none_is_refused(time: str) -> None:
    octets = p1_telegram([f"0-0:1.0.0({time})", "1-0:1.8.0(1*Wh)"])
    assert codes(DSMR, octets) == ["bad_telegram"]


def test_a_telegram_without_time_has_none() -> None:
    assert one(DSMR, p1_telegram(["1-0:1.8.0(1*Wh)"])).measured_at is None


GOOD = p1_of(AT, 3_000, 600)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (GOOD + GOOD, ["", ""]),
        (GOOD[200:] + GOOD, ["bad_telegram", ""]),  # Began to listen in the middle.
        (GOOD[:100] + GOOD, ["bad_telegram", ""]),  # Cut off, and begun again.
        (GOOD[:100], []),
        (GOOD[:-6], []),
        (GOOD[:-6] + b"\r\n" + GOOD, ["bad_telegram", ""]),  # No CRC: a meter before DSMR 4.
        (GOOD[:-6] + b"12\r\n" + GOOD, ["bad_telegram", ""]),
        (GOOD.replace(b"(000001.000", b"(000002.000"), ["bad_checksum"]),
        (GOOD.replace(b"meter", b"m\xe9ter"), ["bad_telegram"]),
        (b"\0\xff!" + GOOD, ["bad_telegram", ""]),
        (b"x" * (FRAME_BYTES_MAX + 1), ["bad_telegram"]),
        (b"/" * 100 + GOOD, ["bad_telegram", ""]),
    ],
)
def test_half_and_spoiled_telegrams_are_passed_over(octets: bytes, expected: list[str]) -> None:
    assert codes(DSMR, octets) == expected


@pytest.mark.parametrize("telegram_format", [DSMR, SML], ids=["dsmr", "sml"])
def test_pieces_of_any_size_make_the_same_telegrams(telegram_format: TelegramFormat) -> None:
    octets = {"dsmr": GOOD, "sml": sml_of({"1.8.0": 3_000, "2.8.0": 600})}[telegram_format.name]
    reader, found = TelegramReader(telegram_format), []
    for octet in octets * 2:
        found += reader.feed(bytes([octet]))
    assert [(each.import_wh, each.export_wh) for each in found if isinstance(each, Telegram)] == [
        (3_000, 600)
    ] * 2
    assert len(found) == 2


# SML meters.


@pytest.mark.parametrize(
    ("entries", "import_wh", "export_wh"),
    [
        ([("1.8.0", Unsigned(12_345_678, 8), -1)], 1_234_567, 0),
        ([("1.8.0", Signed(12_345_678, 4), -4)], 1_234, 0),
        ([("1.8.0", Unsigned(12, 1), 3)], 12_000, 0),
        ([("1.8.0", Unsigned(12, 2), 0)], 12, 0),
        ([("1.8.0", Unsigned(12, 2), None)], 12, 0),
        ([("1.8.0", Unsigned(123_456, 3), -2), ("2.8.0", Unsigned(99, 5), -2)], 1_234, 0),
        ([("1.8.0", Signed(5, 1), 2), ("2.8.0", Signed(127, 1), 1)], 500, 1_270),
        # Two tariffs with different scalers, rounded down once.
        ([("1.8.1", Unsigned(6, 1), -1), ("1.8.2", Unsigned(45, 1), -2)], 1, 0),
        ([("2.8.0", Unsigned(99, 1), 9), ("1.8.0", Unsigned(0, 8), -9)], 0, 99 * 10**9),
        # Beyond what a float holds: 2⁶³ + 1 hundred-millionths of a Wh.
        ([("1.8.0", Unsigned(2**63 + 1, 8), -8)], 92_233_720_368, 0),
        ([("1.8.0", Unsigned(10**18 - 1, 8), -9)], 999_999_999, 0),
    ],
)
def test_an_sml_register_has_its_own_scaler_and_stays_an_integer(
    entries: list[tuple[str, Item, int | None]], import_wh: int, export_wh: int
) -> None:
    telegram = one(SML, sml_frame(sml_entry(*entry) for entry in entries))
    assert (telegram.import_wh, telegram.export_wh) == (import_wh, export_wh)
    assert telegram.measured_at is None


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (sml_entry("1.8.0", Signed(-1, 8)), "register_out_of_range"),
        (sml_entry("1.8.0", Unsigned(2**64 - 1, 8), 3), "register_out_of_range"),
        (sml_entry("1.8.0", Unsigned(1, 8), 10), "bad_telegram"),
        (sml_entry("1.8.0", Unsigned(1, 8), -10), "bad_telegram"),
        (sml_entry("1.8.0", Unsigned(1, 8), unit=27), "bad_telegram"),  # W
        (sml_entry("1.8.0", Unsigned(1, 8), unit=None), "bad_telegram"),
        (sml_entry("1.8.0", b"\x01\x02"), "bad_telegram"),
        (sml_entry("1.8.0", None), "bad_telegram"),
        (sml_entry("1.8.0", [Unsigned(1, 8)]), "bad_telegram"),
        (sml_entry("1.8.0", Unsigned(1, 8))[:-1], "bad_telegram"),
        (sml_entry("1.8.1", Unsigned(1, 8)), "register_missing"),
        (sml_entry("16.7.0", Signed(-5, 4), unit=27), "register_missing"),
    ],
)
def test_an_sml_register_that_is_none_is_refused(entry: list[Item], code: str) -> None:
    assert codes(SML, sml_frame([entry])) == [code]


def test_an_sml_register_that_stands_twice_is_refused() -> None:
    entry = sml_entry("1.8.0", Unsigned(1, 8))
    assert codes(SML, sml_frame([entry, entry])) == ["bad_telegram"]


@pytest.mark.parametrize(
    ("time", "instant"),
    [
        ([Unsigned(2, 1), Unsigned(1_795_694_400, 4)], AT),
        ([Unsigned(1, 1), Unsigned(1_795_694_400, 4)], None),  # Seconds since it was switched on.
        (Unsigned(1_795_694_400, 4), None),
        ([Unsigned(3, 1), [Unsigned(1, 4), Signed(60, 2), Signed(0, 2)]], None),
    ],
)
def test_an_sml_meters_own_time_counts_if_it_is_utc(time: Item, instant: datetime | None) -> None:
    octets = sml_frame([sml_entry("1.8.0", Unsigned(1, 8))], time=time)
    assert one(SML, octets).measured_at == instant


FRAME = sml_of({"1.8.0": 3_000, "2.8.0": 600})
DEEP = sml_transport(sml_message(0x0701, b"") + b"\x71" * 64 + b"\x01")


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (FRAME + FRAME, ["", ""]),
        (FRAME[50:] + FRAME, [""]),  # Began to listen in the middle: there was no telegram.
        (FRAME[:100] + FRAME, ["bad_telegram", ""]),
        (FRAME[:-1], []),
        (b"\x1b" * 3 + FRAME, [""]),
        (FRAME[:-1] + bytes([FRAME[-1] ^ 1]) + FRAME, ["bad_checksum", ""]),
        (FRAME[:60] + bytes([FRAME[60] ^ 1]) + FRAME[61:], ["bad_checksum"]),
        (sml_frame([sml_entry("1.8.0", Unsigned(1, 8))], spoiled=True), ["bad_checksum"]),
        (ESCAPE + b"\x01" * 4 + ESCAPE + b"\x02" * 4 + FRAME, ["bad_telegram", ""]),
        (ESCAPE + b"\x01" * 4 + bytes(FRAME_BYTES_MAX) + FRAME, ["bad_telegram", ""]),
        (DEEP, ["bad_telegram"]),
        (sml_transport(b"\x76\x01"), ["bad_telegram"]),
        (sml_transport(b"\xf0\x8f\x8f\x8f\x0f"), ["bad_telegram"]),
        (sml_transport(b""), ["register_missing"]),
    ],
)
def test_half_and_spoiled_frames_are_passed_over(octets: bytes, expected: list[str]) -> None:
    assert codes(SML, octets) == expected


def test_an_escape_sequence_inside_a_value_is_no_end() -> None:
    value = Unsigned(int.from_bytes(b"\x00\x00\x00\x1b\x1b\x1b\x1b\x1b"), 8)
    octets = sml_frame([sml_entry("1.8.0", value)])
    assert one(SML, octets).import_wh == 0x1B1B1B1B1B // 10


def oracle(octets: bytes) -> dict[str, Any]:
    """What the library makes of a frame: numbers after its floats."""
    _, frame = pysml.SmlBase.find_frame(octets)
    assert frame is not None
    (values,) = [
        each["messageBody"]["valList"] for each in frame if "valList" in each["messageBody"]
    ]
    return {each["objName"]: each["value"] for each in values if "value" in each}


@pytest.mark.parametrize("scaler", [-4, -1, 0, 3])
def test_frames_are_read_as_an_independent_library_reads_them(scaler: int) -> None:
    status = Unsigned(0x182, 2)
    entries = [
        sml_entry("1.8.0", Unsigned(987_654_321, 8), scaler, status=status),
        sml_entry("2.8.0", Signed(12_345, 5), scaler),
        sml_entry("16.7.0", Signed(-250, 2), 0, unit=27),
    ]
    octets = sml_frame(entries)
    theirs, ours = oracle(octets), one(SML, octets)
    assert ours.import_wh == int(theirs["1-0:1.8.0*255"])
    assert ours.export_wh == int(theirs["1-0:2.8.0*255"])


# What is common to both.


@pytest.mark.parametrize("telegram_format", [DSMR, SML], ids=["dsmr", "sml"])
def test_a_register_that_a_meter_had_is_never_taken_for_zero(
    telegram_format: TelegramFormat,
) -> None:
    both, imports, exports = (
        {
            "dsmr": p1(*(f"1-0:{code}({wh}*Wh)" for code, wh in registers.items())),
            "sml": sml_of(registers),
        }[telegram_format.name]
        for registers in ({"1.8.0": 5, "2.8.0": 7}, {"1.8.0": 6}, {"2.8.0": 8})
    )
    reader = TelegramReader(telegram_format)
    (first,) = reader.feed(imports)
    assert isinstance(first, Telegram)  # So far it is a meter that never had the other one.
    reader.feed(both)
    for octets, missing in ((imports, "export_wh"), (exports, "import_wh")):
        (refused,) = reader.feed(octets)
        assert isinstance(refused, LedgerError)
        assert refused.facts()["register"] == missing
    (last,) = reader.feed(both)
    assert isinstance(last, Telegram)
