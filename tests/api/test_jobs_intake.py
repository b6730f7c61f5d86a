"""Bringing meter data in: signatures, foreign and unknown meters, and names of meters."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.jobs.community import Community
from api.jobs.intake import ImportReport, import_readings
from ledger.chain.wallet import Wallet
from ledger.errors import LedgerError
from ledger.keccak import domain_separator
from ledger.units import from_unix_s
from metering.errors import EmptyFile
from metering.readings import MeterId, Reading, SignedReading
from metering.readings_json import to_json
from metering.signing import sign_reading
from tests.api.community_worlds import HEADER, HOUR_S, START_S, community_of, document

KEY = bytes.fromhex("11" * 32)
OWN_ID = MeterId(bytes.fromhex("ab" * 32))
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    """One member with a meter that is imported, and one with a key of its own."""
    config = document(["here", "far"])
    config["meters"][1] |= {
        "class": "gateway",
        "key": "0x" + Wallet(KEY).address.hex(),
        "meter_id": "0x" + OWN_ID.hex(),
    }
    with community_of(tmp_path_factory.mktemp("intake") / "data", config) as opened:
        yield opened


_next_hour = iter(range(1_000))


def reading(**values: Any) -> Reading:
    """The next hour's reading of the meter with its own key: registers never fall or jump."""
    hour = next(_next_hour)
    return Reading(
        **{
            "meter_id": OWN_ID,
            "taken_at": from_unix_s(START_S + hour * HOUR_S),
            "import_wh": 1_000 + hour,
            "export_wh": 10 + hour,
            **values,
        }
    )


def signed(community: Community, each: Reading, *, chain_id: int = 1337) -> SignedReading:
    domain = domain_separator(chain_id, community.contracts.registry)
    return sign_reading(each, KEY, domain)


def take(community: Community, place: Path, items: list[Any], **options: Any) -> ImportReport:
    file = place / "readings.json"
    file.write_text(json.dumps({"readings": items}))
    return import_readings(community, file, format_name="readings-json", **options)


def codes(report: ImportReport) -> list[tuple[int, str]]:
    return [(each.position, each.error.code) for each in report.rejected]


def test_signed_readings_are_taken_once(community: Community, tmp_path: Path) -> None:
    items = [to_json(signed(community, reading())) for _ in range(3)]
    first = take(community, tmp_path, items)
    assert (first.accepted, first.duplicates, list(first.rejected)) == (3, 0, [])
    again = take(community, tmp_path, [*items, items[0]])
    assert (again.accepted, again.duplicates, list(again.rejected)) == (0, 4, [])


def test_each_bad_reading_is_named_and_sinks_nothing(community: Community, tmp_path: Path) -> None:
    good = signed(community, reading())
    s = int.from_bytes(good.signature[32:64])
    high_s = good.signature[:32] + (ORDER - s).to_bytes(32) + bytes([55 - good.signature[64]])
    later = signed(community, reading())
    before, ahead = from_unix_s(START_S - 60), from_unix_s(4_000_000_000)
    items: list[tuple[Any, str | None]] = [
        (to_json(good), None),
        ({**to_json(good), "signature": "0x" + high_s.hex()}, "malleable_signature"),
        ({**to_json(later), "import_wh": later.reading.import_wh + 1}, "bad_signature"),
        (to_json(signed(community, reading(), chain_id=1)), "bad_signature"),
        (to_json(signed(community, reading(meter_id=MeterId(b"\1" * 32)))), "unknown_meter"),
        (to_json(signed(community, reading(taken_at=before))), "meter_not_valid_at"),
        (to_json(signed(community, reading(taken_at=ahead))), "time_in_future"),
        (to_json(signed(community, reading(import_wh=0))), "register_decreased"),
        (to_json(signed(community, reading(import_wh=10**9))), "register_jump"),
        ({**to_json(later), "taken_at": "2016-06-03T00:00:00"}, "bad_time"),
        ({**to_json(later), "import_wh": 10**12 + 1}, "register_out_of_range"),
        ({**to_json(later), "import_wh": -1}, "register_out_of_range"),
        ({**to_json(later), "import_wh": 1.5}, "bad_row"),
        ({**to_json(later), "import_wh": "7"}, "bad_row"),
        ({**to_json(later), "import_wh": True}, "bad_row"),
        ({**to_json(later), "more": 1}, "bad_row"),
        (7, "bad_row"),
        (to_json(later), None),
    ]  # fmt: skip
    report = take(community, tmp_path, [item for item, _ in items])
    expected = [(place, code) for place, (_, code) in enumerate(items) if code is not None]
    assert codes(report) == expected
    assert report.accepted == 2


