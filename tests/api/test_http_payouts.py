"""What the escrow owes a host or a driver is paid to them, and to nobody else, when they ask."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.jobs.people import relay_book
from api.jobs.people.earnings import Earnings
from api.jobs.people.relay_book import RelayBook
from api.jobs.people.relaying import Relaying
from api.jobs.people.relays import RelayState
from charging.desk import SessionState
from ledger.chain import escrow
from ledger.chain.abi import encode_call
from ledger.chain.wallet import Wallet
from ledger.keccak import keccak256
from tests.api.earning_world import (
    HOST,
    OTHER_HOST,
    POWER_W,
    WHIM_NONE,
    WHIM_REFUSES,
    EarningWorld,
    earning_world,
)
from tests.api.http_world import problem
from tests.api.people_world import at_once, hex_of
from tests.charging_world import REGISTER_WH, charging_world

TOKEN = 1_000_000
A_DAY_S = 86_400


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EarningWorld]:
    with earning_world(tmp_path_factory.mktemp("payouts")) as world:
        yield world


@pytest.fixture
def world(made: EarningWorld) -> Iterator[EarningWorld]:
    """Whatever a test leaves with the escrow is paid after it."""
    yield made
    made.people.clock.pass_s(2 * A_DAY_S)
    for charger in ("CP1/1", "CP1/2", "CP2/1"):
        if made.credit_micro(charger):
            made.act(escrow.pay_host(keccak256(charger.encode())))
    made.people.relay()
    assert made.people.relaying.problems() == []


def host(world: EarningWorld, account: int = HOST) -> Wallet:
    return world.people.member(account)


def ask(world: EarningWorld, who: Wallet | None = None) -> httpx2.Response:
    return world.people.post("/income/payouts", {}, who or host(world))


def relays(response: httpx2.Response) -> list[dict[str, Any]]:
    assert response.status_code in {200, 202}, response.text
    found: list[dict[str, Any]] = response.json()["relays"]
    return found


def now(world: EarningWorld, relay: dict[str, Any], who: Wallet | None = None) -> dict[str, Any]:
    return dict(world.people.get(f"/relays/{relay['id']}", who or host(world)).json())


def home(world: EarningWorld) -> str:
    """The host's page."""
    web = world.people.web
    headers = {**web.as_(host(world)), "Accept": "text/html"}
    return str(web.client.get("/home", headers=headers).text)


# A host.


def test_credit_moves_to_its_hosts_wallet_exactly(world: EarningWorld) -> None:
    world.charge(1_000_001, "CP1/2")
    world.charge(8_350_000, refunded_micro=650_000)
    world.charge(3 * TOKEN, "CP2/1")
    before = world.held_micro(host(world).address)
    response = ask(world)
    assert response.status_code == 202
    first, second = relays(response)
    assert [each["amount_micro"] for each in (first, second)] == ["8350000", "1000001"]
    assert [each["charger_id"] for each in (first, second)] == [
        hex_of(keccak256(name)) for name in (b"CP1/1", b"CP1/2")
    ]
    assert (first["kind"], first["account"], first["state"]) == ("credit", None, "accepted")
    world.people.relay()
    for each in (first, second):
        done = now(world, each)
        assert (done["state"], done["reason"]) == ("confirmed", "")
        receipt = world.people.community.chain.receipt(bytes.fromhex(done["transaction"][2:]))  # type: ignore[arg-type]
        assert receipt is not None
        event = escrow.event_of(receipt.logs[0])
        assert event is not None
        assert event.name == "HostPaid"
        assert str(event.arguments["amountMicro"]) == each["amount_micro"]
    assert world.held_micro(host(world).address) == before + 9_350_001
    assert (world.credit_micro("CP1/1"), world.credit_micro("CP1/2")) == (0, 0)
    assert world.credit_micro("CP2/1") == 3 * TOKEN  # Is another host's.
    found = problem(ask(world), 409, "nothing_owed")
    assert (found["owed_micro"], found["least_micro"]) == ("0", "1000000")


