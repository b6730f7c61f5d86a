"""Every route with every kind of caller, from the API's own description: none can be forgotten."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api import routers
from api.app import create_app
from api.deps import Access
from api.jobs.community import Community
from api.sign_in import TOKEN_S
from charging.orders import SessionId, TopUp, charger_id_of
from ledger.keccak import domain_separator
from ledger.market_messages import PriceLimits
from ledger.units import AccountId, from_unix_s, to_rfc3339
from tests.api.community_worlds import START_S
from tests.api.http_world import World, community_in, problem, world_of

MODULES = [import_module(f"api.routers.{each.name}") for each in iter_modules(routers.__path__)]
# OCPP is spoken over websockets; pages are for people.
HTTP_ROUTERS = [
    each for each in MODULES if hasattr(each, "router") and not each.__name__.endswith("ocpp")
]
ALL = {
    "nobody",
    "driver",
    "stranger",
    "host",
    "other_host",
    "member",
    "other_member",
    "operator",
    "auditor",
    "expired",
    "tampered",
}
NOT_SIGNED_IN = {"nobody", "expired", "tampered"}
SIGNED_IN = ALL - NOT_SIGNED_IN
READERS = {"driver", "host", "auditor"}
OVERSEERS = {"auditor", "operator"}
ACCOUNT_READERS = {"member", "operator", "auditor"}
BOOK_READERS = {"member", "auditor"}

Request = Callable[["Scene"], dict[str, Any]]


class Scene:
    """A live session and an ended one, both at the first host's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.live = world.place(charger_id=charger_id_of("CP1", 1))
        self.ended = world.place(charger_id=charger_id_of("CP1", 2))
        world.change("charge", self.ended, 11_700)
        world.change("close", self.ended)
        self.relay_id = self.relayed()
        (term,) = world.community.book().terms_of_account(AccountId(2))
        self.meter_id = term.meter_id  # The member's.

    def relayed(self) -> str:
        """Limits of the member's, on their way."""
        account = 2
        limits = PriceLimits(
            account=account, valid_from_s=0, max_buy_per_kwh=1, min_sell_per_kwh=0, nonce=1
        )
        community = self.world.community
        domain = domain_separator(community.chain.chain_id, community.contracts.market)
        digest = limits.digest(domain)
        body = {
            "limits": {
                "account": account,
                "validFrom": 0,
                "maxBuyPerKwh": 1,
                "minSellPerKwh": 0,
                "nonce": 1,
            },
            "signature": "0x" + self.world.member.sign_digest(digest).hex(),
        }
        response = self.world.client.put(f"/v1/accounts/{account}/limits", json=body)
        assert response.status_code in {200, 202}, response.text
        return str(response.json()["id"])

    def top_up(self) -> dict[str, Any]:
        session_id = SessionId(bytes.fromhex(self.live[2:]))
        top_up = TopUp(session_id=session_id, add_micro=1, nonce=7)
        signature = self.world.driver.sign_digest(top_up.digest(self.world.desk.separator))
        return {
            "top_up": {"sessionId": self.live, "addMicro": "1", "nonce": 7},
            "signature": "0x" + signature.hex(),
        }


def nothing(_scene: Scene) -> dict[str, Any]:
    return {}


def no_longer_told(scene: Scene) -> dict[str, Any]:
    """The market's events have no end, but for the service's own."""
    scene.world.app.state.service.news.leave()
    return {}


def sign_in(scene: Scene) -> dict[str, Any]:
    # That a login is refused for its message is not a matter of who asks.
    return {"json": {"message": "hello", "signature": "0x"}}


def unsigned(message: str) -> Request:
    """That what an account signs is refused for its signature is not a matter of who asks."""
    fields: dict[str, dict[str, str]] = {
        "limits": {"validFrom": "0", "maxBuyPerKwh": "1", "minSellPerKwh": "1"},
        "withdrawal": {"amountMicro": "1"},
    }
    body: dict[str, Any] = {"signature": "0x"}
    if message in fields:
        body[message] = {"account": 2, "nonce": "1", **fields[message]}
    else:
        body |= {"amount_micro": "1", "deadline": "1"}
    return lambda _: {"json": body}


