"""What a record was made from, its hash, and which of two energies is billed."""

import pytest

from charging.canonical_json import canonical_json
from charging.evidence import (
    NO_EVIDENCE_HASH,
    meter_values_hash,
    meter_values_text,
    ocmf_hash,
    with_evidence,
)
from charging.measured import Measured, NoteKind, Source, energy_wh_max
from charging.sessions import Evidence
from ledger.errors import OutOfRange
from ledger.keccak import keccak256
from tests.charge_events import OPENED_AT, POWER_W, Telling, kinds
from tests.ocmf_meter import OcmfMeter, reading


def told(stop: str = "910083") -> Telling:
    return Telling().start(10, "910000").stop(610, stop)


def billed(
    telling: Telling, *texts: str, key: str | None = None, last_wh: int = 0
) -> tuple[Measured, Evidence]:
    measured = telling.settle(last_wh=last_wh)
    return with_evidence(
        measured, texts, key, last_wh=last_wh, power_w=POWER_W, opened_at=OPENED_AT
    )


def test_signed_and_unsigned_values_agree() -> None:
    meter = OcmfMeter()
    record = meter.both("910.000", "910.083")
    measured, evidence = billed(told(), record, key=meter.public_key())
    assert (measured.start_wh, measured.stop_wh) == (910_000, 910_083)
    assert (evidence.kind, evidence.verified, evidence.signer) == ("ocmf", True, meter.public_key())
    assert evidence.text == record
    assert evidence.hash == keccak256(record.encode())
    assert evidence.left_out_wh == 0
    assert NoteKind.SIGNED_DIFFERS not in kinds(measured)
    assert measured.start is not None
    assert measured.start.source is Source.SIGNED


def test_the_smaller_energy_is_billed_when_the_signed_one_is_less() -> None:
    meter = OcmfMeter()
    record = meter.both("910.000", "910.080")
    measured, evidence = billed(told(), record, key=meter.public_key())
    assert measured.energy_wh == 80
    assert evidence.left_out_wh == 3
    assert NoteKind.SIGNED_DIFFERS in kinds(measured)
    assert "80 Wh are signed, 83 Wh are not" in " ".join(evidence.notes)


def test_the_smaller_energy_is_billed_when_the_signed_one_is_more() -> None:
    meter = OcmfMeter()
    record = meter.both("910.000", "910.100")
    measured, evidence = billed(told(), record, key=meter.public_key())
    assert measured.energy_wh == 83
    assert evidence.left_out_wh == 17
    assert evidence.kind == "ocmf"
    assert evidence.stop_from == "meterStop 910083 Wh"


def test_signed_values_alone_are_billed() -> None:
    meter = OcmfMeter()
    alone = Telling().start(10).stop(610)
    measured, evidence = billed(
        alone, meter.both("910.000", "910.500"), key=meter.public_key(), last_wh=900_000
    )
    assert (measured.start_wh, measured.stop_wh) == (910_000, 910_500)
    assert evidence.left_out_wh == 0


def test_signed_values_alone_are_billed_within_the_chargers_power() -> None:
    meter = OcmfMeter()
    alone = Telling().start(10).stop(610)
    measured, _ = billed(alone, meter.both("0.000", "99.000"), key=meter.public_key(), last_wh=70)
    assert measured.energy_wh == energy_wh_max(POWER_W, 600)
    assert measured.start_wh == 70
    assert {NoteKind.POWER_CAPPED, NoteKind.SHIFTED} <= kinds(measured)


def signed_between(meter: OcmfMeter, begin: str, end: str) -> str:
    """8 kWh, signed at these times."""
    return meter.record(reading("B", begin, "910.000"), reading("E", end, "918.000"))


