"""Receipts of the real service, verified against its chain: no digit can be changed unnoticed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from api.cli.app import run
from api.jobs.verify import Verdict
from api.jobs.verify_receipt import EscrowFacts, verify_receipt
from charging.desk import SessionState
from charging.escrow_words import record_words, session_words
from charging.orders import ChargeRecord, charger_id_of
from charging.points import MeterSample, SampledValue
from charging.receipt_checks import Closed, SessionFacts, check_alone, check_with_chain
from charging.receipt_file import Receipt, receipt_from_json
from charging.sessions import ChargeSession
from charging.simulator.ocmf import OcmfSigner, SignedReading
from ledger.chain import escrow
from ledger.errors import LedgerError
from ledger.json_text import parse_json
from ledger.keccak import checksum_address
from ledger.units import Address, Hash32
from tests.charging_world import (
    POINT,
    REGISTER_WH,
    ChargingWorld,
    charging_document,
    charging_world,
)
from tests.receipt_files import read, receipt_document

SIGNER = OcmfSigner.made()
Charge = Callable[[ChargingWorld], Any]


async def unsigned(world: ChargingWorld) -> Mapping[str, object]:
    """A charge by the charger's unsigned values, its deposit topped up on the way."""
    driver = await world.driver()
    view = await world.place(driver, nonce=2**200 + 7)
    await world.until(view.session_id, SessionState.OPEN)
    reply = await world.starts(view)
    world.clock.pass_s(1_800)
    await world.measures(reply.transaction_id, REGISTER_WH + 5_000)
    await world.top_up(driver, view.session_id, 3_000_000)
    async with asyncio.timeout(30):
        while (await world.runtime.desk.view(view.session_id)).deposit_micro != 23_000_000:
            await asyncio.sleep(0.02)
    world.clock.pass_s(1_800)
    await world.stops(reply.transaction_id, REGISTER_WH + 10_123)
    await world.until(view.session_id, SessionState.CLOSED)
    return await world.runtime.desk.receipt(view.session_id)