READING = {
    "meter_id": "0x" + "3e" * 32,
    "taken_at": "2016-06-01T00:00:00Z",
    "import_wh": 1,
    "export_wh": 0,
    "signature": "0x" + "a1" * 64 + "1b",
}
PAIRING = {
    "account": 2,
    "label": "Roof",
    "key": "0x" + "52" * 20,
    "class": "gateway",
    "limit_w": 1,
    "issued_at": "2016-06-01T00:00:00Z",
    "proof": "0x",
}
ROUTES: dict[tuple[str, str], tuple[set[str], Request]] = {
    ("POST", "/v1/auth/nonce"): (ALL, lambda _: {"json": {}}),
    ("POST", "/v1/auth/login"): (ALL, sign_in),
    ("POST", "/v1/auth/logout"): (SIGNED_IN, nothing),
    ("GET", "/v1/me"): (SIGNED_IN, nothing),
    ("GET", "/v1/market"): (ALL, nothing),
    ("GET", "/v1/windows"): (ALL, nothing),
    ("GET", "/v1/periods"): (ALL, nothing),
    ("GET", "/v1/periods/{start}"): (ALL, nothing),
    ("GET", "/v1/events"): (ALL, no_longer_told),
    ("GET", "/v1/open-data/windows.csv"): (ALL, nothing),
    ("GET", "/v1/open-data/catalog.jsonld"): (ALL, nothing),
    ("GET", "/v1/accounts/{account}"): (ACCOUNT_READERS, nothing),
    ("GET", "/v1/accounts/{account}/statements"): (BOOK_READERS, nothing),
    ("GET", "/v1/accounts/{account}/statements.csv"): (BOOK_READERS, nothing),
    ("GET", "/v1/accounts/{account}/statements/{start}"): (BOOK_READERS, nothing),
    ("GET", "/v1/meters/{meter_id}/readings"): (BOOK_READERS, nothing),
    ("GET", "/v1/audit/bundle"): ({"auditor"}, nothing),
    ("GET", "/v1/chargers"): (ALL, nothing),
    ("GET", "/v1/chargers/{charge_point_id}"): (ALL, nothing),
    ("POST", "/v1/sessions"): (
        ALL,
        lambda scene: {
            "json": scene.world.body(scene.world.order(charger_id=charger_id_of("CP2", 1)))
        },
    ),
    ("GET", "/v1/sessions"): (SIGNED_IN, nothing),
    ("GET", "/v1/sessions/{session_id}"): (READERS, nothing),
    ("GET", "/v1/sessions/{session_id}/events"): (READERS, nothing),
    ("GET", "/v1/sessions/{session_id}/receipt"): (READERS, nothing),
    ("POST", "/v1/sessions/{session_id}/stop"): ({"driver", "host"}, nothing),
    ("POST", "/v1/sessions/{session_id}/top-up"): (
        {"driver"},
        lambda scene: {"json": scene.top_up()},
    ),
    ("PUT", "/v1/accounts/{account}/limits"): (ALL, unsigned("limits")),
    ("POST", "/v1/accounts/{account}/deposits"): (ALL, unsigned("deposit")),
    ("POST", "/v1/accounts/{account}/withdrawals"): (ALL, unsigned("withdrawal")),
    ("GET", "/v1/accounts/{account}/relays"): ({"member"}, nothing),
    ("GET", "/v1/relays/{relay_id}"): ({"member"}, nothing),
    ("POST", "/v1/readings"): (ALL, lambda _: {"json": {"readings": [READING]}}),
    ("GET", "/v1/income"): (SIGNED_IN, nothing),
    ("GET", "/v1/income.csv"): (SIGNED_IN, nothing),
    ("GET", "/v1/income/payouts"): (SIGNED_IN, nothing),
    ("POST", "/v1/income/payouts"): (SIGNED_IN, nothing),
    ("POST", "/v1/join"): (SIGNED_IN, lambda _: {"json": {"name": "Ada", "show_name": True}}),
    ("GET", "/v1/join"): (SIGNED_IN, nothing),
    ("GET", "/v1/applications"): ({"operator"}, nothing),
    ("POST", "/v1/applications/{application_id}/accept"): ({"operator"}, nothing),
    ("POST", "/v1/applications/{application_id}/refuse"): ({"operator"}, nothing),
    ("GET", "/v1/accounts/{account}/name"): ({"member"}, nothing),
    ("PUT", "/v1/accounts/{account}/name"): (
        {"member"},
        lambda _: {"json": {"name": "Ada", "show_name": True}},
    ),
    ("POST", "/v1/meters"): ({"member"}, lambda _: {"json": PAIRING}),
    ("GET", "/v1/meters"): (SIGNED_IN, nothing),
    ("GET", "/v1/pairings"): ({"auditor"}, nothing),
    ("POST", "/v1/pairings/{meter_id}/accept"): ({"auditor"}, nothing),
    ("POST", "/v1/pairings/{meter_id}/refuse"): ({"auditor"}, nothing),
    ("GET", "/v1/demo/wallets"): (ALL, nothing),
    ("POST", "/v1/demo/tokens"): (ALL, lambda _: {"json": {"address": "0x" + "52" * 20}}),
    ("GET", "/v1/grid"): (OVERSEERS, nothing),
    ("GET", "/v1/grid/meters"): (OVERSEERS, nothing),
    ("GET", "/v1/grid/meters.csv"): (OVERSEERS, nothing),
    ("GET", "/v1/grid/settlements.csv"): (OVERSEERS, nothing),
    ("GET", "/v1/grid/audits"): (OVERSEERS, nothing),
    ("POST", "/v1/grid/audits"): (OVERSEERS, nothing),
    ("GET", "/v1/grid/audits/{audit_id}"): (OVERSEERS, nothing),
    ("GET", "/healthz"): (ALL, nothing),
    ("GET", "/readyz"): (ALL, nothing),
    ("GET", "/metrics"): (ALL, nothing),
    ("POST", "/rpc"): (ALL, lambda _: {"json": {"id": 1, "method": "eth_chainId"}}),
}


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with community_in(tmp_path_factory.mktemp("access")) as community:
        yield community


