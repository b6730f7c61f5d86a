"""What the market says over HTTP: figures that agree with each other, for whom they are meant."""

import csv
import io
from collections.abc import Iterator
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from api.jobs.community import Community
from api.jobs.create import account_key
from api.jobs.market.cells import ACCOUNTS_MIN
from api.jobs.statements import statements_of_account, write_statement
from api.jobs.verify import MarketFacts, verify_statement
from ledger.chain.wallet import Wallet
from ledger.json_text import parse_json
from ledger.statement_file import statement_from_json
from ledger.statements import Statement
from ledger.units import from_unix_s, to_rfc3339
from tests.api.books_world import CHANGED, HOURS, LABELS, PROFILES, UNCOVERED, settle_until, street
from tests.api.community_worlds import DAY_S, HOUR_S, START_S
from tests.api.http_world import World, problem, world_of

NOW_HOURS = 69  # That have begun, the running one counted.
SETTLED_HOURS = 48
REVISED = (11, 12)  # Hours beside the noon that was read again.
MEMBERS = range(2, 2 + len(LABELS))


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with street(tmp_path_factory) as community:
        yield community


@pytest.fixture(scope="module")
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


@pytest.fixture(scope="module")
def heads(world: World) -> dict[str, dict[str, str]]:
    """Headers of everybody, signed in once."""
    wallets = {
        "auditor": world.auditor,
        "operator": world.operator,
        "stranger": world.stranger,
        **{f"home-{account}": owner_of(world, account) for account in (0, *MEMBERS)},
    }
    return {"nobody": {}, **{who: world.as_(wallet) for who, wallet in wallets.items()}}


def owner_of(world: World, account: int) -> Wallet:
    return world.community.keys.wallet(account_key(account))


def at(hour: int) -> str:
    return to_rfc3339(from_unix_s(START_S + hour * HOUR_S))


def get(world: World, path: str, headers: dict[str, str], **query: Any) -> Any:
    response = world.client.get("/v1" + path, headers=headers, params=query)
    assert response.status_code == 200, response.text
    return response.json()


def windows(world: World, headers: dict[str, str], **query: Any) -> list[dict[str, Any]]:
    wanted = {"from": at(0), "to": at(72), **query}
    found: list[dict[str, Any]] = get(world, "/windows", headers, **wanted)["items"]
    return found


def stored(community: Community, account: int, period: int, run: int) -> Statement:
    found = {
        (each.period_start_s, each.run): each for each in statements_of_account(community, account)
    }
    return found[START_S + period * DAY_S, run]


# Windows.


def test_windows_of_members_are_the_totals_that_were_settled(
    world: World, community: Community, heads: dict[str, dict[str, str]]
) -> None:
    found = windows(world, heads["home-2"])
    assert [each["start"] for each in found] == [at(hour) for hour in range(NOW_HOURS)]
    for period, run in ((0, 1), (1, 0)):
        statement = stored(community, 2, period, run)
        for place, (total, price) in enumerate(
            zip(statement.totals, statement.prices, strict=True)
        ):
            window = found[24 * period + place]
            assert (window["import_wh"], window["export_wh"], window["traded_wh"]) == (
                total.import_wh,
                total.export_wh,
                total.traded_wh,
            )
            assert window["local_per_kwh"] == price.local_per_kwh
            assert (window["state"], window["run"], window["hidden"]) == ("final", run, False)


def test_windows_that_nobody_settled_yet_are_computed_from_readings_so_far(
    world: World, heads: dict[str, dict[str, str]]
) -> None:
    for hour, window in enumerate(windows(world, heads["home-2"], **{"from": at(48)}), start=48):
        expected_wh = sum(own[hour][0] for own in PROFILES.values()) if hour < HOURS else 0
        assert window["import_wh"] == expected_wh
        assert (window["run"], window["state"]) == (None, "open")
        assert window["complete"] == (hour < HOURS)


@pytest.mark.parametrize("who", ["home-2", "home-8", "auditor"])
def test_members_and_the_auditor_see_every_figure(
    world: World, heads: dict[str, dict[str, str]], who: str
) -> None:
    for window in windows(world, heads[who]):
        assert None not in {window["import_wh"], window["export_wh"], window["traded_wh"]}
        assert not window["hidden"]


