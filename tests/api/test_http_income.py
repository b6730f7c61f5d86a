"""What hosts are told of their chargers' income over HTTP."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest

from api.charges_csv import COLUMNS
from api.jobs.community import Community
from charging.orders import charger_id_of
from ledger.keccak import checksum_address
from tests.api.http_world import World, community_in, problem, world_of


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with community_in(tmp_path_factory.mktemp("income")) as opened:
        yield opened


@pytest.fixture
def world(community: Community) -> Iterator[World]:
    with world_of(community) as opened:
        yield opened


def charged(world: World, energy_wh: int, **order: Any) -> str:
    session_id = world.place(**order)
    world.change("charge", session_id, energy_wh)
    world.change("close", session_id)
    return session_id


def test_a_host_sees_what_each_charger_took_in(world: World) -> None:
    charged(world, 10_000)
    charged(world, 2_000)
    charged(world, 1_000, charger_id=charger_id_of("CP1", 2))
    charged(world, 9_000, charger_id=charger_id_of("CP2", 1))  # Of another host.
    world.place()  # Has not ended.
    income = world.client.get("/v1/income", headers=world.as_(world.host)).json()
    first, second = 2 * 500_000 + 12_000 * 390, 500_000 + 390_000
    assert income == {
        "sessions": 3,
        "energy_wh": 13_000,
        "paid_micro": str(first + second),
        "credit_micro": "0",
        "claimable_micro": "0",
        "chargers": [
            {
                "charge_point_id": "CP1",
                "connector_id": connector_id,
                "sessions": sessions,
                "energy_wh": energy_wh,
                "paid_micro": str(paid_micro),
                "credit_micro": "0",
            }
            for connector_id, sessions, energy_wh, paid_micro in (
                (1, 2, 12_000, first),
                (2, 1, 1_000, second),
            )
        ],
    }


def test_who_has_no_chargers_has_no_income_and_a_stranger_must_sign_in(world: World) -> None:
    charged(world, 10_000)
    income = world.client.get("/v1/income", headers=world.as_(world.driver)).json()
    assert (income["sessions"], income["chargers"]) == (0, [])
    for path in ("/v1/income", "/v1/income.csv"):
        problem(world.client.get(path), 401, "not_authenticated")


def test_income_is_of_the_time_that_is_asked_for(world: World) -> None:
    charged(world, 10_000)
    headers = world.as_(world.host)

    def sessions(query: str) -> int:
        return int(world.client.get(f"/v1/income?{query}", headers=headers).json()["sessions"])

    assert sessions("from=2026-11-25T12:00:00Z&to=2026-11-25T12:00:01Z") == 1
    assert sessions("to=2026-11-25T12:00:00Z") == 0
    assert sessions("from=2026-11-25T12:00:01Z") == 0
    problem(world.client.get("/v1/income?from=today", headers=headers), 422, "bad_input")


def test_a_table_has_a_line_for_each_charge_and_no_word_of_who_drove(world: World) -> None:
    ids = [charged(world, 10_000), charged(world, 2_000)]
    answer = world.client.get("/v1/income.csv", headers=world.as_(world.host))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="charges.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert tuple(rows[0]) == COLUMNS
    assert [row["session_id"] for row in rows] == ids[::-1]
    assert [int(row["energy_wh"]) for row in rows] == [2_000, 10_000]
    assert int(rows[0]["paid_micro"]) == 500_000 + 2_000 * 390
    assert int(rows[0]["vat_micro"]) == 1_280_000 * 1_900 // 11_900
    assert world.driver.address.hex() not in answer.text.lower()
    mine = world.client.get("/v1/income.csv", headers=world.as_(world.driver))
    assert mine.text.splitlines() == [",".join(COLUMNS)]


def test_a_driver_finds_at_home_what_could_not_be_sent_to_them(world: World) -> None:
    headers = {**world.as_(world.driver), "Accept": "text/html", "Accept-Language": "fr"}
    assert 'id="charged"' not in world.client.get("/home", headers=headers).text
    world.desk.claimable_micro[world.driver.address] = 750_000
    page = world.client.get("/home", headers=headers).text
    assert "0,75\N{NO-BREAK SPACE}€ n’ont pas pu être envoyés à votre adresse" in page
    assert '<data id="payable" value="750000">' in page
    assert checksum_address(world.driver.address) in page
    assert ">Verser</button>" in page
    assert "/v1/income.csv" not in page  # There is no charger.
