"""Personal data that are erased are gone, and nothing else is: money, proofs and audit hold."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from api.errors import BadInput, Erased
from api.jobs.audit import AuditReport
from api.jobs.audit_directory import audit_directory
from api.jobs.bundle import write_bundle
from api.jobs.community import Community
from api.jobs.create import account_key, meter_key
from api.jobs.evidence import read_bundle
from api.jobs.forgetting.erasures_store import erasures
from api.jobs.forgetting.forget import (
    forget_account,
    forget_application,
    forget_driver,
    forget_older,
)
from api.jobs.forgetting.names import nameless
from api.jobs.intake import import_registers
from api.jobs.market.desks import market_desks
from api.jobs.people.applications import ApplicationState, Person
from api.jobs.people.names import Names
from api.jobs.people.people_store import PeopleStore
from api.jobs.settle import SettlementLoop
from api.jobs.statements import statements_of_account, statements_of_run
from api.jobs.verify import MarketFacts, verify_statement
from charging.desk import SessionState
from ledger.chain import market_calls
from ledger.chain import registry as registry_calls
from ledger.chain.embedded import EmbeddedChain
from ledger.keccak import domain_separator, keccak256, typed_digest
from ledger.units import AccountId, from_unix_s
from tests.api.community_worlds import (
    DAY_S,
    HEADER,
    START_S,
    STREET,
    _line,
    audit,
    community_of,
    document,
    quiet,
    settle_all,
    take,
)
from tests.charging_world import charging_world

DAYS = 3
LEAVER, STAYER = AccountId(2), AccountId(3)
NAMES = ("Anna Vogel", "Bert Falke", "Cleo Star")
LABELS = dict(zip(NAMES, STREET, strict=True))


def street_of(days: int) -> dict[str, list[tuple[int, int]]]:
    return {name: list(STREET[label]) * days for name, label in LABELS.items()}


@contextmanager
def settled(path: Path, *, leaver: AccountId | None = None) -> Iterator[Community]:
    """Three named homes, three settled days; one of them may leave after the last one."""
    with community_of(path / "data", document(NAMES)) as community:
        take(community, street_of(DAYS))
        if leaver is not None:
            before_s = START_S + DAYS * DAY_S - 1
            assert len(list(SettlementLoop(community, until_s=before_s).run())) == DAYS - 1
            end_meter(community, leaver)
        settle_all(community)
        if leaver is not None:
            pay_out(community, leaver)
        yield community


def audited(community: Community) -> AuditReport:
    report = audit_directory(community, community.chain, progress=quiet)
    assert [f"{each.where}: {each.detail}" for each in report.discrepancies] == []
    return report


def meter_of(community: Community, account: AccountId) -> bytes:
    [term] = community.book().terms_of_account(account)
    return term.meter_id


def end_meter(community: Community, account: AccountId) -> None:
    """Ends an account's meter with the last day."""
    end_s = START_S + DAYS * DAY_S
    data = registry_calls.end(meter_id=meter_of(community, account), valid_until_s=end_s)
    registry = community.contracts.registry
    community.execute([community.intent("end", data, to=registry, role="registrar")])