@pytest.mark.parametrize("who", ["nobody", "stranger", "operator", "home-0"])
def test_others_see_sums_of_at_least_five_homes_of_which_none_has_over_half(
    world: World, community: Community, heads: dict[str, dict[str, str]], who: str
) -> None:
    every = windows(world, heads["auditor"])
    for hour, window in enumerate(windows(world, heads[who])):
        assert {name: window[name] for name in ("start", "state", "local_per_kwh")} == {
            name: every[hour][name] for name in ("start", "state", "local_per_kwh")
        }
        if hour in REVISED:  # One home's reading was corrected: another sum would tell by how much.
            assert (window["import_wh"], window["hidden"]) == (None, True)
            continue
        by_day = 8 <= hour % 24 < 16
        assert window["import_wh"] == (every[hour]["import_wh"] if hour < HOURS else None)
        # Five homes feed in by day, none with over half; at night nobody does.
        is_open = by_day and hour < SETTLED_HOURS
        assert window["export_wh"] == (every[hour]["export_wh"] if is_open else None)
        assert window["traded_wh"] == (every[hour]["traded_wh"] if is_open else None)
        assert window["hidden"] == (not is_open)
    assert ACCOUNTS_MIN == 5


def test_a_token_that_is_not_good_shows_what_everybody_sees(world: World) -> None:
    answer = get(world, "/windows", {"Authorization": "Bearer nonsense"}, **{"from": at(0)})
    assert answer["full"] is False
    assert any(window["hidden"] for window in answer["items"])