def test_asked_again_a_payout_on_its_way_is_the_same_one(world: EarningWorld) -> None:
    world.charge(2 * TOKEN)
    before = world.held_micro(host(world).address)
    answers = at_once(*[lambda: ask(world)] * 5)
    assert sorted(each.status_code for each in answers) == [200] * 4 + [202]
    (relay,) = relays(answers[0])
    assert all(relays(each) == [relay] for each in answers)
    world.charge(TOKEN)  # Goes along with it.
    again = ask(world)
    assert (again.status_code, relays(again)) == (200, [relay])
    world.people.restart()
    world.people.relay()
    world.people.relay()
    assert now(world, relay)["state"] == "confirmed"
    assert world.held_micro(host(world).address) == before + 3 * TOKEN


def test_credit_that_comes_later_is_another_payout(world: EarningWorld) -> None:
    ids, before = [], world.held_micro(host(world).address)
    for amount_micro in (TOKEN, TOKEN, 2 * TOKEN):
        world.charge(amount_micro)
        (relay,) = relays(ask(world))
        world.people.relay()
        assert now(world, relay)["state"] == "confirmed"
        ids.append(relay["id"])
    assert len(set(ids)) == 3
    assert world.held_micro(host(world).address) == before + 4 * TOKEN


def test_a_payout_goes_on_beside_one_of_another_charger(world: EarningWorld) -> None:
    world.charge(TOKEN)
    (first,) = relays(ask(world))
    world.charge(TOKEN, "CP1/2")
    both = ask(world)
    assert both.status_code == 202
    assert relays(both)[0]["id"] == first["id"]
    world.people.relay()
    assert {now(world, each)["state"] for each in relays(both)} == {"confirmed"}


def test_a_stranger_gets_nothing_and_a_host_nothing_of_anothers(world: EarningWorld) -> None:
    world.charge(5 * TOKEN)
    stranger = world.people.web.stranger
    for who in (stranger, host(world, OTHER_HOST)):
        before = world.held_micro(who.address)
        assert problem(ask(world, who), 409, "nothing_owed")["owed_micro"] == "0"
        world.people.relay()
        assert world.held_micro(who.address) == before
    assert world.credit_micro() == 5 * TOKEN
    (relay,) = relays(ask(world))
    found = world.people.get(f"/relays/{relay['id']}", stranger)
    problem(found, 403, "not_allowed")


def test_too_little_for_a_transaction_waits_for_more(world: EarningWorld) -> None:
    world.charge(TOKEN - 1)
    assert problem(ask(world), 409, "nothing_owed")["owed_micro"] == "999999"
    world.charge(TOKEN, "CP1/2")
    (relay,) = relays(ask(world))  # The other's is not worth one of its own.
    assert relay["amount_micro"] == str(TOKEN)
    world.people.relay()
    world.charge(1)
    (relay,) = relays(ask(world))
    world.people.relay()
    assert (now(world, relay)["state"], world.credit_micro()) == ("confirmed", 0)


def test_what_somebody_else_had_paid_first_costs_no_gas_and_holds_nothing_up(
    world: EarningWorld,
) -> None:
    community = world.people.community
    sender = community.keys.wallet("relay").address
    world.charge(TOKEN)
    (relay,) = relays(ask(world))
    sent = community.chain.nonce(sender)
    world.act(escrow.pay_host(keccak256(b"CP1/1")))
    world.people.relay()
    done = now(world, relay)
    assert (done["state"], done["reason"]) == ("failed", "ChargingEscrow_NothingOwed")
    assert community.chain.nonce(sender) == sent
    assert "Somebody else had the contract pay it to you first." in home(world)
    problem(ask(world), 409, "nothing_owed")
    world.charge(2 * TOKEN)
    before = world.held_micro(host(world).address)
    (another,) = relays(ask(world))
    assert another["id"] != relay["id"]
    world.people.relay()
    assert world.held_micro(host(world).address) == before + 2 * TOKEN