LAST_YEAR = ("2025-03-02T09:00:10,000+0100", "2025-03-02T10:00:10,000+0100")
IN_TIME = ("2026-03-02T07:55:00,000+0000", "2026-03-02T09:05:10,000+0000")
TOO_EARLY = ("2026-03-02T07:54:59,000+0000", "2026-03-02T09:00:10,000+0000")
TOO_LATE = ("2026-03-02T08:00:10,000+0000", "2026-03-02T09:05:11,000+0000")


def alone(meter_start: str | None = "0") -> Telling:
    """An hour of which no two values prove any energy."""
    return Telling().start(10, meter_start).stop(3_610, "918000")


@pytest.mark.parametrize("times", [LAST_YEAR, TOO_EARLY, TOO_LATE])
@pytest.mark.parametrize("statuses", [("S", "S"), ("R", "R"), ("U", "S"), ("S", "U")])
def test_a_signed_record_of_another_time_alone_bills_nothing(
    times: tuple[str, str], statuses: tuple[str, str]
) -> None:
    meter = OcmfMeter()
    begin, end = (f"{at} {status}" for at, status in zip(times, statuses, strict=True))
    measured, evidence = billed(
        alone(), signed_between(meter, begin, end), key=meter.public_key(), last_wh=0
    )
    outside_by_an_informative_clock = (times, statuses) in [
        (TOO_EARLY, ("U", "S")),
        (TOO_LATE, ("S", "U")),
    ]
    assert measured.energy_wh == (8_000 if outside_by_an_informative_clock else 0)
    assert evidence.verified is outside_by_an_informative_clock
    assert NoteKind.SIGNED_OUTSIDE in kinds(measured)
    assert any(note.startswith("signed_outside: signed from 202") for note in evidence.notes)


def test_a_signed_record_of_the_sessions_time_alone_is_billed() -> None:
    meter = OcmfMeter()
    record = signed_between(meter, *(f"{at} S" for at in IN_TIME))
    measured, evidence = billed(alone(), record, key=meter.public_key(), last_wh=900_000)
    assert (measured.energy_wh, evidence.verified) == (8_000, True)
    assert NoteKind.SIGNED_OUTSIDE not in kinds(measured)


@pytest.mark.parametrize("status", [" I", " U", ""])
@pytest.mark.parametrize(("last_wh", "energy_wh"), [(910_000, 8_000), (910_001, 0)])
def test_a_clock_that_only_informs_is_believed_by_its_register(
    status: str, last_wh: int, energy_wh: int
) -> None:
    meter = OcmfMeter()
    record = signed_between(meter, *(f"{at}{status}" for at in LAST_YEAR))
    measured, _ = billed(alone(), record, key=meter.public_key(), last_wh=last_wh)
    assert measured.energy_wh == energy_wh
    assert NoteKind.SIGNED_OUTSIDE in kinds(measured)


@pytest.mark.parametrize(("stop", "energy_wh"), [("919000", 8_000), ("917000", 7_000)])
def test_a_signed_record_of_another_time_beside_unsigned_values_only_lowers_the_bill(
    stop: str, energy_wh: int
) -> None:
    meter = OcmfMeter()
    record = signed_between(meter, *(f"{at} S" for at in LAST_YEAR))
    told = Telling().start(10, "910000").stop(3_610, stop)
    measured, evidence = billed(told, record, key=meter.public_key())
    assert (measured.energy_wh, evidence.kind) == (energy_wh, "ocmf")
    assert {NoteKind.SIGNED_OUTSIDE, NoteKind.SIGNED_DIFFERS} <= kinds(measured)


def test_two_records_are_hashed_with_a_line_feed_between_them() -> None:
    meter = OcmfMeter()
    begin, end = meter.begin("910.000"), meter.end("910.083")
    _, evidence = billed(told(), end, begin, key=meter.public_key())
    assert evidence.text == f"{begin}\n{end}"
    assert evidence.hash == keccak256(f"{begin}\n{end}".encode()) == ocmf_hash((begin, end))