def test_another_value_for_an_instant_is_a_new_version(
    community: Community, tmp_path: Path
) -> None:
    first = reading()
    better = replace(first, export_wh=first.export_wh + 1)
    reading()
    for each in (first, better):
        report = take(community, tmp_path, [to_json(signed(community, each))])
        assert (report.accepted, codes(report)) == (1, [])
    # What was said before is not news.
    report = take(community, tmp_path, [to_json(signed(community, first))])
    assert (report.accepted, report.duplicates) == (0, 1)


def registers(place: Path, *rows: str) -> Path:
    file = place / "registers.csv"
    file.write_text(HEADER + "".join(row + "\n" for row in rows))
    return file


def test_a_file_is_signed_only_for_meters_whose_key_is_here(
    community: Community, tmp_path: Path
) -> None:
    file = registers(
        tmp_path,
        "here,2016-06-01T00:00:00Z,1,0",
        "far,2016-06-01T00:00:00Z,1,0",
        "stranger,2016-06-01T00:00:00Z,1,0",
        "0x" + OWN_ID.hex() + ",2016-06-01T00:00:00Z,1,0",
    )
    report = import_readings(community, file, format_name="registers-csv")
    assert report.accepted == 1
    assert codes(report) == [(3, "bad_signature"), (4, "unknown_meter"), (5, "bad_signature")]


def test_one_meters_rows_are_taken_by_label_or_id(community: Community, tmp_path: Path) -> None:
    file = registers(tmp_path, "here,2016-06-02T00:00:00Z,2,0", "far,2016-06-02T00:00:00Z,2,0")
    report = import_readings(community, file, format_name="registers-csv", meter="here")
    assert (report.accepted, codes(report)) == (1, [])
    (here,) = [each for each in community.readings.meters() if each.label == "here"]
    by_id = import_readings(
        community, file, format_name="registers-csv", meter="0x" + here.meter_id.hex()
    )
    assert (by_id.accepted, by_id.duplicates) == (0, 1)
    items = [to_json(signed(community, reading()))]
    assert take(community, tmp_path, items, meter="here").accepted == 0
    assert take(community, tmp_path, items, meter="far").accepted == 1


def test_a_files_only_meter_may_be_named_on_the_command_line(
    community: Community, tmp_path: Path
) -> None:
    file = registers(tmp_path, "DE_KN_residential4,2016-06-03T00:00:00Z,3,0")
    report = import_readings(community, file, format_name="registers-csv", meter="here")
    assert (report.accepted, codes(report)) == (1, [])


def test_a_refused_item_is_told_by_its_line_and_its_index(
    community: Community, tmp_path: Path
) -> None:
    good, bad = to_json(signed(community, reading())), {"meter_id": "0x12"}
    file = tmp_path / "readings.json"
    file.write_text(json.dumps({"readings": [bad, good, bad]}, indent=1))
    report = import_readings(community, file, format_name="readings-json")
    rejected = report.to_json()["rejected"]
    assert [each["index"] for each in rejected] == [0, 2]
    rows = file.read_text().splitlines()
    assert [rows[each["line"]] for each in rejected] == ['   "meter_id": "0x12"'] * 2
    file.write_text(json.dumps({"readings": [bad]}))
    report = import_readings(community, file, format_name="readings-json")
    assert [report.place(each) for each in report.rejected] == [{"line": 1, "index": 0}]


@pytest.mark.parametrize("content", [b"", b" \n", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("format_name", ["registers-csv", "readings-json"])
def test_a_file_with_nothing_in_it_is_empty_in_every_format(
    format_name: str, content: bytes, community: Community, tmp_path: Path
) -> None:
    file = tmp_path / "empty"
    file.write_bytes(content)
    with pytest.raises(EmptyFile):
        import_readings(community, file, format_name=format_name)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"format_name": "excel"}, "unknown_format"),
        ({"format_name": "registers-csv", "meter": "nobody"}, "unknown_meter"),
        ({"format_name": "readings-json"}, "unknown_format"),
    ],
)
def test_what_cannot_be_imported_at_all_is_refused(
    options: dict[str, Any], code: str, community: Community, tmp_path: Path
) -> None:
    before = community.readings.count()
    with pytest.raises(LedgerError) as refused:
        import_readings(community, registers(tmp_path, "here,2016-06-04T00:00:00Z,4,0"), **options)
    assert refused.value.code == code
    assert community.readings.count() == before