def test_nobody_makes_the_service_pay_for_gas_without_end(
    world: EarningWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_book, "A_DAY_MAX", 1)
    world.charge(TOKEN)
    world.charge(2 * TOKEN, "CP1/2")
    (relay,) = relays(ask(world))  # The larger one first.
    assert relay["amount_micro"] == str(2 * TOKEN)
    assert relays(ask(world)) == [relay]
    world.people.relay()
    problem(ask(world), 429, "rate_limited")
    world.people.clock.pass_s(A_DAY_S)
    (other,) = relays(ask(world))
    assert other["amount_micro"] == str(TOKEN)


# What could not be pushed, and a token that refuses somebody.


def test_a_host_who_was_replaced_is_paid_what_they_had_earned(world: EarningWorld) -> None:
    charger_id = keccak256(b"CP1/1")
    world.charge(400_000)  # However little it is.
    first, second = host(world), host(world, OTHER_HOST)
    key = world.escrow.charger_of(charger_id).record_key
    for owner in (second, first):
        terms = [charger_id, owner.address, key, POWER_W]
        world.act(encode_call("ChargingEscrow", "change", terms), role="registrar")
    before = world.held_micro(first.address)
    problem(ask(world, second), 409, "nothing_owed")
    (relay,) = relays(ask(world))
    assert (relay["kind"], relay["charger_id"]) == ("claim", None)
    assert relay["amount_micro"] == "400000"
    assert relays(ask(world)) == [relay]
    world.people.relay()
    assert now(world, relay)["state"] == "confirmed"
    assert world.held_micro(first.address) == before + 400_000
    assert world.escrow.claimable_micro_of(first.address) == 0


def test_whom_the_token_refuses_loses_nothing_and_is_paid_once_it_does_not(
    world: EarningWorld,
) -> None:
    with world.whimsical() as token:
        world.charge(3 * TOKEN)
        world.treat(token, host(world).address, WHIM_REFUSES)
        (refused,) = relays(ask(world))
        world.people.relay()
        done = now(world, refused)
        assert (done["state"], world.credit_micro()) == ("failed", 3 * TOKEN)
        assert f"The contract said {done['reason']}. What was not paid is still yours" in home(
            world
        )
        world.treat(token, host(world).address, WHIM_NONE)
        (paid,) = relays(ask(world))
        assert paid["id"] != refused["id"]
        world.people.relay()
        assert now(world, paid)["state"] == "confirmed"
        assert world.held_micro(host(world).address) == 3 * TOKEN


def test_a_driver_is_paid_the_refund_that_the_token_refused_to_send(world: EarningWorld) -> None:
    with world.whimsical() as token:
        world.treat(token, world.driver.address, WHIM_REFUSES)
        world.charge(2 * TOKEN, refunded_micro=750_000)
        assert world.held_micro(world.driver.address) == 0
        world.treat(token, world.driver.address, WHIM_NONE)
        (relay,) = relays(ask(world, world.driver))
        assert (relay["kind"], relay["amount_micro"]) == ("claim", "750000")
        world.people.relay()
        assert now(world, relay, world.driver)["state"] == "confirmed"
        assert world.held_micro(world.driver.address) == 750_000
        problem(ask(world, world.driver), 409, "nothing_owed")


# The whole of it.


def test_after_a_charge_and_its_payout_an_audit_finds_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with charging_world(tmp_path / "street") as world:
            view, transaction_id = await world.begun(await world.driver())
            world.clock.pass_s(3_600)
            await world.stops(transaction_id, REGISTER_WH + 9_000)
            view = await world.until(view.session_id, SessionState.CLOSED)
            assert view.paid_micro is not None
            before, (held, owed) = world.held_micro(view.host), world.escrow_micro()
            assert held == owed == view.paid_micro

            def pay_out() -> RelayState:
                earnings = Earnings(world.community, RelayBook(world.community), lambda: None)
                (relay,), is_new = earnings.pay_out(view.host)
                assert is_new
                Relaying(world.community, []).round()
                (relay,) = earnings.last(view.host)
                return relay.state

            assert await asyncio.to_thread(pay_out) is RelayState.CONFIRMED
            assert world.held_micro(view.host) == before + view.paid_micro
            assert world.escrow_micro() == (0, 0)
            await world.rounds()
            assert await asyncio.to_thread(world.audited) == []

    asyncio.run(run())
