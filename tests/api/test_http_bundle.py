"""The audit bundle over HTTP: an audit accepts it, whole or in part, and finds what is wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.jobs.audit import audit
from api.jobs.audit_report import AuditReport
from api.jobs.community import Community
from api.jobs.evidence import read_bundle
from api.jobs.intake import import_registers
from ledger.units import from_unix_s, to_rfc3339
from tests.api.books_world import LABELS, settle_until, street
from tests.api.community_worlds import (
    DAY_S,
    HEADER,
    HOUR_S,
    START_S,
    community_of,
    document,
    quiet,
)
from tests.api.http_world import World, problem, world_of
from tests.e2e.command_line import Cli, cli  # noqa: F401 (a fixture)

MEMBERS = len(LABELS)


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with street(tmp_path_factory) as community:
        yield community


@pytest.fixture(scope="module")
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


@pytest.fixture(scope="module")
def auditor(world: World) -> dict[str, str]:
    return world.as_(world.auditor)


def day(number: int) -> str:
    return to_rfc3339(from_unix_s(START_S + number * DAY_S))


def bundle_of(world: World, headers: dict[str, str], **query: str) -> dict[str, Any]:
    response = world.client.get("/v1/audit/bundle", headers=headers, params=query)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    assert "bundle.json" in response.headers["content-disposition"]
    found: dict[str, Any] = json.loads(response.text)
    return found


def audited(community: Community, bundle: dict[str, Any], place: Path) -> AuditReport:
    file = place / "bundle.json"
    file.write_text(json.dumps(bundle))
    return audit(community.chain, read_bundle(file), progress=quiet)


def test_an_audit_accepts_what_the_route_gives(
    world: World, community: Community, auditor: dict[str, str], tmp_path: Path
) -> None:
    report = audited(community, bundle_of(world, auditor), tmp_path)
    assert (report.discrepancies, report.remarks) == ([], [])
    assert report.runs == 3
    assert report.statements == 3 * (MEMBERS + 2)
    assert report.readings == community.readings.count()


def test_the_command_accepts_what_the_route_gives(
    world: World,
    community: Community,
    auditor: dict[str, str],
    tmp_path: Path,
    cli: Cli,  # noqa: F811 (the fixture)
) -> None:
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(bundle_of(world, auditor)))
    ran = cli("audit", "--bundle", file, "--data-dir", community.directory.path, "--json")
    assert ran.code == 0, ran.err
    assert (ran.document["verdict"], ran.document["runs"]) == ("ok", 3)


def test_it_is_what_the_command_writes(
    world: World,
    community: Community,
    auditor: dict[str, str],
    tmp_path: Path,
    cli: Cli,  # noqa: F811 (the fixture)
) -> None:
    file = tmp_path / "exported.json"
    ran = cli("audit", "--export", file, "--data-dir", community.directory.path, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(file.read_text()) == bundle_of(world, auditor)


CUTS = [
    ({"from": day(0), "to": day(1)}, 2),
    ({"from": day(1), "to": day(2)}, 1),
    ({"from": day(1)}, 1),
    ({"to": day(1)}, 2),
    ({"from": day(0)}, 3),
    ({"from": day(2)}, 0),
    ({"from": to_rfc3339(from_unix_s(START_S + HOUR_S)), "to": day(2)}, 1),
    ({"from": day(-400), "to": day(-300)}, 0),
]


def test_an_audit_accepts_a_bundle_of_some_periods_and_says_so(
    world: World, community: Community, auditor: dict[str, str], tmp_path: Path
) -> None:
    for query, runs in CUTS:
        bundle = bundle_of(world, auditor, **query)
        report = audited(community, bundle, tmp_path)
        assert report.discrepancies == []
        assert report.runs == runs == len(bundle["runs"])
        (remark,) = report.remarks
        assert remark.where == "bundle"
        assert bundle["from"] in remark.detail
        assert bundle["until"] in remark.detail


def test_a_bundle_of_one_day_has_not_the_readings_of_others(
    world: World, community: Community, auditor: dict[str, str]
) -> None:
    bundle = bundle_of(world, auditor, **{"from": day(1), "to": day(2)})
    taken = {each["taken_at"] for each in bundle["readings"]}
    # The day's own, and one neighbour on each side.
    assert min(taken) == to_rfc3339(from_unix_s(START_S + DAY_S - HOUR_S))
    assert max(taken) == to_rfc3339(from_unix_s(START_S + 2 * DAY_S + HOUR_S))
    assert len(bundle["readings"]) == MEMBERS * 27


@pytest.mark.parametrize(
    "change",
    [
        lambda bundle: bundle["runs"][0]["statements"][3].update(amount_nano="1"),
        lambda bundle: bundle["readings"][30].update(import_wh=1),
        lambda bundle: bundle["readings"].pop(30),
        lambda bundle: bundle["runs"].pop(0),
        lambda bundle: bundle["balances_nano"].__setitem__(2, "1"),
        lambda bundle: bundle.update({"from": day(0)}),
    ],
)
def test_what_is_altered_in_a_bundle_of_some_periods_is_found(
    world: World, community: Community, auditor: dict[str, str], tmp_path: Path, change: Any
) -> None:
    bundle = bundle_of(world, auditor, **{"from": day(1), "to": day(2)})
    change(bundle)
    assert audited(community, bundle, tmp_path).verdict == "failed"


def test_a_stretch_that_ends_before_it_begins_is_refused(
    world: World, auditor: dict[str, str]
) -> None:
    query = {"from": day(2), "to": day(1)}
    response = world.client.get("/v1/audit/bundle", headers=auditor, params=query)
    assert problem(response, 422, "bad_input")["field"] == "from"


def test_runs_that_become_final_after_a_bundle_was_made_are_named_and_left_out(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    with street(tmp_path_factory) as community, world_of(community) as world:
        bundle = bundle_of(world, world.as_(world.auditor))
        settle_until(community, START_S + 7 * DAY_S)
        report = audited(community, bundle, tmp_path)
        assert (report.discrepancies, report.runs) == ([], 3)
        (remark,) = report.remarks
        assert "became final after" in remark.detail


def test_a_bundle_has_the_neighbours_of_a_gap_that_lies_across_its_ends(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """A meter that is read every 31 hours, of which a reading in between comes late."""
    path = tmp_path_factory.mktemp("gaps")
    with community_of(path / "data", document(["rare", "often"])) as community:
        lines = [_line("rare", 31 * place, 5_000 + 9_000 * place, 7_000) for place in range(6)] + [
            _line("often", hour, 5_000 + 300 * hour, 7_000 + 500 * hour) for hour in range(150)
        ]
        _bring(community, path, lines)
        settle_until(community, START_S + 5 * DAY_S)
        _bring(community, path, [_line("rare", 40, 15_000, 7_000)])
        settle_until(community, START_S + 9 * DAY_S)
        with world_of(community) as world:
            headers = world.as_(world.auditor)
            runs = 0
            for number in range(6):
                query = {"from": day(number), "to": day(number + 1)}
                report = audited(community, bundle_of(world, headers, **query), tmp_path)
                assert report.discrepancies == []
                runs += report.runs
            assert runs == len(community.refresh().final_order)
            assert any(run for _, run in community.refresh().final_order)


def _line(label: str, hour: int, import_wh: int, export_wh: int) -> str:
    taken_at = to_rfc3339(from_unix_s(START_S + hour * HOUR_S))
    kwh = [f"{wh // 1000}.{wh % 1000:03d}" for wh in (import_wh, export_wh)]
    return f"{label},{taken_at},{kwh[0]},{kwh[1]}\n"


def _bring(community: Community, path: Path, lines: list[str]) -> None:
    file = path / "readings.csv"
    file.write_text(HEADER + "".join(lines))
    assert import_registers(community, file).accepted == len(lines)
