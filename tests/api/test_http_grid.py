"""What a grid operator watches over: exceptions, meters, tables, and audits on demand."""

import csv
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.cli.audit import run_audit
from api.cli.context import Options
from api.grid_csv import safe_text
from api.jobs.community import Community, open_community
from api.jobs.oversight.audits import DIED, RESTARTED, AuditDesk
from api.jobs.oversight.audits_store import AuditState, AuditStore
from api.jobs.oversight.meters import MeterHealth, boundaries_between, watch_meters
from ledger.units import Address, from_unix_s
from tests.api.http_world import World, community_in, problem, world_of

SOMEBODY = Address(b"\x11" * 20)
ENDS_WITHIN_S = 60


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with community_in(tmp_path_factory.mktemp("grid")) as community:
        yield community


@pytest.fixture
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


def get(world: World, path: str, **query: Any) -> Any:
    response = world.client.get(path, headers=world.as_(world.auditor), params=query)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_overview_counts_what_is_there(world: World) -> None:
    overview = get(world, "/v1/grid")
    assert overview["accounts"] == 2
    assert sum(overview["meters"].values()) == len(world.community.book().meters())
    assert overview["charge_points"] == 2
    assert overview["periods_final"] == 0
    assert overview["gas_used"] is None


def test_what_the_service_says_of_itself_is_an_alarm(world: World) -> None:
    world.problems.append("settlement: account 0 lacks 5 tokens")
    alarm = get(world, "/v1/grid")["alarms"][0]
    assert (alarm["code"], alarm["view"]) == ("service_problem", "service")
    assert alarm["detail"] == "settlement: account 0 lacks 5 tokens"


def test_meters_come_in_pages_and_each_of_them_once(world: World) -> None:
    everything = get(world, "/v1/grid/meters")["items"]
    found, cursor = [], None
    while True:
        query = {"limit": 1} if cursor is None else {"limit": 1, "cursor": cursor}
        page = get(world, "/v1/grid/meters", **query)
        found += page["items"]
        if (cursor := page["next"]) is None:
            break
    assert found == everything


def test_a_filter_shows_what_it_says_and_the_table_the_same(world: World) -> None:
    everything = get(world, "/v1/grid/meters")["items"]
    for state in MeterHealth:
        wanted = [each["meter_id"] for each in everything if each["state"] == state.value]
        found = get(world, "/v1/grid/meters", state=state.value)["items"]
        assert [each["meter_id"] for each in found] == wanted
        response = world.client.get(
            "/v1/grid/meters.csv", headers=world.as_(world.auditor), params={"state": state.value}
        )
        rows = csv.DictReader(io.StringIO(response.text))
        assert [row["meter_id"] for row in rows] == wanted


def test_text_of_a_persons_choice_is_no_formula_in_a_spreadsheet() -> None:
    assert safe_text('=HYPERLINK("x")') == '\'=HYPERLINK("x")'
    assert safe_text("roof") == "roof"


def test_an_unknown_state_is_refused_by_name(world: World) -> None:
    response = world.client.get(
        "/v1/grid/meters", headers=world.as_(world.auditor), params={"state": "asleep"}
    )
    assert problem(response, 422, "bad_input")["errors"][0]["field"] == "state"


def test_an_audit_on_demand_says_what_the_command_says(world: World) -> None:
    headers = world.as_(world.auditor)
    response = world.client.post("/v1/grid/audits", headers=headers)
    assert response.status_code == 202, response.text
    again = world.client.post("/v1/grid/audits", headers=headers)
    audit_id = response.json()["id"]
    assert again.json()["id"] == audit_id  # One at a time.
    audit = ended(world, audit_id)
    assert audit["state"] == "ended", audit
    by_command = run_audit(
        Options(data_dir=world.community.directory.path, as_json=True), None, None, None
    )
    assert audit["report"] == by_command.document
    assert audit["verdict"] == "ok"
    assert get(world, "/v1/grid/audits")["items"][0] == audit


def ended(world: World, audit_id: int) -> Any:
    for _ in range(ENDS_WITHIN_S * 10):
        audit = get(world, f"/v1/grid/audits/{audit_id}")
        if audit["state"] != "running":
            return audit
        time.sleep(0.1)
    pytest.fail("the audit does not end")


def test_an_audit_that_is_not_there_is_not_found(world: World) -> None:
    response = world.client.get("/v1/grid/audits/99999", headers=world.as_(world.auditor))
    problem(response, 404, "not_found")


def test_an_audit_that_a_restart_cut_off_says_so(community: Community) -> None:
    store = AuditStore(community.engine)
    record = store.begin(SOMEBODY, now_at=from_unix_s(1_000))
    store.interrupt_all(RESTARTED, now_at=from_unix_s(2_000))
    found = store.find(record.audit_id)
    assert found is not None
    assert (found.state, found.reason) == (AuditState.INTERRUPTED, RESTARTED)


def test_an_audit_whose_process_dies_says_nothing_of_the_community(
    community: Community, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.jobs.oversight.audits.audit_in_child", die)
    desk = AuditDesk(community, community.system_now)
    record = desk.start(SOMEBODY)
    assert desk._thread is not None
    desk._thread.join(ENDS_WITHIN_S)
    found = desk.require(record.audit_id)
    assert (found.state, found.reason, found.report) == (AuditState.INTERRUPTED, DIED, None)


def die(_path: Path, _pipe: object) -> None:
    raise SystemExit(1)


@pytest.mark.parametrize(
    ("from_s", "until_s", "count"),
    [(0, 0, 1), (0, 899, 1), (0, 900, 2), (1, 899, 0), (1, 900, 1), (900, 0, 0)],
)
def test_boundaries_are_counted_with_both_ends(from_s: int, until_s: int, count: int) -> None:
    assert boundaries_between(from_unix_s(from_s), from_unix_s(until_s), 900) == count


def test_a_meter_that_was_never_heard_is_told_from_one_that_has_yet_to_begin(
    community: Community,
) -> None:
    began_at = min(
        term.valid_from
        for meter_id in community.book().meters()
        for term in community.book().terms_of_meter(meter_id)
    )
    window = timedelta(seconds=community.schedule.window_s)

    def found(now_at: datetime) -> set[MeterHealth]:
        return {each.health for each in watch_meters(community, now_at)}

    assert found(began_at - window) == {MeterHealth.TO_COME}
    assert found(began_at + window) == {MeterHealth.OK}
    assert found(began_at + 3 * window) == {MeterHealth.NEVER}
    assert found(datetime(2030, 1, 1, tzinfo=UTC)) == {MeterHealth.NEVER}


def test_a_directory_that_is_read_only_is_audited_all_the_same(community: Community) -> None:
    with open_community(community.directory.path, read_only=True) as beside:
        assert watch_meters(beside, from_unix_s(community.now_s()))


def test_an_audit_that_is_asked_for_again_with_its_key_is_the_same_one(world: World) -> None:
    headers = world.as_(world.auditor) | {"Idempotency-Key": '"audit-1"'}
    first = world.client.post("/v1/grid/audits", headers=headers)
    assert first.status_code == 202
    ended(world, first.json()["id"])
    again = world.client.post("/v1/grid/audits", headers=headers)
    assert (again.status_code, again.content) == (202, first.content)