def test_a_record_in_hex_is_hashed_as_the_record_that_it_is() -> None:
    meter = OcmfMeter()
    record = meter.both("910.000", "910.083")
    _, evidence = billed(told(), record.encode().hex(), key=meter.public_key())
    assert evidence.hash == keccak256(record.encode())


def test_a_record_of_another_key_is_not_evidence() -> None:
    meter = OcmfMeter()
    forged = meter.both("910.000", "910.010").replace("910.010", "910.011")
    measured, evidence = billed(told(), forged, key=meter.public_key())
    assert measured.energy_wh == 83
    assert (evidence.kind, evidence.verified) == ("meter_values", False)
    assert NoteKind.SIGNED_UNUSABLE in kinds(measured)


def test_a_record_without_a_configured_key_is_kept_and_only_lowers_the_bill() -> None:
    meter = OcmfMeter()
    measured, evidence = billed(told(), meter.both("910.000", "910.010"), key=None)
    assert measured.energy_wh == 10
    assert (evidence.kind, evidence.verified) == ("ocmf", False)
    assert any("not verified" in note for note in evidence.notes)


@pytest.mark.parametrize("key", ["", "zz", None])
def test_signed_data_of_another_format_is_noted(key: str | None) -> None:
    measured, evidence = billed(told(), "AP;0;3;ABC", "\x00", key=key)
    assert measured.energy_wh == 83
    assert evidence.kind == "meter_values"
    assert NoteKind.SIGNED_UNUSABLE in kinds(measured)


def test_unsigned_values_are_hashed_as_canonical_json() -> None:
    measured, evidence = billed(told())
    assert evidence.text == (
        '[{"source":"meterStart","taken_at":"2026-03-02T08:00:10.000Z","unit":"Wh",'
        '"value":"910000"},{"source":"meterStop","taken_at":"2026-03-02T08:10:10.000Z",'
        '"unit":"Wh","value":"910083"}]'
    )
    assert evidence.text == meter_values_text(measured.values)
    assert evidence.hash == keccak256(evidence.text.encode()) == meter_values_hash(measured.values)
    assert (evidence.start_from, evidence.stop_from) == (
        "meterStart 910000 Wh",
        "meterStop 910083 Wh",
    )


def test_no_values_are_no_evidence() -> None:
    _, evidence = billed(Telling().start(10).stop(610))
    assert (evidence.kind, evidence.hash, evidence.text) == ("none", NO_EVIDENCE_HASH, "")
    assert evidence.start_from == "the last record"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 8785 §3.2.3: names in order of their UTF-16 code units.
        (
            {
                "\u20ac": "Euro Sign",
                "\r": "Carriage Return",
                "\ufb33": "Hebrew Letter Dalet With Dagesh",
                "1": "One",
                "\U0001f600": "Emoji: Grinning Face",
                "\u0080": "Control",
                "\u00f6": "Latin Small Letter O With Diaeresis",
            },
            (
                '{"\\r":"Carriage Return","1":"One","\u0080":"Control",'
                '"\u00f6":"Latin Small Letter O With Diaeresis","\u20ac":"Euro Sign",'
                '"\U0001f600":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}'
            ),
        ),
        # RFC 8785 §3.2.2.2.
        ("\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/", '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        ([1, -1, 0, 2**53 - 1, [], {}], "[1,-1,0,9007199254740991,[],{}]"),
        ("\u007f\b\t\f", '"\u007f\\b\\t\\f"'),
    ],
)
def test_canonical_json_is_rfc_8785s(value: object, text: str) -> None:
    assert canonical_json(value) == text  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [2**53, -(2**53), "\ud800"])
def test_what_not_every_reader_reads_alike_has_no_canonical_form(value: int | str) -> None:
    with pytest.raises(OutOfRange):
        canonical_json(value)


@pytest.mark.parametrize("value", [1.0, float("nan"), b"x", {1}])
def test_other_types_have_no_canonical_form_here(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)  # type: ignore[arg-type]