def pay_out(community: Community, account: AccountId) -> None:
    """Withdraws all that an account has."""
    balance_nano = community.refresh().balances_nano[account]
    values = (account, balance_nano // 1_000, 1)
    spelled = b"Withdrawal(uint32 account,uint64 amountMicro,uint256 nonce)"
    words = b"".join(value.to_bytes(32) for value in values)
    market = community.contracts.market
    digest = typed_digest(
        domain_separator(community.config.chain.chain_id, market),
        keccak256(keccak256(spelled) + words),
    )
    signature = community.keys.wallet(account_key(account)).sign_digest(digest)
    asked = market_calls.request_withdrawal_by_sig(
        account=account, amount_micro=values[1], nonce=1, signature=signature
    )
    community.execute([community.intent("ask", asked, to=market)])
    chain = community.chain
    assert isinstance(chain, EmbeddedChain)
    delay_s = community.rules.withdrawal_delay_s
    chain.set_next_timestamp(from_unix_s(chain.head().timestamp_s + delay_s + 1))
    paid = market_calls.withdraw(account)
    community.execute([community.intent("pay", paid, to=market)])
    assert community.refresh().balances_nano[account] < 1_000


def files_holding(home: Path, *words: str) -> list[str]:
    return [
        path.name
        for path in sorted(home.rglob("*"))
        if path.is_file()
        for word in words
        if word.encode() in path.read_bytes()
    ]


# At once.


def test_a_member_who_stays_loses_their_name_at_once_and_nothing_of_their_money(
    tmp_path: Path,
) -> None:
    with settled(tmp_path) as community:
        Names(community).change(LEAVER, name="Anna V.", contact="anna@example.org", show_name=True)
        before, count = community.refresh().balances_nano, community.readings.count()
        done = forget_account(community, LEAVER)
        assert (done.names, done.labels, done.readings, done.statements) == (1, 1, 0, 0)
        assert [reason.split(":")[0].split(" of")[0] for reason in done.kept_because] == [
            "meters that still run under it",
            "it has a balance",
        ]
        assert Names(community).name(LEAVER) is None
        assert Names(community).name(STAYER) == NAMES[1]
        label = nameless(meter_of(community, LEAVER))
        assert label in {each.label for each in community.readings.meters()}
        assert community.keys.wallet(meter_key(label)) is not None
        assert community.refresh().balances_nano == before
        assert community.readings.count() == count
        assert audited(community).remarks == []
        # Readings of the meter still come in, under its new name.
        last_s = START_S + (DAYS + 1) * DAY_S
        file = tmp_path / "more.csv"
        file.write_text(HEADER + _line(label, last_s, 10**6, 7_000))
        assert import_registers(community, file).accepted == 1
        again = forget_account(community, LEAVER)
        assert (again.names, again.labels) == (0, 0)


def test_nobody_can_forget_the_supplier_or_somebody_who_is_not_there(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(NAMES)) as community:
        for account in (0, 1, 9):
            with pytest.raises(BadInput, match="no member"):
                forget_account(community, AccountId(account))
        with pytest.raises(BadInput, match="no such application"):
            forget_application(community, 7)


def test_an_applicants_words_are_erased(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(NAMES)) as community:
        address, now_at = community.keys.wallet("importer").address, community.system_now()
        with community.engine.begin() as connection:
            person = Person(name="Dora Adler", contact="dora@example.org", note="roof to the south")
            number = (
                PeopleStore()
                .apply(connection, address, person, at=now_at)  # type: ignore[arg-type]
                .application_id
            )
            refused = PeopleStore().decide(
                connection, number, ApplicationState.REFUSED, reason="Dora moved"
            )
        assert refused.reason == "Dora moved"
        assert forget_application(community, number).names == 1
        with community.engine.begin() as connection:
            rows = connection.execute(text("SELECT name, contact, note FROM person")).all()
            reasons = connection.execute(text("SELECT reason FROM application")).scalars().all()
        assert [tuple(row) for row in rows] == [("", "", "")]
        assert reasons == [""]


# Once nothing needs them.


def test_a_member_who_left_is_erased_and_everybody_elses_statements_still_prove_themselves(
    tmp_path: Path,
) -> None:
    with settled(tmp_path, leaver=LEAVER) as community:
        meter_id = meter_of(community, LEAVER)
        balances = community.refresh().balances_nano
        done = forget_account(community, LEAVER)
        assert (done.readings, done.statements, done.kept_because) == (DAYS * 24 + 1, DAYS, ())
        assert meter_id not in community.readings.known_stretches()
        report = audited(community)
        assert (report.verdict, report.runs) == ("ok", DAYS)
        assert len(report.remarks) == DAYS
        assert all("account 2 were erased" in each.detail for each in report.remarks)
        assert community.refresh().balances_nano == balances
        facts = MarketFacts(community.chain, community.contracts.market)
        assert list(statements_of_account(community, LEAVER)) == []
        others = list(statements_of_account(community, STAYER))
        assert len(others) == DAYS
        for statement in others:
            assert verify_statement(statement, facts).passed
        [first, *_] = community.settlements.runs()
        with pytest.raises(Erased):
            list(statements_of_run(community, community.book(), first))


def test_nothing_that_was_erased_is_settled_again(tmp_path: Path) -> None:
    with settled(tmp_path, leaver=LEAVER) as community:
        forget_account(community, LEAVER)
        # A better reading of somebody else's comes in for a day of which half is gone.
        file = tmp_path / "late.csv"
        at_s = START_S + DAY_S // 2
        known = STREET["seller"]
        export_wh = 7_000 + sum(fed for _, fed in known[:12])
        file.write_text(HEADER + _line(NAMES[1], at_s, 5_000, export_wh + 1))
        assert import_registers(community, file).accepted == 1
        assert list(SettlementLoop(community).run()) == []
        assert audited(community).verdict == "ok"


def test_pages_and_lists_go_on_without_what_was_erased(tmp_path: Path) -> None:
    async def look(community: Community) -> None:
        async with market_desks(community) as books:
            windows = books.windows.windows(START_S, START_S + DAY_S)
            assert len(windows) == 24
            assert not any(each.imported.is_open or each.traded.is_open for each in windows)
            assert list(books.statements.lines(LEAVER, START_S, START_S + DAY_S)) == []
            own = books.statements.lines(STAYER, START_S, START_S + DAY_S)
            assert len(own) == 24

    with settled(tmp_path, leaver=LEAVER) as community:
        forget_account(community, LEAVER)
        asyncio.run(look(community))


def test_what_is_older_than_the_retention_goes_and_what_follows_is_derived_as_before(
    tmp_path: Path,
) -> None:
    with settled(tmp_path) as community:
        count = community.readings.count()
        days = (community.now_s() - START_S) // DAY_S - 2  # Two of the three days are too old.
        done = forget_older(community, days)
        assert done.statements == 2 * 5
        assert done.readings == 3 * 2 * 24  # The boundary's own reading stays.
        assert community.readings.count() == count - done.readings
        [erasure] = erasures(community.engine)
        assert (erasure.account, erasure.until_s) == (None, START_S + 2 * DAY_S)
        report = audited(community)
        assert (report.runs, report.statements, len(report.remarks)) == (DAYS, 5, 2)
        assert forget_older(community, days).readings == 0
        assert forget_older(community, 10_000).readings == 0
        # Nothing that is not settled yet is erased, however old it is.
        assert forget_older(community, 0).statements == 5
        assert audited(community).verdict == "ok"


def test_a_bundle_says_what_was_erased_and_an_auditor_finds_nothing_wrong(tmp_path: Path) -> None:
    with settled(tmp_path) as community:
        forget_older(community, (community.now_s() - START_S) // DAY_S - 2)
        write_bundle(community, tmp_path / "bundle.json")
        evidence = read_bundle(tmp_path / "bundle.json")
        assert list(evidence.erasures) == list(erasures(community.engine))
        report = audit(community.chain, evidence, progress=quiet)
        assert (report.verdict, len(report.remarks)) == ("ok", 2)


def test_erasing_hides_no_change_of_what_is_left(tmp_path: Path) -> None:
    with settled(tmp_path) as community:
        forget_older(community, (community.now_s() - START_S) // DAY_S - 2)
        with community.engine.begin() as connection:
            connection.execute(
                text("UPDATE reading SET import_wh = import_wh + 1 WHERE taken_s = :at"),
                {"at": START_S + 2 * DAY_S + DAY_S // 2},
            )
        report = audit_directory(community, community.chain, progress=quiet)
        assert report.verdict == "failed"


# Charges.


async def charged(path: Path) -> None:
    async with charging_world(path) as world:
        driver = await world.driver()
        view, transaction_id = await world.begun(driver)
        world.clock.pass_s(1_800)
        under_way = forget_driver(world.community, driver.address)
        assert (under_way.sessions, len(under_way.kept_because)) == (0, 1)
        await world.stops(transaction_id, 910_000 + 5_000)
        view = await world.settled(view.session_id)
        assert view.state is SessionState.CLOSED
        receipt = await world.runtime.desk.receipt(view.session_id)
        assert receipt["energy_wh"] == 5_000
        done = await asyncio.to_thread(forget_driver, world.community, driver.address)
        assert (done.sessions, done.kept_because) == (1, ())
        session = await world.session(view)
        assert session.is_erased
        assert session.record is not None
        with world.community.engine.begin() as connection:
            for table in ("charge_event", "charge_transaction", "charge_session"):
                rows = connection.execute(text(f"SELECT * FROM {table}")).mappings().all()
                tokens = [row["id_token"] for row in rows if "id_token" in row]
                assert all(token.startswith("erased:") for token in tokens)
            of_charge = "SELECT count(*) FROM charge_event WHERE transaction_no IS NOT NULL"
            assert connection.execute(text(of_charge)).scalar_one() == 0
        with pytest.raises(Erased):
            await world.runtime.desk.receipt(view.session_id)
        report = await asyncio.to_thread(
            audit_directory, world.community, world.chain.inner, progress=quiet
        )
        assert report.discrepancies == []
        assert any("was erased" in each.detail for each in report.remarks)
        assert report.charging.sessions == 1


def test_how_a_charge_went_is_erased_once_it_has_ended_and_what_was_paid_stays(
    tmp_path: Path,
) -> None:
    asyncio.run(charged(tmp_path / "street"))
