"""Open data: what everybody may see and nothing else, with a catalogue that is true."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest

from api.jobs.community import Community
from api.jobs.statements import statements_of_account
from ledger.units import from_unix_s, to_rfc3339
from tests.api.books_world import LABELS, street
from tests.api.community_worlds import DAY_S, HOUR_S, START_S
from tests.api.http_world import World, community_in, problem, world_of

SUMS = ("import_wh", "export_wh", "traded_wh")
ROWS = {
    "import_wh": ["import_wh"],
    "export_wh": ["export_wh"],
    "traded_wh": ["bought_wh", "sold_wh"],
}


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with street(tmp_path_factory) as community:
        yield community


@pytest.fixture(scope="module")
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


def at(hour: int) -> str:
    return to_rfc3339(from_unix_s(START_S + hour * HOUR_S))


def table(world: World, **query: str) -> list[dict[str, str]]:
    response = world.client.get("/v1/open-data/windows.csv", params=query)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.text)))


def test_every_window_of_a_final_period_is_there_and_no_other(world: World) -> None:
    assert [line["start"] for line in table(world)] == [at(hour) for hour in range(48)]
    assert {line["run"] for line in table(world, to=at(24))} == {"1"}
    assert len(table(world, **{"from": at(20), "to": at(30)})) == 10
    assert table(world, **{"from": at(48)}) == []
    assert table(world, to=at(-1)) == []


def may_show(energies_wh: list[int]) -> bool:
    return sum(wh > 0 for wh in energies_wh) >= 5 and 2 * max(energies_wh) <= sum(energies_wh)


def test_a_sum_is_there_exactly_if_five_homes_of_which_none_has_over_half_are_behind_it(
    world: World, community: Community
) -> None:
    """And behind what a revision changed in it, if it did."""
    homes = [
        {
            (each.period_start_s, each.run): each.rows
            for each in statements_of_account(community, 2 + place)
        }
        for place in range(len(LABELS))
    ]
    shown = hidden = revised = 0
    for hour, line in enumerate(table(world)):
        period_start_s, window = START_S + hour // 24 * DAY_S, hour % 24
        for name in SUMS:
            columns = {
                (part, run): [getattr(own[period_start_s, run][window], part) for own in homes]
                for part in ROWS[name]
                for run in range(int(line["run"]) + 1)
            }
            last = {part: columns[part, int(line["run"])] for part in ROWS[name]}
            may = all(map(may_show, last.values()))
            if line["run"] == "1" and all(may_show(columns[part, 0]) for part in ROWS[name]):
                for part in ROWS[name]:
                    pairs = zip(columns[part, 0], last[part], strict=True)
                    changes = [abs(new - old) for old, new in pairs]
                    may &= not any(changes) or may_show(changes)
                    revised += any(changes)
            assert line[name] == (str(sum(last[ROWS[name][0]])) if may else "")
            shown, hidden = shown + may, hidden + (not may)
    assert min(shown, hidden) > 50
    assert revised >= 2


def test_the_catalogue_says_by_whom_under_which_licence_and_rule_and_for_which_time(
    world: World, community: Community
) -> None:
    response = world.client.get("/v1/open-data/catalog.jsonld")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/ld+json"
    document: dict[str, Any] = response.json()
    assert document["@type"] == "dcat:Catalog"
    assert document["@context"]["dcat"] == "http://www.w3.org/ns/dcat#"
    (dataset,) = document["dcat:dataset"]
    (distribution,) = dataset["dcat:distribution"]
    assert dataset["dct:publisher"]["foaf:name"] == community.config.grid_operator.name
    assert distribution["dct:license"] == {"@id": community.config.open_data_licence}
    assert "at least 5 accounts" in dataset["dct:description"]["@value"]
    assert "none with over half" in dataset["dct:description"]["@value"]
    assert dataset["dct:temporal"]["dcat:startDate"]["@value"] == at(0)
    assert dataset["dct:temporal"]["dcat:endDate"]["@value"] == at(48)
    assert dataset["dcat:temporalResolution"]["@value"] == "PT3600S"
    # What a harvester needs of DCAT-AP 3: title, description, publisher; access, format, licence.
    for part in (document, dataset):
        assert {"dct:title", "dct:description", "dct:publisher"} <= part.keys()
    found = world.client.get(distribution["dcat:downloadURL"]["@id"])
    assert found.status_code == 200
    assert found.text.startswith("start,end,")


def test_a_stretch_of_time_that_is_none_is_refused(world: World) -> None:
    url = "/v1/open-data/windows.csv"
    bad = world.client.get(url, params={"from": at(2), "to": at(1)})
    assert problem(bad, 422, "bad_input")["field"] == "from"
    problem(world.client.get(url, params={"from": "June"}), 422, "bad_input")


def test_before_anything_is_settled_there_is_a_table_without_lines(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with community_in(tmp_path_factory.mktemp("new")) as community, world_of(community) as world:
        assert table(world) == []
        (dataset,) = world.client.get("/v1/open-data/catalog.jsonld").json()["dcat:dataset"]
        assert dataset["dct:temporal"]["dcat:endDate"]["@value"] == at(0)
