"""`audit`: any single thing of a charge that is altered is found, and its session is named."""

import copy
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.jobs.audit import AuditReport, audit
from api.jobs.bundle import write_bundle
from api.jobs.charging.receipts import Receipts
from api.jobs.community import Community, open_community
from api.jobs.evidence import read_bundle
from charging.desk import SessionState
from charging.event_json import digest_of, from_json
from charging.store import ChargingStore
from ledger.errors import LedgerError
from tests.api.community_worlds import community_of, quiet
from tests.api.community_worlds import document as street_document
from tests.charged_street import ENERGY_WH, GIFT_MICRO, make_charged_street
from tests.e2e.bundle_alterations import Document, digit
from tests.e2e.command_line import Cli

Leaf = tuple[str | int, ...]
CLOSED, SIGNED, CANCELLED, GOING_ON = range(4)  # The sessions of the street.


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """The street, opened to read, and its bundle."""

    path: Path
    community: Community
    bundle: Document

    def said(self, bundle: Document, place: Path) -> list[str]:
        """What an audit has to say against a bundle."""
        try:
            report = self.report(bundle, place)
        except LedgerError as refused:
            return [str(refused)]
        return [f"{each.where}: {each.detail}" for each in report.discrepancies]

    def report(self, bundle: Document, place: Path) -> AuditReport:
        file = place / "bundle.json"
        file.write_text(json.dumps(bundle))
        return audit(self.community.chain, read_bundle(file), progress=quiet)


@pytest.fixture(scope="module")
def charged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Charged]:
    place = tmp_path_factory.mktemp("charged")
    make_charged_street(place / "data")
    with open_community(place / "data", read_only=True) as community:
        write_bundle(community, place / "bundle.json")
        bundle = json.loads((place / "bundle.json").read_text())
        yield Charged(path=place / "data", community=community, bundle=bundle)


def test_the_unaltered_street_passes_and_a_gift_is_a_remark(
    charged: Charged, cli: Cli, tmp_path: Path
) -> None:
    report = charged.report(charged.bundle, tmp_path)
    assert report.discrepancies == []
    gift = f"escrow: somebody gave it {GIFT_MICRO} micro, which are nobody's"
    assert [f"{each.where}: {each.detail}" for each in report.remarks] == [gift]
    ran = cli("audit", "--data-dir", charged.path, "--json")
    assert (ran.code, ran.document["verdict"]) == (0, "ok")
    sums = {name: int(ran.document[name]) for name in ("deposits_micro", "paid_micro")}
    assert (ran.document["sessions"], ran.document["session_energy_wh"]) == (4, ENERGY_WH)
    cost_micro = [350_000 + 10_123 * 390, 350_000 + 4_000 * 390]
    assert sums == {"deposits_micro": 4 * 20_000_000 + 3_000_000, "paid_micro": sum(cost_micro)}
    refunded_micro = 63_000_000 - sum(cost_micro)
    assert ran.document["refunded_micro"] == str(refunded_micro)
    printed = cli("audit", "--data-dir", charged.path).out
    assert "4 charging sessions derived again: 14.1 kWh" in printed
    assert f"remark: {gift}" in printed


FREE = {  # What nothing else can contradict, and what harms nobody.
    ("metered",),  # Its readings would be brought again, and be duplicates.
    ("evidence", "settled_at"),  # A second more or less gives the same record.
}


