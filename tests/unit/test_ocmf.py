"""Signed meter values: published records, other spellings, and what is refused."""

import json
import warnings
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from charging.errors import BadEvidence
from charging.ocmf import OcmfReading, is_ocmf, parse_record, signed_charge_of, verify_record
from tests.ocmf_meter import OcmfMeter, reading

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "ocmf.json").read_text("utf-8"))
VECTORS: list[dict[str, Any]] = GOLDEN["vectors"]
GOOD = [vector for vector in VECTORS if "start_wh" in vector]


def refusal_of(texts: list[str], public_key: str | None) -> str:
    with pytest.raises(BadEvidence) as refused:
        signed_charge_of(texts, public_key)
    return refused.value.field


@pytest.mark.parametrize("vector", GOOD, ids=lambda vector: vector["name"])
def test_published_records_prove_what_they_say(vector: dict[str, Any]) -> None:
    for texts in (vector["records"], vector["records"][::-1]):
        charge = signed_charge_of(texts, vector["public_key"])
        assert (charge.start_wh, charge.stop_wh) == (vector["start_wh"], vector["stop_wh"])
        assert charge.verified
        assert charge.records == tuple(vector["records"])


@pytest.mark.parametrize(
    "vector",
    [vector for vector in VECTORS if "refused_field" in vector],
    ids=lambda vector: vector["name"],
)
def test_published_records_that_must_not_be_billed_are_refused(vector: dict[str, Any]) -> None:
    assert refusal_of(vector["records"], vector["public_key"]) == vector["refused_field"]


@pytest.mark.parametrize("vector", GOOD, ids=lambda vector: vector["name"])
def test_one_digit_changed_is_not_signed(vector: dict[str, Any]) -> None:
    first = vector["records"][0]
    forged = first.replace('"GI"', '"GJ"', 1)
    assert forged != first
    with pytest.raises(BadEvidence) as refused:
        verify_record(parse_record(forged), vector["public_key"])
    assert refused.value.field == "SD"


@pytest.mark.parametrize("vector", GOOD, ids=lambda vector: vector["name"])
def test_pyocmf_reads_and_verifies_the_same(vector: dict[str, Any]) -> None:
    from pyocmf import OCMF  # noqa: PLC0415 (slow to import)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It warns of what meters do against the format.
        for text in vector["records"]:
            theirs, ours = OCMF.from_string(text), parse_record(text)
            assert theirs.verify_signature("".join(vector["public_key"].split()))
            for their, our in zip(theirs.payload.RD, ours.readings, strict=True):
                assert their.timestamp == our.taken_at
                assert str(their.RV) == our.value_text.strip()


def test_times_status_serial_and_page_are_read() -> None:
    (record,) = VECTORS[0]["records"]
    charge = signed_charge_of([record], VECTORS[0]["public_key"])
    assert charge.started_at == datetime(2019, 8, 13, 10, 3, 15, tzinfo=UTC)
    assert charge.stopped_at == datetime(2019, 8, 13, 10, 3, 36, tzinfo=UTC)
    assert (charge.time_status, charge.pagination) == ("R", "T32")
    assert charge.meter_serial == "17619300"
    assert charge.public_key == VECTORS[0]["public_key"].lower()


@pytest.mark.parametrize(
    ("curve", "algorithm"),
    [
        (ec.SECP256R1(), None),
        (ec.SECP256R1(), "ECDSA-secp256r1-SHA256"),
        (ec.SECP256K1(), "ECDSA-secp256k1-SHA256"),
        (ec.SECP384R1(), "ECDSA-secp384r1-SHA256"),
        (ec.BrainpoolP256R1(), "ECDSA-brainpool256r1-SHA256"),
        (ec.BrainpoolP384R1(), "ECDSA-brainpoolP384r1-SHA256"),
    ],
    ids=lambda each: getattr(each, "name", str(each)),
)
def test_meters_of_every_curve_are_verified(curve: ec.EllipticCurve, algorithm: str | None) -> None:
    meter = OcmfMeter(curve=curve, algorithm=algorithm)
    charge = signed_charge_of([meter.both("910.000", "910.083")], meter.public_key())
    assert (charge.start_wh, charge.energy_wh, charge.verified) == (910_000, 83, True)


def test_a_key_may_be_a_point_or_spelt_as_ocpp_does() -> None:
    meter = OcmfMeter(curve=ec.SECP256K1(), algorithm="ECDSA-secp256k1-SHA256")
    record = meter.both("1.0", "2.0")
    spki = meter.public_key()
    as_base64 = b64encode(bytes.fromhex(spki)).decode()
    spellings = [
        spki,
        spki.upper(),
        f"0x{spki}",
        meter.point(),
        as_base64,
        f"oca:base16:asn1:{spki}",
        f"oca:base64:asn1:{as_base64}",
    ]
    for spelling in spellings:
        assert signed_charge_of([record], spelling).public_key == spki


