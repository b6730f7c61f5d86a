"""`/` over a settled street: what a stranger, a driver, a member and the auditor are shown."""

import re
from collections.abc import Iterator

import pytest

from ledger.chain.wallet import Wallet
from tests.api.community_worlds import STREET, community_of, document, settle_all, take
from tests.api.http_world import World, world_of
from tests.api.test_pages import BROWSER

DAY = "/?day=2016-06-01"  # It begins two hours before the period in Berlin.


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three accounts and a day that is settled: too few to be shown to everybody."""
    path = tmp_path_factory.mktemp("now")
    config = document(list(STREET), time_zone="Europe/Berlin")
    with community_of(path / "data", config) as community:
        take(community, STREET)
        settle_all(community)
        with world_of(community) as world:
            yield world


def seen(world: World, path: str = DAY, wallet: Wallet | None = None) -> str:
    headers = BROWSER if wallet is None else {**BROWSER, **world.as_(wallet)}
    response = world.client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    return str(response.text)


def test_members_and_the_auditor_see_sums_that_are_equal_on_both_sides(street: World) -> None:
    for wallet in (street.member, street.auditor):
        page = seen(street, wallet=wallet)
        sums = re.findall(r"([0-9.,]+) \+ ([0-9.,]+) = <strong>([0-9.,]+)</strong>", page)
        assert len(sums) == 2
        assert sums[0][2] == sums[1][2]
        for one, other, whole in sums:
            assert wh(one) + wh(other) == wh(whole)
        assert "hidden: fewer than 5 homes" not in page


def wh(kwh: str) -> int:
    return int(kwh.replace(",", "").replace(".", ""))


def test_a_figure_is_the_same_on_the_page_and_in_the_api(street: World) -> None:
    page = seen(street, wallet=street.member)
    windows = street.client.get(
        "/v1/windows?from=2016-05-31T22:00:00Z&to=2016-06-01T22:00:00Z",
        headers=street.as_(street.member),
    ).json()["items"]
    given_wh = sum(int(window["export_wh"]) for window in windows)
    assert f">{given_wh // 1000:,}.{given_wh % 1000:03d}</td>" in page


@pytest.mark.parametrize("who", [None, "stranger", "driver"])
def test_others_see_the_price_and_that_figures_are_hidden(street: World, who: str | None) -> None:
    page = seen(street, wallet=getattr(street, who) if who else None)
    assert "hidden: fewer than 5 homes" in page
    assert "€0.20" in page
    assert re.findall(r'"(?:given|traded)": [0-9]', page) == []
    assert "data-flow" not in page


def test_a_token_that_is_good_no_more_is_a_strangers(street: World) -> None:
    page = street.client.get(DAY, headers={**BROWSER, "Authorization": "Bearer nothing"})
    assert page.status_code == 200
    assert "hidden: fewer than 5 homes" in page.text


def test_settlements_are_shown_with_their_state_and_transaction(street: World) -> None:
    page = seen(street)
    period = street.client.get("/v1/periods/2016-06-01T00:00:00Z").json()
    assert 'href="/v1/periods/2016-06-01T00:00:00Z"' in page
    assert f'title="{period["runs"][-1]["transactions"]["finalize"]}"' in page
    assert '<span class="badge is-final">settled</span>' in page


def test_without_a_day_the_last_24_hours_are_shown(street: World) -> None:
    page = seen(street, "/", wallet=street.member)
    assert "In the last 24 hours" in page
    assert page.count('<tr>\n      <th scope="row"><time') == 24


@pytest.mark.parametrize(("day", "hours"), [("2016-06-01", 22), ("2016-06-02", 2)])
def test_a_day_is_the_local_one(street: World, day: str, hours: int) -> None:
    page = seen(street, f"/?day={day}", wallet=street.member)
    assert page.count('<tr>\n      <th scope="row"><time') == hours


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "9999-12-31", "2016-05-01"])
def test_a_day_without_anything_says_so(street: World, day: str) -> None:
    assert "Nothing was measured here on" in seen(street, f"/?day={day}", wallet=street.member)


@pytest.mark.parametrize("day", ["yesterday", "2016-13-01", "", "9" * 400])
def test_a_day_that_is_none_is_refused_on_a_page(street: World, day: str) -> None:
    response = street.client.get(f"/?day={day}", headers=BROWSER)
    assert response.status_code == 422
    assert response.headers["content-type"].startswith("text/html")