@pytest.fixture
def scene(community: Community) -> Iterator[Scene]:
    with world_of(community) as world:
        yield Scene(world)


def headers_of(world: World, who: str) -> dict[str, str]:
    if who == "nobody":
        return {}
    if who == "expired":
        headers = world.as_(world.driver)
        world.clock.pass_s(TOKEN_S)
        return headers
    if who == "tampered":
        token = world.token(world.driver)
        return {"Authorization": "Bearer " + token[:-1] + ("A" if token[-1] != "A" else "B")}
    return world.as_(getattr(world, who))


def test_the_table_has_every_route_of_the_description(scene: Scene) -> None:
    described = {
        (method.upper(), path)
        for path, methods in scene.world.app.openapi()["paths"].items()
        for method in methods
    }
    assert described == set(ROUTES)


def test_every_route_is_described_and_names_one_rule_of_access() -> None:
    for module in HTTP_ROUTERS:
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            assert route.include_in_schema
            rules = list(rules_of(route.dependant))
            assert rules, f"{route.path} says nothing of who may call it"


def test_the_app_has_no_other_http_routes() -> None:
    app = create_app(lambda: pytest.fail("is not opened"))
    routed = {route.path for module in HTTP_ROUTERS for route in module.router.routes}
    described = {path.removeprefix("/v1") for path in app.openapi()["paths"]}
    assert described == {path.removeprefix("/v1") for path in routed}


def rules_of(dependant: Dependant) -> Iterator[Access]:
    for each in dependant.dependencies:
        if isinstance(each.call, Access):
            yield each.call
        yield from rules_of(each)


@pytest.mark.parametrize("route", sorted(ROUTES), ids=" ".join)
def test_a_route_lets_in_whom_it_should_and_nobody_else(
    scene: Scene, route: tuple[str, str]
) -> None:
    method, path = route
    allowed, request_of = ROUTES[route]
    places = {
        "session_id": scene.live if method == "POST" else scene.ended,
        "charge_point_id": "CP1",
        "audit_id": 1,
        "account": 2,
        "relay_id": scene.relay_id,
        "application_id": 1,
        "meter_id": "0x" + scene.meter_id.hex(),
        "start": to_rfc3339(from_unix_s(START_S)),
    }
    url = path.format(**places)
    for who in sorted(ALL, key=lambda each: (each == "expired", each)):  # It lets time pass.
        headers = headers_of(scene.world, who)
        response = scene.world.client.request(method, url, headers=headers, **request_of(scene))
        if who in allowed:
            is_login = path == "/v1/auth/login"
            assert response.status_code not in {401, 403} or is_login, (who, response.text)
            assert response.status_code < 500, (who, response.text)
        elif who in NOT_SIGNED_IN:
            problem(response, 401, "not_authenticated")
            assert response.headers["www-authenticate"] == "Bearer"
        else:
            problem(response, 403, "not_allowed")


@pytest.mark.parametrize("who", ["driver", "host", "auditor", "stranger"])
@pytest.mark.parametrize(
    ("method", "end"),
    [("GET", ""), ("GET", "/events"), ("GET", "/receipt"), ("POST", "/stop"), ("POST", "/top-up")],
)
def test_a_session_that_is_not_there_is_not_found_whoever_asks(
    scene: Scene, who: str, method: str, end: str
) -> None:
    url = "/v1/sessions/0x" + "00" * 32 + end
    body = {"json": scene.top_up()} if end == "/top-up" else {}
    headers = headers_of(scene.world, who)
    problem(scene.world.client.request(method, url, headers=headers, **body), 404, "not_found")