def test_a_record_may_come_as_hex_or_base64() -> None:
    meter = OcmfMeter()
    record = meter.both("1.0", "2.0")
    raw = record.encode()
    for text in (f" {record}\n", raw.hex(), raw.hex().upper(), b64encode(raw).decode()):
        charge = signed_charge_of([text], meter.public_key())
        assert charge.records == (record,)
        assert is_ocmf(text)


def test_a_signature_may_be_base64() -> None:
    meter = OcmfMeter()
    begin = meter.record(reading("B", "2026-03-02T09:00:10,000Z", "1"), encoding="base64")
    end = meter.record(reading("E", "2026-03-02T09:10:10,000Z", "2"), encoding="base64")
    assert signed_charge_of([begin, end], meter.public_key()).energy_wh == 1_000


def test_two_records_are_a_pair_by_meter_and_rising_page() -> None:
    meter = OcmfMeter()
    old, begin, during, end = (
        meter.begin("5.000"),
        meter.begin("10.000"),
        meter.record(reading("C", "2026-03-02T09:05:10,000+0100 S", "10.5")),
        meter.end("11.000"),
    )
    charge = signed_charge_of([end, during, old, begin], meter.public_key())
    assert charge.energy_wh == 1_000
    assert charge.records == (begin, end)


def test_an_end_before_its_begin_is_no_pair() -> None:
    meter = OcmfMeter()
    end, begin = meter.end("11.000"), meter.begin("10.000")
    assert refusal_of([begin, end], meter.public_key()) == "RD"


def test_records_of_two_meters_are_no_pair() -> None:
    one, other = OcmfMeter(), OcmfMeter(serial="M2", page=2)
    assert refusal_of([one.begin("10.000"), other.end("11.000")], one.public_key()) == "RD"


@pytest.mark.parametrize("reason", ["E", "L", "R", "A", "P"])
def test_every_reason_to_end_ends(reason: str) -> None:
    meter = OcmfMeter()
    begin = meter.begin("10.000")
    end = meter.record(reading(reason, "2026-03-02T09:10:10,000+0100 S", "11.000"))
    assert signed_charge_of([begin, end], meter.public_key()).energy_wh == 1_000


def test_a_forged_record_does_not_displace_a_good_one() -> None:
    meter, stranger = OcmfMeter(), OcmfMeter(page=50)
    stranger.key = ec.derive_private_key(666, stranger.curve)
    good = meter.both("10.000", "11.000")
    forged = stranger.both("10.000", "99.000")
    assert signed_charge_of([forged, good], meter.public_key()).energy_wh == 1_000
    assert refusal_of([forged], meter.public_key()) == "SD"


def test_without_a_configured_key_a_record_is_read_and_not_verified() -> None:
    meter = OcmfMeter()
    charge = signed_charge_of([meter.both("10.000", "11.000")], None)
    assert charge.energy_wh == 1_000
    assert not charge.verified
    assert charge.public_key == ""


def test_a_key_appended_to_the_record_is_not_trusted() -> None:
    meter = OcmfMeter()
    record = f"{meter.both('10.000', '11.000')}|{meter.public_key()}"
    assert not signed_charge_of([record], None).verified


@pytest.mark.parametrize(
    ("register", "ranks"),
    [
        ("1-0:1.8.0", True),
        ("01-00:01.08.00*FF", True),
        ("01-00:01.08.00.FF", True),
        ("1-b:1.8.0", True),
        ("1-b:1.8.e", True),
        ("1-0:1.8.0*198", True),
        ("1-0:98.8.0.FF", True),
        ("01-00:B2.08.00*FF", True),
        ("1-0:1.8.1", True),
        ("1-0:2.8.0", False),
        ("01-00:C2.08.00*FF", False),
        ("1-0:1.7.0", False),
        ("01-00:00.08.06.FF", False),
        ("7-0:1.8.0", False),
        ("", False),
        ("x", False),
    ],
)
def test_registers_of_import_are_told_from_others(register: str, ranks: bool) -> None:
    taken = OcmfReading(
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
        time_status="S",
        reason="B",
        register=register,
        value_text="1",
        unit="kWh",
        status="G",
        error_flags="",
    )
    assert (taken.import_rank is not None) == ranks