def leaves(value: Any, path: Leaf = ()) -> Iterator[tuple[Leaf, Any]]:
    """Every single value of a document."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def altered_value(value: Any) -> Any:
    """Another value of the same form."""
    if value is None:
        return "0x" + "11" * 32
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else _altered_text(value)


def _altered_text(text: str) -> str:
    if text.startswith("0x"):
        return str(digit(24)(text))
    if text.isdigit():
        return str(int(text) + 1)
    if text.startswith("20") and text.endswith("Z"):
        return text[:-3] + f"{(int(text[-3:-1]) + 1) % 60:02d}Z"
    return text.replace('":"', '":"9') if '":"' in text else f"{text}x"


def altered(bundle: Document, path: Leaf, change: Callable[[Any], Any]) -> Document:
    """A copy of a bundle with one value changed."""
    other = copy.deepcopy(bundle)
    inner: Any = other
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = change(inner[path[-1]])
    return other


def test_every_single_value_of_a_session_that_is_altered_is_found_and_it_is_named(
    charged: Charged, tmp_path: Path
) -> None:
    count = 0
    for place, session in enumerate(charged.bundle["charging"]["sessions"]):
        for inner, value in leaves(session):
            if inner in FREE:
                continue
            path = ("charging", "sessions", place, *inner)
            said = charged.said(altered(charged.bundle, path, altered_value), tmp_path)
            named = (session["session_id"], "field=bundle", "charging.sessions")
            assert any(name in text for text in said for name in named), (path, value, said)
            count += 1
    assert count > 150


def without(path: Leaf) -> Callable[[Document], Document]:
    """Takes something out."""

    def change(bundle: Document) -> Document:
        other = copy.deepcopy(bundle)
        inner: Any = other
        for part in path[:-1]:
            inner = inner[part]
        del inner[path[-1]]
        return other

    return change


def changed(path: Leaf, value: Any) -> Callable[[Document], Document]:
    """Another value altogether."""
    return lambda bundle: altered(bundle, path, lambda _: value)


def sessions(*path: str | int) -> Leaf:
    return ("charging", "sessions", *path)


def test_a_charge_that_began_after_a_bundle_was_made_is_named_and_left_out(
    charged: Charged, tmp_path: Path
) -> None:
    """A bundle of the block before its opening does not know of it."""
    bundle = copy.deepcopy(charged.bundle)
    session = bundle["charging"]["sessions"].pop(GOING_ON)
    opened = charged.community.chain.receipt(bytes.fromhex(session["open_tx"][2:]))
    assert opened is not None
    bundle["balances_at_block"] = opened.block_number - 1
    report = charged.report(bundle, tmp_path)
    (remark,) = [each for each in report.remarks if session["session_id"] in each.where]
    assert "opened after the evidence was collected" in remark.detail
    assert not [each for each in report.discrepancies if session["session_id"] in each.where]
    bundle["balances_at_block"] = opened.block_number
    assert any("not among" in text for text in charged.said(bundle, tmp_path))


OTHER_KEY = "02" + "11" * 32
ALTERED: list[tuple[str, Callable[[Document], Document], str]] = [
    ("a session is left out", without(sessions(CLOSED)), "not among the service's sessions"),
    ("the open one is left out", without(sessions(GOING_ON)), "not among the service's sessions"),
    ("a first message", without(sessions(CLOSED, "messages", 0)), "2 are kept"),
    ("a middle message", without(sessions(CLOSED, "messages", 1)), "2 are kept"),
    ("a last message", without(sessions(CLOSED, "messages", 2)), "2 are kept"),
    ("all messages", changed(sessions(CLOSED, "messages"), []), "0 are kept"),
    ("signed message", without(sessions(SIGNED, "messages", 2)), "2 are kept"),
    ("no evidence", changed(sessions(SIGNED, "evidence"), None), "evidence is missing"),
    ("no record", changed(sessions(CLOSED, "record"), None), "stored record"),
    ("no signature", changed(sessions(CLOSED, "record_signature"), None), "signature"),
    ("unpaid", changed(sessions(CLOSED, "paid_micro"), None), "stored payment"),
    ("closed again", changed(sessions(CANCELLED, "state"), "closed"), "stored state"),
    ("reclaimed", changed(sessions(CLOSED, "state"), "reclaimed"), "stored state"),
    ("failed", changed(sessions(CLOSED, "state"), "failed"), "stored state"),
    ("runs still", changed(sessions(CLOSED, "state"), "charging"), "stored state"),
    ("closed early", changed(sessions(GOING_ON, "state"), "closed"), "stored state"),
    ("no such state", changed(sessions(CLOSED, "state"), "gone"), "bundle"),
    ("a charger", without(("charging", "chargers", 0)), "is not a charger of the service"),
    ("the other", without(("charging", "chargers", 1)), "is not a charger of the service"),
    ("place", changed(("charging", "chargers", 0, "connector_id"), 7), "not a charger"),
    ("point", changed(("charging", "chargers", 0, "charge_point_id"), "CP7"), "not a charger"),
    ("VAT", changed(("charging", "chargers", 0, "vat_bps"), 700), "VAT"),
    ("key", changed(("charging", "chargers", 0, "public_key"), OTHER_KEY), "signed values"),
    ("no key", changed(("charging", "chargers", 0, "public_key"), None), "another key"),
    ("meter", changed(("charging", "chargers", 0, "meter_id"), "0x" + "11" * 32), "its start"),
    ("escrow", changed(("charging", "escrow"), "0x" + "11" * 20), "no contract"),
    ("format", changed(("format",), "wattledger.bundle/1"), "format"),
    ("nothing of it", without(("charging",)), "charging"),
]


@pytest.mark.parametrize(
    ("change", "word"), [row[1:] for row in ALTERED], ids=[row[0] for row in ALTERED]
)
def test_what_is_left_out_or_put_elsewhere_is_found_and_named(
    change: Callable[[Document], Document], word: str, charged: Charged, tmp_path: Path
) -> None:
    said = charged.said(change(charged.bundle), tmp_path)
    assert any(word in text for text in said), said


def test_every_field_of_charging_is_asked_for_by_name(charged: Charged, tmp_path: Path) -> None:
    places: list[Leaf] = [
        ("charging",),
        ("charging", "chargers", 0),
        sessions(SIGNED),
        sessions(SIGNED, "evidence"),
        sessions(SIGNED, "order"),
        sessions(SIGNED, "record"),
        sessions(SIGNED, "messages", 0),
        sessions(CLOSED, "top_ups", 0),
    ]
    for place in places:
        inner: Any = charged.bundle
        for part in place:
            inner = inner[part]
        for field in inner:
            (text,) = charged.said(without((*place, field))(charged.bundle), tmp_path)
            assert field in text, (place, field, text)
            for nonsense in ({}, [[]], "zz"):
                path = (*place, field)
                charged.said(changed(path, nonsense)(charged.bundle), tmp_path)


@pytest.mark.parametrize("place", range(2))
def test_a_reading_that_the_market_lacks_is_named_with_its_session(
    place: int, charged: Charged, tmp_path: Path
) -> None:
    meter_id = charged.bundle["charging"]["chargers"][0]["meter_id"]
    readings = charged.bundle["readings"]
    own = [each for each in readings if each["meter_id"] == meter_id]
    missing = own[place]
    other = {**charged.bundle, "readings": [each for each in readings if each is not missing]}
    said = charged.said(other, tmp_path)
    session_id = charged.bundle["charging"]["sessions"][CLOSED]["session_id"]
    what = ("start", "stop")[place]
    assert [text for text in said if f"no reading of its {what}" in text and session_id in text]


STORED = [
    ("UPDATE charge_session SET state = 'cancelled' WHERE number = 1", "stored state"),
    ("UPDATE charge_session SET state = 'stopping' WHERE number = 1", "stored state"),
    ("UPDATE charge_session SET state = 'nowhere' WHERE number = 1", "cannot be read"),
    ("UPDATE charge_session SET session_id = zeroblob(32) WHERE number = 2", "not on the chain"),
    ("UPDATE charge_session SET driver = zeroblob(20) WHERE number = 1", "digest of the stored"),
    ("UPDATE charge_session SET charger_id = zeroblob(32) WHERE number = 1", "not a charger"),
    ("UPDATE charge_session SET order_deposit_micro = '1' WHERE number = 1", "digest of the"),
    ("UPDATE charge_session SET energy_per_kwh = 1 WHERE number = 1", "digest of the stored"),
    ("UPDATE charge_session SET start_fee = -1 WHERE number = 1", "cannot be read"),
    ("UPDATE charge_session SET idle_per_hour = 1 WHERE number = 1", "digest of the stored"),
    ("UPDATE charge_session SET valid_until_s = '1' WHERE number = 1", "digest of the stored"),
    ("UPDATE charge_session SET nonce = '77' WHERE number = 1", "digest of the stored"),
    ("UPDATE charge_session SET nonce = 'x' WHERE number = 1", "cannot be read"),
    ("UPDATE charge_session SET order_signature = zeroblob(65)", "not signed by its driver"),
    ("UPDATE charge_session SET charge_point_id = 'CP9' WHERE number = 1", "place"),
    ("UPDATE charge_session SET connector_id = 2 WHERE number = 1", "place"),
    ("UPDATE charge_session SET host = zeroblob(20) WHERE number = 4", "stored host"),
    ("UPDATE charge_session SET record_key = zeroblob(20) WHERE number = 4", "stored record key"),
    ("UPDATE charge_session SET power_w = 1 WHERE number = 1", "stored power"),
    ("UPDATE charge_session SET last_wh = 1 WHERE number = 1", "stored register before"),
    ("UPDATE charge_session SET vat_bps = 700 WHERE number = 3", "VAT"),
    ("UPDATE charge_session SET deposit_micro = '1' WHERE number = 1", "stored deposit"),
    ("UPDATE charge_session SET deposit_micro = '20000000' WHERE number = 1", "stored deposit"),
    ("UPDATE charge_session SET deposit_micro = '1' WHERE number = 4", "stored deposit"),
    ("UPDATE charge_session SET opened_s = opened_s + 1 WHERE number = 1", "stored opening"),
    ("UPDATE charge_session SET opened_s = NULL WHERE number = 4", "stored opening"),
    ("UPDATE charge_session SET open_tx = zeroblob(32) WHERE number = 3", "opening's transaction"),
    ("UPDATE charge_session SET close_tx = zeroblob(32) WHERE number = 3", "end's transaction"),
    ("UPDATE charge_session SET paid_micro = '1' WHERE number = 3", "stored payment"),
    ("UPDATE charge_session SET refunded_micro = '1' WHERE number = 1", "stored refund"),
    ("UPDATE charge_session SET record_json = NULL WHERE number = 1", "stored record"),
    ("UPDATE charge_session SET record_json = '{' WHERE number = 1", "cannot be read"),
    (
        "UPDATE charge_session SET record_json = replace(record_json, '920123', '920124')",
        "stored record",
    ),
    ("UPDATE charge_session SET record_signature = zeroblob(65) WHERE number = 2", "signature"),
    ("UPDATE charge_session SET evidence_json = NULL WHERE number = 1", "evidence is missing"),
    ("UPDATE charge_session SET evidence_json = '[]' WHERE number = 1", "cannot be read"),
    (
        (
            "UPDATE charge_session SET evidence_json ="
            " replace(evidence_json, '924.223', '924.224') WHERE number = 2"
        ),
        "evidence is not what its record's evidence hash says",
    ),
    (
        "UPDATE charge_session SET evidence_json = replace(evidence_json, '910000', '910001')",
        "evidence is not what its record's evidence hash says",
    ),
    (
        "UPDATE charge_session SET evidence_json = replace(evidence_json, 'true', 'false')",
        "verified by another key",
    ),
    ("UPDATE charge_session SET transaction_no = 2 WHERE number = 1", "messages give another"),
    ("UPDATE charge_session SET transaction_no = NULL WHERE number = 1", "0 are kept"),
    ("DELETE FROM charge_session WHERE number = 1", "not among the service's sessions"),
    ("DELETE FROM charge_session WHERE number = 4", "not among the service's sessions"),
    ("DELETE FROM charge_event WHERE number = 2", "2 are kept"),
    ("DELETE FROM charge_event", "0 are kept"),
    ("UPDATE charge_event SET event_json = replace(event_json, '915000', '915001')", "digest"),
    ("UPDATE charge_event SET event_json = replace(event_json, '920123', '920122')", "digest"),
    ("UPDATE charge_event SET event_json = 'x' WHERE number = 1", "message 1"),
    ("UPDATE charge_event SET kind = 'TransactionEnded' WHERE number = 2", "message 2"),
    ("UPDATE charge_event SET digest = randomblob(32) WHERE number = 3", "message 3"),
    ("UPDATE charge_event SET received_s = received_s + 1 WHERE number = 3", "message 3"),
    ("UPDATE charge_event SET transaction_no = 2 WHERE number = 1", "2 are kept"),
    ("UPDATE charge_top_up SET add_micro = '3000001'", "not signed by its driver"),
    ("UPDATE charge_top_up SET signature = zeroblob(65)", "not signed by its driver"),
    ("UPDATE charge_top_up SET add_micro = '-1'", "cannot be read"),
    ("DELETE FROM reading WHERE import_wh = 924123", "no reading of its stop"),
    ("UPDATE reading SET import_wh = import_wh + 1 WHERE import_wh = 924123", "reading 0x"),
    ("UPDATE index_log SET data = zeroblob(length(data))", "index of the escrow"),
]


@pytest.mark.parametrize(("statement", "word"), STORED)
def test_a_charge_in_a_data_directory_that_was_altered_fails_and_it_is_named(
    statement: str, word: str, charged: Charged, cli: Cli, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(charged.path, data)
    with sqlite3.connect(data / "wattledger.db") as connection:
        changed_rows = connection.execute(statement).rowcount
    connection.close()
    assert changed_rows > 0
    ran = cli("audit", "--data-dir", data, "--json")
    assert ran.code == 1, ran.err
    said = [f"{each['where']}: {each['detail']}" for each in ran.document["discrepancies"]]
    assert any(word in text for text in said), said
    assert any("session 0x" in text or word in text for text in said)


def test_a_message_and_its_digest_that_were_altered_together_give_another_record(
    charged: Charged, tmp_path: Path
) -> None:
    """Whoever forges a stop and its digest still lacks the record key."""
    bundle = copy.deepcopy(charged.bundle)
    message = bundle["charging"]["sessions"][CLOSED]["messages"][2]
    message["text"] = message["text"].replace("920123", "930123")
    message["digest"] = "0x" + digest_of(from_json(message["kind"], message["text"])).hex()
    said = charged.said(bundle, tmp_path)
    assert any("messages give another record: stop_wh 920123" in text for text in said), said


@pytest.mark.parametrize(
    "statement",
    [
        (
            "UPDATE charge_session SET state = 'stopping', paid_micro = NULL,"
            " refunded_micro = NULL, close_tx = NULL WHERE number = 1"
        ),
        (
            "UPDATE charge_session SET state = 'opening', opened_s = NULL, open_tx = NULL"
            " WHERE number = 4"
        ),
    ],
)
def test_a_service_that_is_a_step_behind_the_chain_is_a_remark(
    statement: str, charged: Charged, cli: Cli, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(charged.path, data)
    with sqlite3.connect(data / "wattledger.db") as connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()
    ran = cli("audit", "--data-dir", data, "--json")
    assert ran.code == 0, ran.out
    assert any("has not followed" in each["detail"] for each in ran.document["remarks"])


def test_a_receipt_in_the_directory_that_was_altered_fails_and_is_named(
    charged: Charged, cli: Cli, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(charged.path, data)
    store = ChargingStore(charged.community.engine)
    session = store.run(lambda open_: store.sessions_in(open_, [SessionState.CLOSED]))[CLOSED]
    receipt = dict(Receipts(charged.community, store).of(session))
    path = data / "receipts" / "mine.json"
    path.parent.mkdir()
    path.write_text(json.dumps(receipt))
    assert cli("audit", "--data-dir", data).code == 0
    path.write_text(json.dumps(receipt | {"paid_micro": "1"}))
    ran = cli("audit", "--data-dir", data)
    assert (ran.code, "file mine.json: paid_micro" in ran.out) == (1, True)
    path.write_text("{}")
    assert "file mine.json: " in cli("audit", "--data-dir", data).out


def test_a_community_without_chargers_is_audited_and_nothing_is_said_of_charging(
    cli: Cli, tmp_path: Path
) -> None:
    with community_of(tmp_path / "data", street_document(["home"])):
        pass
    ran = cli("audit", "--data-dir", tmp_path / "data")
    assert (ran.code, "charg" in ran.out) == (0, False)
    assert cli("audit", "--data-dir", tmp_path / "data", "--json").document["sessions"] == 0


def test_a_community_from_before_the_escrow_is_audited_and_nothing_is_said_of_charging(
    cli: Cli, tmp_path: Path
) -> None:
    data, bundle = tmp_path / "data", tmp_path / "bundle.json"
    with community_of(data, street_document(["home"])):
        pass
    with sqlite3.connect(data / "wattledger.db") as connection:
        connection.execute("DELETE FROM community_fact WHERE name = 'escrow'")
        connection.execute("DELETE FROM index_contract")
    connection.close()
    ran = cli("audit", "--data-dir", data)
    assert (ran.code, "charg" in ran.out) == (0, False)
    assert cli("settle", "--data-dir", data).code == 0
    assert cli("audit", "--export", bundle, "--data-dir", data).code == 0
    document = json.loads(bundle.read_text())
    assert (document["format"], "charging" in document) == ("wattledger.bundle/1", False)
    assert cli("audit", "--bundle", bundle, "--data-dir", data).code == 0