def test_windows_come_in_pages_that_follow_each_other(
    world: World, heads: dict[str, dict[str, str]]
) -> None:
    starts: list[str] = []
    query = {"from": at(1), "to": at(60), "limit": 7}
    while True:
        page = get(world, "/windows", heads["home-2"], **query)
        starts += [each["start"] for each in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert starts == [at(hour) for hour in range(1, 60)]


def test_without_a_stretch_of_time_windows_are_those_of_the_last_day(world: World) -> None:
    found = get(world, "/windows", {})["items"]
    assert [each["start"] for each in found] == [at(hour) for hour in range(44, 68)]


BAD_QUERIES = [
    ({"from": at(5), "to": at(4)}, "from", "is not after"),
    ({"from": "2010-01-01T00:00:00Z", "to": at(4)}, "to", "at most 400 days"),
    ({"from": "2016-06-01"}, "from", "a time looks like"),
    ({"from": "2016-06-01T00:00:00"}, "from", "has an offset or Z"),
    ({"to": "2016-06-01T00:00:00.5Z"}, "to", "in whole seconds"),
    ({"to": "1969-06-01T00:00:00Z"}, "to", "not before 1970"),
]


@pytest.mark.parametrize("path", ["/windows", "/accounts/2/statements.csv"])
def test_a_stretch_of_time_that_is_none_is_refused_with_its_field_and_rule(
    world: World, heads: dict[str, dict[str, str]], path: str
) -> None:
    for query, field, rule in BAD_QUERIES:
        response = world.client.get("/v1" + path, headers=heads["home-2"], params=query)
        found = problem(response, 422, "bad_input")
        assert found["field"] == field
        assert rule in found["detail"]


@pytest.mark.parametrize("path", ["/windows", "/periods", "/accounts/2/statements"])
@pytest.mark.parametrize("query", [{"limit": 0}, {"cursor": "eA=="}, {"cursor": "MTIzNA"}])
def test_a_page_that_is_none_is_refused(
    world: World, heads: dict[str, dict[str, str]], path: str, query: dict[str, Any]
) -> None:
    response = world.client.get("/v1" + path, headers=heads["home-2"], params=query)
    assert problem(response, 422, "bad_input")["field"] == next(iter(query))


def test_a_time_with_another_offset_is_the_same_instant(world: World) -> None:
    local = world.client.get(
        "/v1/windows",
        params={"from": "2016-06-01T02:00:00+02:00", "to": "2016-06-01T03:00:00+02:00"},
    ).json()
    assert [each["start"] for each in local["items"]] == [at(0)]


# Periods.


def test_periods_say_what_the_chain_says(world: World, community: Community) -> None:
    found = get(world, "/periods", {})
    assert [each["start"] for each in found["items"]] == [at(48), at(24), at(0)]
    assert [each["state"] for each in found["items"]] == ["open", "final", "final"]
    history = community.refresh()
    for each, period in zip(reversed(found["items"][1:]), range(2), strict=True):
        for run in each["runs"]:
            on_chain = history.runs[START_S + period * DAY_S, run["run"]]
            assert run["statements_root"] == "0x" + on_chain.statements_root.hex()
            assert run["windows_hash"] == "0x" + on_chain.windows_hash.hex()
            assert run["deltas_root"] == "0x" + on_chain.deltas_root.hex()
            assert run["transactions"] == {
                "propose": "0x" + on_chain.proposal_tx.hex(),
                "finalize": "0x" + (on_chain.final_tx or b"").hex(),
            }
            assert run["gas_used"] > 0
    assert [run["run"] for run in found["items"][2]["runs"]] == [0, 1]
    assert found["items"][0]["runs"] == found["items"][0]["prices"] == []


def test_a_period_shows_its_last_run_or_the_one_that_is_asked_for(world: World) -> None:
    last = get(world, f"/periods/{at(0)}", {})
    first = get(world, f"/periods/{at(0)}", {}, run=0)
    assert (first["run"], last["run"]) == (0, 1)
    assert first["statements_root"] == last["runs"][0]["statements_root"]
    assert last["statements_root"] == last["runs"][1]["statements_root"]
    assert first["statements_root"] != last["statements_root"]
    assert len(first["prices"]) == len(last["prices"]) == 24
    assert get(world, "/periods/2016-06-01T02:00:00%2B02:00", {}) == last


def test_periods_come_in_pages(world: World) -> None:
    page = get(world, "/periods", {}, limit=2)
    assert [each["start"] for each in page["items"]] == [at(48), at(24)]
    rest = get(world, "/periods", {}, limit=2, cursor=page["next"])
    assert [each["start"] for each in rest["items"]] == [at(0)]
    assert rest["next"] is None


@pytest.mark.parametrize("start", [at(-24), at(1), at(72), "2999-06-01T00:00:00Z"])
def test_a_period_that_is_none_or_has_not_begun_is_not_found(world: World, start: str) -> None:
    problem(world.client.get(f"/v1/periods/{start}"), 404, "not_found")


def test_a_run_that_was_never_made_is_not_found(world: World) -> None:
    problem(world.client.get(f"/v1/periods/{at(0)}", params={"run": 2}), 404, "not_found")
    problem(world.client.get(f"/v1/periods/{at(0)}", params={"run": -1}), 422, "bad_input")
    problem(world.client.get("/v1/periods/yesterday"), 422, "bad_input")


# Accounts.


def test_an_account_is_as_the_chain_has_it(
    world: World, community: Community, heads: dict[str, dict[str, str]]
) -> None:
    history = community.refresh()
    for account in MEMBERS:
        found = get(world, f"/accounts/{account}", heads[f"home-{account}"])
        assert found["account"] == account
        assert found["balance_nano"] == str(history.balances_nano[account])
        assert found["cover_nano"] == str(history.cover_nano(account, START_S + 2 * DAY_S))
        assert found["name"] == LABELS[account - 2]
        assert found["next_nonces"] == {"price_limits": "1", "withdrawal": "1"}
        (meter,) = found["meters"]
        assert (meter["label"], meter["class"]) == (LABELS[account - 2], "imported")
        assert meter["last_reading_at"] == at(HOURS)
        assert meter["readings"] == HOURS + 1 + (account == CHANGED)


def test_cover_that_does_not_suffice_is_told_before_and_after_it_is_lost(
    world: World, heads: dict[str, dict[str, str]]
) -> None:
    lost = get(world, f"/accounts/{UNCOVERED}", heads[f"home-{UNCOVERED}"])
    assert (lost["covered"], lost["warning"]) == (False, "cover_lost")
    fine = get(world, "/accounts/8", heads["home-8"])
    assert (fine["covered"], fine["warning"]) == (True, None)
    first_day_wh = sum(import_wh for import_wh, _ in PROFILES["home-8"][:24])
    second_day_wh = sum(import_wh for import_wh, _ in PROFILES["home-8"][24:48])
    assert fine["needed_nano"] == str(max(first_day_wh, second_day_wh) * 300_000)
    assert int(fine["spent_per_day_nano"]) > 0
    assert fine["lasts_days"] == int(fine["cover_nano"]) // int(fine["spent_per_day_nano"])


def test_an_account_that_is_not_there_is_not_found(
    world: World, heads: dict[str, dict[str, str]]
) -> None:
    for path in ("", "/statements", "/statements.csv", f"/statements/{at(0)}"):
        response = world.client.get(f"/v1/accounts/99{path}", headers=heads["stranger"])
        problem(response, 404, "not_found")


# Statements.


@pytest.mark.parametrize("account", [0, 2, CHANGED, UNCOVERED])
def test_a_statement_is_the_file_that_the_command_writes_and_it_verifies(
    world: World,
    community: Community,
    heads: dict[str, dict[str, str]],
    account: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("statements")
    facts = MarketFacts(community.chain, community.contracts.market)
    for statement in statements_of_account(community, account):
        path = write_statement(statement, directory)
        start = to_rfc3339(from_unix_s(statement.period_start_s))
        response = world.client.get(
            f"/v1/accounts/{account}/statements/{start}",
            params={"run": statement.run},
            headers=heads[f"home-{account}"],
        )
        assert response.text == path.read_text()
        assert response.headers["content-type"] == "application/json"
        assert path.name in response.headers["content-disposition"]
        read = statement_from_json(parse_json(response.text))
        assert verify_statement(read, facts).passed


def test_by_default_a_statement_is_of_the_last_run(
    world: World, heads: dict[str, dict[str, str]]
) -> None:
    found = get(world, f"/accounts/{CHANGED}/statements/{at(0)}", heads[f"home-{CHANGED}"])
    assert found["run"] == 1
    assert found["applied_before_nano"] != "0"


@pytest.mark.parametrize(
    ("start", "query"), [(at(48), {}), (at(1), {}), (at(0), {"run": 2}), (at(24), {"run": 1})]
)
def test_a_statement_that_nobody_settled_is_not_found(
    world: World, heads: dict[str, dict[str, str]], start: str, query: dict[str, int]
) -> None:
    url = f"/v1/accounts/2/statements/{start}"
    problem(world.client.get(url, params=query, headers=heads["home-2"]), 404, "not_found")


def test_statements_are_listed_the_latest_first_and_in_pages(
    world: World, community: Community, heads: dict[str, dict[str, str]]
) -> None:
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 1}
    for _ in range(3):
        page = get(world, "/accounts/2/statements", heads["home-2"], **query)
        items += page["items"]
        query["cursor"] = page["next"]
    assert page["next"] is None
    assert [(each["period_start"], each["run"]) for each in items] == [
        (at(24), 0),
        (at(0), 1),
        (at(0), 0),
    ]
    for each, (period, run) in zip(items, [(1, 0), (0, 1), (0, 0)], strict=True):
        statement = stored(community, 2, period, run)
        assert each["amount_nano"] == str(statement.amount_nano)
        assert each["delta_nano"] == str(statement.delta_nano)
        assert each["transaction"] == "0x" + statement.transaction.hex()
        assert statement.meters is not None
        assert each["meters"] == [
            {"meter_id": "0x" + meter.meter_id.hex(), "class": "imported"}
            for meter in statement.meters
        ]


# The same figures everywhere.


def table(world: World, account: int, headers: dict[str, str], **query: str) -> list[Any]:
    response = world.client.get(
        f"/v1/accounts/{account}/statements.csv", headers=headers, params=query
    )
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"].startswith("attachment; filename=")
    return list(csv.DictReader(io.StringIO(response.text)))


@pytest.mark.parametrize("account", [0, 1, 2, CHANGED, UNCOVERED, 8])
def test_table_file_list_and_page_have_the_same_figures(
    world: World, community: Community, heads: dict[str, dict[str, str]], account: int
) -> None:
    lines = table(world, account, heads["auditor"])
    assert [line["start"] for line in lines] == [at(hour) for hour in range(SETTLED_HOURS)]
    service = world.app.state.service
    by_day = service.statements.days(account, date(2016, 6, 1), date(2016, 6, 3), ZoneInfo("UTC"))
    for period, run in ((0, 1), (1, 0)):
        statement = stored(community, account, period, run)
        own = lines[24 * period : 24 * (period + 1)]
        assert {line["period_start"] for line in own} == {at(24 * period)}
        assert {line["run"] for line in own} == {str(run)}
        assert sum(int(line["amount_nano"]) for line in own) == statement.amount_nano
        for line, row, price in zip(own, statement.rows, statement.prices, strict=True):
            for name in ("import_wh", "export_wh", "bought_wh", "sold_wh"):
                assert line[name] == str(getattr(row, name))
            assert line["uncovered"] == ("true" if row.uncovered else "false")
            assert line["estimated"] == ("true" if row.estimated else "false")
            assert line["grid_import_per_kwh"] == str(price.grid_import_per_kwh)
            parts = (int(line[name]) for name in ("sold_nano", "bought_nano"))
            rest = (int(line[name]) for name in ("to_grid_nano", "from_grid_nano"))
            sold, bought = parts
            to_grid, from_grid = rest
            assert int(line["amount_nano"]) == sold - bought + to_grid - from_grid
        sums = by_day[period].sums
        assert sums.amount_nano == statement.amount_nano
        assert sums.saved_nano == sum(int(line["saved_nano"]) for line in own)
        assert (sums.windows, sums.provisional) == (24, 0)
        assert sums.uncovered == (24 if account == UNCOVERED else 0)


def test_what_the_homes_saved_is_what_the_supplier_and_the_grid_did_not_get(
    world: World, heads: dict[str, dict[str, str]]
) -> None:
    """Each traded Wh was worth the grid's margin, of which the local fee was taken."""
    saved = traded = 0
    for account in MEMBERS:
        for line in table(world, account, heads["auditor"]):
            saved += int(line["saved_nano"])
            traded += int(line["bought_wh"])
    assert saved == traded * (300_000 - 20_000 - 80_000)
    assert traded > 0


def test_a_table_has_local_time_beside_utc(
    world: World, heads: dict[str, dict[str, str]], community: Community
) -> None:
    (line,) = table(world, 2, heads["home-2"], **{"from": at(3), "to": at(4)})
    zone = ZoneInfo(community.config.time_zone)
    local = from_unix_s(START_S + 3 * HOUR_S).astimezone(zone).isoformat()
    assert (line["start"], line["start_local"]) == (at(3), local)


def test_what_is_shown_before_a_day_is_settled_is_what_is_settled_then(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with street(tmp_path_factory) as community, world_of(community) as world:
        headers = world.as_(owner_of(world, 2))
        before = windows(world, headers, **{"from": at(48)})
        lines = world.app.state.service.statements.lines(2, START_S + 48 * HOUR_S, 2**40)
        settle_until(community, START_S + 7 * DAY_S)
        after = windows(world, headers, **{"from": at(48)})
        settled = stored(community, 2, 2, 0)
        for early, late in zip(before, after, strict=False):
            assert (late["state"], late["run"]) == ("final", 0)
            for name in ("import_wh", "export_wh", "traded_wh", "local_per_kwh"):
                assert early[name] == late[name]
        assert [line.row for line in lines] == list(settled.rows[: len(lines)])
        assert {line.is_known for line in lines[:6]} == {True}
        assert {line.is_known for line in lines[6:]} == {False}


# Readings.


def test_a_meters_readings_are_all_versions_in_pages(
    world: World, community: Community, heads: dict[str, dict[str, str]]
) -> None:
    (meter,) = get(world, f"/accounts/{CHANGED}", heads["auditor"])["meters"]
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 10}
    while True:
        path = f"/meters/{meter['meter_id']}/readings"
        page = get(world, path, heads[f"home-{CHANGED}"], **query)
        items += page["items"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert len(items) == HOURS + 2
    noon = [each for each in items if each["taken_at"] == at(12)]
    assert [each["version"] for each in noon] == [1, 2]
    assert noon[0]["import_wh"] - noon[1]["import_wh"] == 50
    assert noon[0]["accepted_at"] < noon[1]["accepted_at"]
    assert [each["taken_at"] for each in items] == sorted(each["taken_at"] for each in items)
    hours = get(world, path, heads["auditor"], **{"from": at(3), "to": at(5)})
    assert [each["taken_at"] for each in hours["items"]] == [at(3), at(4)]


def test_a_meter_that_nobody_registered_is_not_found(
    world: World, heads: dict[str, dict[str, str]]
) -> None:
    url = "/v1/meters/0x" + "77" * 32 + "/readings"
    problem(world.client.get(url, headers=heads["auditor"]), 404, "not_found")
    problem(world.client.get(url, headers=heads["home-2"]), 404, "not_found")
    problem(world.client.get("/v1/meters/0x77/readings", headers=heads["home-2"]), 422, "bad_input")
