"""What people ask for at the same time, on PostgreSQL, where nobody waits at the beginning."""

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.chain.wallet import new_wallet
from ledger.keccak import checksum_address
from tests.api.earning_world import SECTIONS, EarningWorld
from tests.api.people_world import PeopleWorld, at_once, people_world
from tests.api.test_members import JOIN, pairing_body
from tests.engines import postgres_server, postgres_url  # noqa: F401 (a fixture)

CALLERS = 6


@pytest.fixture(scope="module")
def world(
    postgres_server: Any,  # noqa: F811 (the fixture)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PeopleWorld]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTLEDGER_DATABASE_URL", postgres_url(postgres_server))
        path = tmp_path_factory.mktemp("people")
        with people_world(path, for_demo=True, **SECTIONS) as world:
            assert world.community.engine.dialect.name == "postgresql"
            yield world


def test_one_deposit_that_is_sent_often_pays_once(world: PeopleWorld) -> None:
    world.mint(world.member().address, 5_000_000)
    body, before = world.permit_body(1_000_000), world.market.balance_nano_of(2)
    answers = at_once(*[lambda: world.post("/accounts/2/deposits", body)] * CALLERS)
    assert sorted(each.status_code for each in answers) == [200] * (CALLERS - 1) + [202]
    world.relay()
    assert world.market.balance_nano_of(2) == before + 1_000_000_000


def test_of_many_limits_with_one_nonce_one_is_taken(world: PeopleWorld) -> None:
    bodies = [world.limits_body(nonce=1, min_sell_per_kwh=price) for price in range(CALLERS)]
    answers = at_once(*[lambda body=body: world.put_limits(body) for body in bodies])
    assert sorted(each.status_code for each in answers) == [202] + [409] * (CALLERS - 1)
    world.relay()
    assert world.market.limits_nonce(2) == 1


def test_a_payout_that_is_asked_for_often_at_once_pays_once(world: PeopleWorld) -> None:
    earning, host = EarningWorld(people=world), world.member()
    earning.charge(2_000_000)
    headers, before = world.web.as_(host), earning.held_micro(host.address)

    def ask() -> Any:
        return world.web.client.post("/v1/income/payouts", headers=headers)

    answers = at_once(*[ask] * CALLERS)
    assert sorted(each.status_code for each in answers) == [200] * (CALLERS - 1) + [202]
    assert len({each.content for each in answers}) == 1
    world.relay()
    (paid,) = world.get("/income/payouts", host).json()["relays"]
    assert (paid["state"], paid["amount_micro"]) == ("confirmed", "2000000")
    assert earning.held_micro(host.address) == before + 2_000_000


def test_one_request_with_a_key_is_done_once_and_answered_alike(world: PeopleWorld) -> None:
    newcomer = new_wallet()
    headers = world.web.as_(newcomer) | {"Idempotency-Key": '"once"'}

    def ask() -> Any:
        return world.web.client.post("/v1/join", json=JOIN, headers=headers)

    answers = at_once(*[ask] * CALLERS)
    assert {each.status_code for each in answers} == {201}
    assert len({each.content for each in answers}) == 1


def test_who_asks_twice_at_once_without_a_key_has_asked_once(world: PeopleWorld) -> None:
    headers = world.web.as_(new_wallet())

    def ask() -> Any:
        return world.web.client.post("/v1/join", json=JOIN, headers=headers)

    answers = at_once(*[ask] * CALLERS)
    assert sorted(each.status_code for each in answers) == [201] + [409] * (CALLERS - 1)
    assert {each.json()["code"] for each in answers if each.status_code == 409} == {
        "already_applied"
    }


def test_clicks_of_an_operator_at_the_same_time_enrol_once(world: PeopleWorld) -> None:
    asked = world.post("/join", JOIN, new_wallet()).json()
    count, headers = world.market.account_count(), world.web.as_(world.web.operator)

    def click() -> Any:
        path = f"/v1/applications/{asked['id']}/accept"
        return world.web.client.post(path, headers=headers)

    assert {each.status_code for each in at_once(*[click] * CALLERS)} == {202}
    world.relay()
    assert world.market.account_count() == count + 1


def test_a_device_that_is_brought_twice_at_once_is_one_meter(world: PeopleWorld) -> None:
    device, headers = new_wallet(), world.web.as_(world.member())
    bodies = [pairing_body(world, device, label=f"roof {place}") for place in range(CALLERS)]

    def bring(body: dict[str, Any]) -> Any:
        return world.web.client.post("/v1/meters", json=body, headers=headers)

    answers = at_once(*[lambda body=body: bring(body) for body in bodies])
    assert sorted(each.status_code for each in answers) == [201] + [409] * (CALLERS - 1)


def test_a_faucet_that_many_pull_at_fills_a_wallet_once(world: PeopleWorld) -> None:
    wallet = new_wallet()
    body = {"address": checksum_address(wallet.address)}
    answers = at_once(*[lambda: world.post("/demo/tokens", body)] * CALLERS)
    assert sorted(each.status_code for each in answers) == [200] * (CALLERS - 1) + [202]
    world.relay()
    assert world.token.balance_micro_of(wallet.address) == 500_000_000
    assert world.relaying.problems() == []