def test_of_several_registers_the_cars_own_total_counts() -> None:
    meter = OcmfMeter()
    times = ("2026-03-02T09:00:10,000+0100 S", "2026-03-02T09:10:10,000+0100 S")
    readings = [
        reading(reason, time, f"{total + used}", RI=f"1-0:{register}")
        for reason, time, used in (("B", times[0], 0), ("E", times[1], 1))
        for register, total in (("1.8.2", 70), ("1.8.0", 100), ("B2.8.0", 0), ("B3.8.0", 0))
    ]
    charge = signed_charge_of([meter.record(*readings)], meter.public_key())
    assert charge.register == "1-0:B3.8.0"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ST": "E"}, "ST"),
        ({"ST": None}, "ST"),
        ({"EF": "E"}, "EF"),
        ({"EF": "Et"}, "EF"),
        ({"RU": "mOhm"}, "unit"),
        ({"RV": "-1"}, "RV"),
        ({"RV": "1e400"}, "RV"),
        ({"RV": "5.0"}, "RV"),  # Below the begin.
        ({"TM": "2026-03-02T09:10:10,000"}, "TM"),
        ({"TM": "2026-02-30T09:10:10,000+0100 S"}, "TM"),
        ({"TM": "2026-03-02T08:00:10,000+0100 S"}, "TM"),  # Before the begin.
        ({"TM": None}, "TM"),
        ({"TX": ["E"]}, "TX"),
        ({"RI": "1-0:2.8.0"}, "RD"),
    ],
)
def test_a_reading_that_must_not_be_billed_is_refused(changes: dict[str, Any], field: str) -> None:
    meter = OcmfMeter()
    begin = meter.begin("10.000")
    end = meter.record({**reading("E", "2026-03-02T09:10:10,000+0100 S", "11.000"), **changes})
    texts = [end, begin]
    assert refusal_of(texts, meter.public_key()) == field


def test_an_error_of_the_time_alone_does_not_spoil_the_energy() -> None:
    meter = OcmfMeter()
    texts = [meter.begin("10.000"), meter.end("11.000", EF="t")]
    assert signed_charge_of(texts, meter.public_key()).energy_wh == 1_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OCMF",
        "OCMF|{}",
        "OCMF|{}|{}",
        "OCMF|[]|{}",
        'OCMF|{"PG":"T1","RD":[]}|{"SD":"00"}',
        'OCMF|{"PG":"T1","RD":[1]}|{"SD":"00"}',
        'OCMF|{"PG":"X1","RD":[{"TM":"2026-03-02T09:00:10,000Z"}]}|{"SD":"00"}',
        'OCMF|{"PG":"T1","RD":[{"TM":"2026-03-02T09:00:10,000Z"}]}|{"SD":"zz!"}',
        'OCMF|{"PG":"T1","RD":[{"TM":"2026-03-02T09:00:10,000Z"}]}|{"SD":"00","SE":"rot13"}',
        'OCMF|{"PG":"T1","RD":[{"TM":"2026-03-02T09:00:10,000Z"}]}|{"SD":"00","SM":"text/plain"}',
        'OCMF|{"PG":"T1","RD":[{"TM":"2026-03-02T09:00:10,000Z","RV":NaN}]}|{"SD":"00"}',
        "OCMF|" + "[" * 100_000 + "|{}",
        "OCMF|{}|{}|{}|{}",
        "x" * 300_000,
        "AP;0;3;ABC",
        "ffff",
        "4f434d46",
        "é",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(BadEvidence):
        parse_record(text)
    refusal_of([text], None)


@pytest.mark.parametrize(
    "public_key",
    [
        "",
        "zz",
        "00",
        "04" + "11" * 64,
        "30" * 40,
        "a" * 5_000,
        # An RSA key: SPKI, and no curve.
        "305c300d06092a864886f70d0101010500034b003048024100c3a1b2" + "11" * 61 + "0203010001",
    ],
)
def test_what_is_no_key_verifies_nothing(public_key: str) -> None:
    meter = OcmfMeter()
    with pytest.raises(BadEvidence):
        signed_charge_of([meter.both("1", "2")], public_key)


def test_a_key_of_another_curve_than_stated_verifies_nothing() -> None:
    meter = OcmfMeter(curve=ec.SECP256K1())  # It states secp256r1.
    assert refusal_of([meter.both("1", "2")], meter.public_key()) == "SA"


@pytest.mark.parametrize(
    "algorithm", ["RSA-2048-SHA256", "ECDSA-secp256r1-MD5", "ECDSA-secp256r1", "ECDSA-x-SHA256"]
)
def test_another_algorithm_verifies_nothing(algorithm: str) -> None:
    meter = OcmfMeter(algorithm=algorithm)
    assert refusal_of([meter.both("1", "2")], meter.public_key()) == "SA"


def test_digits_are_never_rewritten_through_a_float() -> None:
    meter = OcmfMeter()
    charge = signed_charge_of(
        [meter.both("900719925.474", "900719925.4750000000000000000001")], meter.public_key()
    )
    assert (charge.start_wh, charge.energy_wh) == (900_719_925_474, 1)
