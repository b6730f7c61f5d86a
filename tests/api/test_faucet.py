"""A demo's wallets and the faucet that fills them; no other community has either."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.guard import HttpLimits
from api.keys import demo_secret
from ledger.chain import settlement_token
from ledger.chain.wallet import Wallet, new_wallet
from ledger.keccak import checksum_address
from tests.api.http_world import problem, world_of
from tests.api.people_world import PeopleWorld, at_once, people_world

POCKET_MICRO = 500_000_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeopleWorld]:
    operator = checksum_address(Wallet(demo_secret("operator")).address)
    path = tmp_path_factory.mktemp("faucet")
    with people_world(path, for_demo=True, operators=[operator]) as world:
        yield world


def test_the_wallets_are_those_whose_keys_are_published(world: PeopleWorld) -> None:
    items = world.web.client.get("/v1/demo/wallets").json()["items"]
    for each in items:
        assert each["address"] == checksum_address(Wallet(demo_secret(each["name"])).address)
    assert [(each["name"], each["kind"], each["account"]) for each in items] == [
        ("grid", "grid", 1),
        ("home-2", "home", 2),
        ("home-3", "home", 3),
        ("operator", "operator", None),
        ("anna", "driver", None),
        ("ben", "driver", None),
    ]
    for name, roles in {
        "grid": ["auditor", "driver"],
        "home-2": ["driver", "member"],
        "operator": ["driver", "operator"],
        "anna": ["driver"],
    }.items():
        assert world.get("/me", Wallet(demo_secret(name))).json()["roles"] == roles


def test_a_name_in_the_list_is_one_that_its_owner_shows(world: PeopleWorld) -> None:
    def titles() -> list[str]:
        items = world.web.client.get("/v1/demo/wallets").json()["items"]
        return [each["title"] for each in items]

    assert titles()[:2] == ["Grid operator", "home-2"]
    headers = world.web.as_(Wallet(demo_secret("home-2")))
    body = {"name": "The Webers", "show_name": True}
    world.web.client.put("/v1/accounts/2/name", json=body, headers=headers)
    assert titles()[:2] == ["Grid operator", "The Webers"]


def test_an_empty_wallet_is_filled_once(world: PeopleWorld) -> None:
    wallet = new_wallet()
    body = {"address": checksum_address(wallet.address)}
    answers = at_once(*[lambda: world.post("/demo/tokens", body)] * 4)
    assert sorted(each.status_code for each in answers) == [200] * 3 + [202]
    assert len({each.json()["id"] for each in answers}) == 1
    world.relay()
    assert world.relay_of(answers[0], wallet)["state"] == "confirmed"
    assert world.token.balance_micro_of(wallet.address) == POCKET_MICRO
    full = world.post("/demo/tokens", body)
    assert (full.status_code, full.json()["state"], full.json()["amount_micro"]) == (
        200,
        "confirmed",
        "0",
    )
    world.relay()
    assert world.token.balance_micro_of(wallet.address) == POCKET_MICRO


def test_a_wallet_that_was_emptied_is_filled_up_again(world: PeopleWorld) -> None:
    wallet = new_wallet()
    headers = world.web.as_(wallet)
    for _ in range(2):
        response = world.web.client.post("/v1/demo/tokens", headers=headers)
        assert response.status_code == 202
        world.relay()
        world.relay_of(response, wallet)
        assert world.token.balance_micro_of(wallet.address) == POCKET_MICRO
        spend(world, wallet, 123_456_789)
    assert world.token.balance_micro_of(wallet.address) == POCKET_MICRO - 123_456_789


def spend(world: PeopleWorld, wallet: Wallet, amount_micro: int) -> None:
    data = settlement_token.transfer(new_wallet().address, amount_micro)
    world.send_as(wallet, world.community.contracts.token, data)


def test_somebody_must_be_named(world: PeopleWorld) -> None:
    response = world.web.client.post("/v1/demo/tokens")
    assert problem(response, 422, "bad_input")["field"] == "address"


def test_the_faucet_drips(world: PeopleWorld) -> None:
    limits = HttpLimits(faucet_per_minute=2)
    with world_of(world.community, limits) as web:
        body = {"address": checksum_address(new_wallet().address)}
        statuses = [web.client.post("/v1/demo/tokens", json=body).status_code for _ in range(3)]
        assert statuses == [202, 200, 429]


def test_no_other_community_gives_tokens_away_or_tells_wallets(tmp_path: Path) -> None:
    with people_world(tmp_path) as world:
        body = {"address": checksum_address(new_wallet().address)}
        problem(world.post("/demo/tokens", body), 404, "not_found")
        problem(world.web.client.get("/v1/demo/wallets"), 404, "not_found")