async def signed(world: ChargingWorld) -> Mapping[str, object]:
    """A charge whose end brings a signed record of less than the unsigned values say."""
    view = await world.place(await world.driver())
    await world.until(view.session_id, SessionState.OPEN)
    begin_at = world.clock()
    reply = await world.starts(view)
    world.clock.pass_s(3_600)
    text = SIGNER.sign(
        SignedReading(at=begin_at, register_wh=REGISTER_WH),
        SignedReading(at=world.clock(), register_wh=REGISTER_WH + 9_999),
        id_token="A",
        point="CP1",
    )
    sample = MeterSample(
        taken_at=world.clock(), values=(SampledValue(text=text, signed=True, encoding="OCMF"),)
    )
    await world.stops(reply.transaction_id, REGISTER_WH + 10_123, samples=(sample,))
    await world.until(view.session_id, SessionState.CLOSED)
    return await world.runtime.desk.receipt(view.session_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A receipt as it was written, and what the chain says."""

    text: str
    facts: SessionFacts


def case_of(path: Path, charge: Charge, **charger: Any) -> Case:
    """Runs a charge; its receipt, and the chain's facts of it."""

    async def live() -> Case:
        async with world_with(path, **charger) as world:
            document = await charge(world)
            facts = EscrowFacts(world.community.chain, world.community.contracts.escrow)
            receipt = receipt_from_json(document)
            assert verify_receipt(receipt, facts).passed
            return Case(text=json.dumps(document, indent=1) + "\n", facts=facts.of(receipt))

    return asyncio.run(live())


@asynccontextmanager
async def world_with(path: Path, **charger: Any) -> AsyncIterator[ChargingWorld]:
    document = charging_document()
    document["chargers"][0] |= charger
    async with charging_world(path, document) as world:
        yield world


@pytest.fixture(scope="module")
def unsigned_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return case_of(tmp_path_factory.mktemp("unsigned") / "street", unsigned)


@pytest.fixture(scope="module")
def signed_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    place = tmp_path_factory.mktemp("signed") / "street"
    return case_of(place, signed, public_key=SIGNER.public_key_hex)


def passes(receipt: Receipt, facts: SessionFacts) -> bool:
    """The verdict, with the chain's two transactions as they were read once."""
    original = (facts.opened, facts.closed)
    assert not any(isinstance(each, str) for each in original)
    checks = [*check_alone(receipt), *check_with_chain(receipt, facts)]
    return all(check.passed for check in checks)


def changed(text: str) -> Iterator[str]:
    """The text with one digit or one hexadecimal letter of a value changed, for each of them."""
    for place, char in enumerate(text):
        if char.isdigit():
            other = str((int(char) + 1) % 10)
        elif char in "abcdefABCDEF" and in_hex(text, place):
            other = format((int(char, 16) + 1) % 16, "x")
        else:
            continue
        yield text[:place] + other + text[place + 1 :]


def in_hex(text: str, place: int) -> bool:
    """Whether a letter is one of the digits behind 0x, or of a key."""
    start = place
    while text[start - 1] in "0123456789abcdefABCDEFx":
        start -= 1
    return text[start : start + 2] == "0x" or place - start > 30


@pytest.mark.parametrize("name", ["unsigned_case", "signed_case"])
def test_any_single_digit_that_is_changed_is_found(
    name: str, request: pytest.FixtureRequest
) -> None:
    case: Case = request.getfixturevalue(name)
    assert passes(receipt_from_json(parse_json(case.text)), case.facts)
    opened, closed = (parse_json(case.text)["transactions"][each] for each in ("open", "close"))
    count = 0
    for text in changed(case.text):
        count += 1
        try:
            receipt = receipt_from_json(parse_json(text))
        except LedgerError:
            continue  # It is no receipt any more.
        transactions = ("0x" + receipt.open_tx.hex(), "0x" + receipt.close_tx.hex())
        if transactions == (opened, closed):
            assert not passes(receipt, case.facts), text
    assert count > 1_200


def test_a_changed_transaction_is_looked_for_and_not_found(tmp_path: Path) -> None:
    async def live() -> None:
        async with world_with(tmp_path / "street") as world:
            document = dict(await unsigned(world))
            facts = EscrowFacts(world.community.chain, world.community.contracts.escrow)
            opened, closed = (document["transactions"][each] for each in ("open", "close"))
            for open_tx, close_tx, found in (
                ("0x" + "11" * 32, closed, {"opened": "the chain has no such transaction"}),
                (opened, "0x" + "11" * 32, {"closed": "the chain has no such transaction"}),
                (closed, closed, {"opened": "this session was not opened in it"}),
                (opened, opened, {"closed": "this session was not closed in it"}),
            ):
                document["transactions"] = {"open": open_tx, "close": close_tx}
                verdict = verify_receipt(receipt_from_json(document), facts)
                failed = failures(verdict)
                for name, words in found.items():
                    assert failed[name].endswith(words)
                assert set(failed) <= {*found, "attestation"}

    asyncio.run(live())


def test_signed_values_bill_the_smaller_energy_and_the_receipt_says_so(signed_case: Case) -> None:
    document = json.loads(signed_case.text)
    evidence = document["evidence"]
    assert (evidence["kind"], evidence["verified"]) == ("ocmf", True)
    assert evidence["signer"] == SIGNER.public_key_hex
    assert (document["energy_wh"], evidence["not_billed_wh"]) == (9_999, 124)
    assert evidence["notes"] == ["signed_differs: 9999 Wh are signed, 10123 Wh are not"]


def test_a_top_up_is_part_of_the_deposit_and_of_the_refund(unsigned_case: Case) -> None:
    document = json.loads(unsigned_case.text)
    assert (document["order"]["depositMicro"], document["deposit_micro"]) == (
        "20000000",
        "23000000",
    )
    assert int(document["paid_micro"]) + int(document["refunded_micro"]) == 23_000_000


def failures(verdict: Verdict) -> dict[str, str]:
    """The first failure of each name."""
    found: dict[str, str] = {}
    for check in verdict.checks:
        if not check.passed:
            found.setdefault(check.name, check.detail)
    return found


def test_a_receipt_that_names_another_sessions_transactions_is_found(tmp_path: Path) -> None:
    async def live() -> None:
        async with world_with(tmp_path / "street") as world:
            first, second = dict(await unsigned(world)), dict(await signed(world))
            facts = EscrowFacts(world.community.chain, world.community.contracts.escrow)
            for document in (first, second):
                assert verify_receipt(receipt_from_json(document), facts).passed
            mixed = {**first, "transactions": second["transactions"]}
            failed = failures(verify_receipt(receipt_from_json(mixed), facts))
            assert {"opened", "closed"} <= set(failed)

    asyncio.run(live())


def test_in_a_batch_each_session_is_found_with_its_own_record_and_refund(tmp_path: Path) -> None:
    async def live() -> None:
        async with world_with(tmp_path / "street") as world:
            driver, closings = await world.driver(), []
            for connector_id, energy_wh in ((1, 400), (2, 100)):
                charger_id = charger_id_of(POINT, connector_id)
                view = await world.place(driver, charger_id=charger_id)
                await world.until(view.session_id, SessionState.OPEN)
                session = await asyncio.to_thread(world.runtime.desk._find, view.session_id)
                assert session is not None
                closings.append((session, record_of_session(session, energy_wh)))
            world.clock.pass_s(400)
            tx_hash = await close_together(world, closings)
            facts = EscrowFacts(world.community.chain, world.community.contracts.escrow)
            refunds = []
            for session, record in closings:
                receipt = replace(
                    read(receipt_document()),
                    escrow=world.community.contracts.escrow,
                    order=session.order,
                    open_tx=session.open_tx or Hash32(b""),
                    close_tx=tx_hash,
                )
                closed = facts.of(receipt).closed
                assert isinstance(closed, Closed)
                assert closed.record == record
                assert closed.pushed_micro == (closed.refunded_micro,)
                refunds.append(closed.refunded_micro)
            assert len(set(refunds)) == 2

    asyncio.run(live())


def record_of_session(session: ChargeSession, energy_wh: int) -> ChargeRecord:
    """A record of five minutes: after ten without a charge the service would give all back."""
    assert session.opened_s is not None
    return ChargeRecord(
        session_id=session.session_id,
        start_wh=REGISTER_WH,
        stop_wh=REGISTER_WH + energy_wh,
        started_at_s=session.opened_s,
        stopped_at_s=session.opened_s + 300,
        idle_s=0,
        evidence_hash=Hash32(bytes(32)),
    )


async def close_together(
    world: ChargingWorld, closings: list[tuple[ChargeSession, ChargeRecord]]
) -> Hash32:
    """One `closeMany` of sessions; its transaction."""
    community, separator = world.community, world.runtime.escrow_side.separator
    batch = []
    for session, record in closings:
        charger = world.runtime.book.require(session.order.charger_id)
        signature = charger.record_key.sign_digest(record.digest(separator))
        batch.append((session_words(session), record_words(record), signature))
    intent = community.intent(
        "closeMany",
        escrow.close_many(batch),
        to=community.contracts.escrow,
        at_s=closings[-1][1].stopped_at_s,
        gas=2 * escrow.CLOSE_GAS,
    )
    entry = (await asyncio.to_thread(community.execute, [intent]))[0]
    assert entry.inclusion is not None
    return entry.inclusion.tx_hash


def test_an_address_without_an_escrow_is_said_to_be_one(tmp_path: Path) -> None:
    async def live() -> None:
        async with world_with(tmp_path / "street") as world:
            receipt = receipt_from_json(await unsigned(world))
            chain, contracts = world.community.chain, world.community.contracts
            nowhere = verify_receipt(receipt, EscrowFacts(chain, Address(b"\x01" * 20)))
            assert failures(nowhere) == {"escrow": "escrow: no contract at this address"}
            market = verify_receipt(receipt, EscrowFacts(chain, contracts.registry))
            assert failures(market)["escrow"].startswith("escrow: not a ChargingEscrow")
            assert not verify_receipt(receipt, None).passed

    asyncio.run(live())


# The command.


@contextmanager
def in_directory(path: Path) -> Iterator[tuple[Path, Path]]:
    """A data directory that nobody has open, and a receipt of it."""

    async def live() -> Mapping[str, object]:
        async with world_with(path / "street") as world:
            return await unsigned(world)

    document = asyncio.run(live())
    file = path / "receipt.json"
    file.write_text(json.dumps(document, indent=1), encoding="utf-8")
    yield path / "street", file


def test_the_command_names_every_check_and_prefers_the_directorys_escrow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with in_directory(tmp_path) as (home, file):
        assert run(["verify", str(file), "--data-dir", str(home)]) == 0
        out = capsys.readouterr().out
        assert out.count("ok  ") == 15
        assert "agrees with the chain, escrow 0x" in out.splitlines()[-1]
        assert run(["verify", str(file), "--data-dir", str(home), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["passed"]
        assert document["compared_with_chain"]
        forged = json.loads(file.read_text(encoding="utf-8"))
        forged["escrow"] = checksum_address(b"\x66" * 20)
        file.write_text(json.dumps(forged), encoding="utf-8")
        assert run(["verify", str(file), "--data-dir", str(home)]) == 1
        out = capsys.readouterr().out
        assert "FAIL  escrow\n      escrow: stated 0x6666" in out
        assert run(["verify", str(file), "--data-dir", str(tmp_path / "none")]) == 1


def test_the_command_does_not_pass_what_it_compared_with_no_chain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with in_directory(tmp_path) as (_, file):
        assert run(["verify", str(file), "--data-dir", str(tmp_path / "none")]) == 1
        assert "was not compared with a chain" in capsys.readouterr().out
        file.write_text('{"format": "wattledger.receipt/1"}', encoding="utf-8")
        assert run(["verify", str(file)]) == 1
        assert capsys.readouterr().err.startswith("wattledger: bad_receipt: field=record_signer")
        file.write_text('{"format": "wattledger.receipt/9"}', encoding="utf-8")
        assert run(["verify", str(file)]) == 1
        assert "field=format" in capsys.readouterr().err
