"""What people sign is checked, brought to the chain once, and followed to its end."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.jobs.community import open_community
from api.jobs.people import relay_book
from api.jobs.people.relaying import Relaying
from api.jobs.people.relays import RelayId, RelayState
from ledger.chain import market_calls, settlement_token
from ledger.chain.abi import encode_call
from ledger.chain.wallet import new_wallet
from ledger.history import AccountLimits
from ledger.units import DEPOSIT_BALANCE_NANO_MAX, LIMIT_PER_KWH_MAX, Address
from tests.api.http_world import problem
from tests.api.people_world import Json, PeopleWorld, at_once, hex_of, malleable, people_world

TOKEN = 1_000_000
ARTIFACTS = Path(__file__).parents[1] / "chain" / "artifacts"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeopleWorld]:
    with people_world(tmp_path_factory.mktemp("relays")) as world:
        yield world


@pytest.fixture(autouse=True)
def nothing_is_left_under_way(world: PeopleWorld) -> Iterator[None]:
    yield
    world.relay()
    assert world.relaying.problems() == []


# Limits.


def test_limits_are_relayed_and_their_owner_follows_them(world: PeopleWorld) -> None:
    response = world.put_limits(world.limits_body(max_buy_per_kwh=250_000, min_sell_per_kwh=1))
    assert response.status_code == 202
    accepted = response.json()
    assert response.headers["location"] == f"/v1/relays/{accepted['id']}"
    assert (accepted["kind"], accepted["account"], accepted["state"]) == ("limits", 2, "accepted")
    assert accepted["transaction"] is None
    assert world.relay_of(response)["state"] == "accepted"
    world.relay()
    done = world.relay_of(response)
    assert (done["state"], done["reason"]) == ("confirmed", "")
    receipt = world.community.chain.receipt(bytes.fromhex(done["transaction"][2:]))  # type: ignore[arg-type]
    assert receipt is not None
    (log,) = receipt.logs
    event = market_calls.event_of(log)
    assert event is not None
    assert event.name == "LimitsSet"
    assert world.market.limits_of(2)[-1] == AccountLimits(
        effective_from_s=event.arguments["effectiveFrom"],
        max_buy_per_kwh=250_000,
        min_sell_per_kwh=1,
    )
    problem(world.get(f"/relays/{done['id']}", world.member(3)), 403, "not_allowed")
    listed = world.get("/accounts/2/relays?limit=1", world.member()).json()
    assert listed["items"] == [done]


def test_the_same_limits_again_are_the_same_relay(world: PeopleWorld) -> None:
    body = world.limits_body()
    first, again = world.put_limits(body), world.put_limits(body)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() == again.json()
    world.relay()
    later = world.put_limits(body)
    assert (later.status_code, later.json()["state"]) == (200, "confirmed")
    count = len(world.market.limits_of(2))
    world.restart()
    world.relay()
    assert len(world.market.limits_of(2)) == count


def test_a_nonce_is_used_once_and_rises(world: PeopleWorld) -> None:
    nonce = world.market.limits_nonce(2) + 5
    assert world.put_limits(world.limits_body(nonce=nonce)).status_code == 202
    other = world.limits_body(nonce=nonce, min_sell_per_kwh=7)
    assert problem(world.put_limits(other), 409, "nonce_used")["nonce"] == str(nonce)
    lower = world.limits_body(nonce=nonce - 1)
    found = problem(world.put_limits(lower), 409, "nonce_used")
    assert found["last_nonce"] == str(nonce)
    world.relay()
    for body in (other, lower):
        found = problem(world.put_limits(body), 409, "nonce_used")
        assert found["last_nonce"] == str(nonce)
    assert world.market.limits_nonce(2) == nonce


def test_later_limits_follow_earlier_ones_in_order(world: PeopleWorld) -> None:
    nonce = world.market.limits_nonce(3)
    for step in (1, 2, 3):
        body = world.limits_body(3, nonce=nonce + step, min_sell_per_kwh=step)
        assert world.put_limits(body, 3).status_code == 202
    world.relay()
    assert [each.min_sell_per_kwh for each in world.market.limits_of(3)[-3:]] == [1, 2, 3]


def test_limits_that_the_market_would_refuse_are_refused_at_once(world: PeopleWorld) -> None:
    stranger, before = new_wallet(), world.market.limits_nonce(2)
    cases: list[tuple[Json, int, str]] = [
        (world.limits_body(wallet=stranger), 422, "bad_signature"),
        (world.limits_body(market=Address(b"\x11" * 20)), 422, "bad_signature"),
        (world.limits_body(chain_id=1), 422, "wrong_chain"),
        (world.limits_body(chain_id=31_337), 422, "wrong_chain"),
        (world.limits_body() | {"signature": "0x"}, 422, "bad_signature"),
        (world.limits_body(3), 422, "bad_input"),  # Another account than the path's.
        (world.limits_body(valid_from_s=2**64 - 1), 422, "out_of_range"),
    ]
    good = world.limits_body()
    high = malleable(bytes.fromhex(good["signature"][2:]))
    cases.append((good | {"signature": hex_of(high)}, 422, "malleable_signature"))
    for body, status, code in cases:
        problem(world.put_limits(body), status, code)
    nobody = world.limits_body(9, wallet=stranger, nonce=1)
    problem(world.put_limits(nobody, 9), 404, "not_found")
    world.relay()
    assert world.market.limits_nonce(2) == before


def test_limits_that_were_brought_past_the_service_are_shown_whatever_they_say(
    world: PeopleWorld,
) -> None:
    body, end_s = world.limits_body(3, valid_from_s=2**64 - 1), 2**64 - 1
    data = market_calls.set_limits(
        account=3,
        valid_from_s=end_s,
        max_buy_per_kwh=LIMIT_PER_KWH_MAX,
        min_sell_per_kwh=int(body["limits"]["minSellPerKwh"]),
        nonce=int(body["limits"]["nonce"]),
        signature=bytes.fromhex(body["signature"][2:]),
    )
    world.send_as(new_wallet(), world.community.contracts.market, data)
    shown = world.get("/accounts/3", world.member(3)).json()["limits"][-1]
    assert shown["effective_from"] == "9999-12-31T00:00:00Z"


@pytest.mark.parametrize("account", ["-1", str(2**32), "two", "1e3", "0x2"])
def test_a_path_that_names_no_account_is_refused(world: PeopleWorld, account: str) -> None:
    body = world.limits_body()
    response = world.web.client.put(f"/v1/accounts/{account}/limits", json=body)
    problem(response, 422, "bad_input")


# Deposits.


def test_a_deposit_by_permit_moves_exactly_its_amount(world: PeopleWorld) -> None:
    member, market = world.member(), world.community.contracts.market
    world.mint(member.address, 30 * TOKEN)

    def money() -> tuple[int, int, int, int]:
        return (
            world.token.balance_micro_of(member.address),
            world.token.balance_micro_of(market),
            world.market.balance_nano_of(2),
            world.market.balance_nano_of(3),
        )

    before = money()
    response = world.post("/accounts/2/deposits", world.permit_body(12_345_678))
    assert (response.status_code, response.json()["amount_micro"]) == (202, "12345678")
    world.relay()
    assert world.relay_of(response)["state"] == "confirmed"
    moved = [after - was for after, was in zip(money(), before, strict=True)]
    assert moved == [-12_345_678, 12_345_678, 12_345_678_000, 0]


def test_a_permit_pays_once_however_often_it_is_sent(world: PeopleWorld) -> None:
    world.mint(world.member().address, 10 * TOKEN)
    body, before = world.permit_body(3 * TOKEN), world.market.balance_nano_of(2)
    first = world.post("/accounts/2/deposits", body)
    assert world.post("/accounts/2/deposits", body).json() == first.json()
    world.relay()
    again = world.post("/accounts/2/deposits", body)
    assert (again.status_code, again.json()["state"]) == (200, "confirmed")
    world.relay()
    assert world.market.balance_nano_of(2) == before + 3 * TOKEN * 1_000


def test_two_permits_with_one_nonce_are_not_both_taken(world: PeopleWorld) -> None:
    world.mint(world.member().address, 10 * TOKEN)
    one, other = world.permit_body(TOKEN), world.permit_body(2 * TOKEN)
    assert world.post("/accounts/2/deposits", one).status_code == 202
    problem(world.post("/accounts/2/deposits", other), 409, "nonce_used")
    world.relay()
    # Its nonce is spent now, and nothing is left of an allowance that would do instead.
    found = problem(world.post("/accounts/2/deposits", other), 402, "funds_missing")
    assert "sign anew" in found["detail"]


def test_a_permit_that_somebody_else_brought_is_told(world: PeopleWorld) -> None:
    member, market = world.member(), world.community.contracts.market
    world.mint(member.address, 10 * TOKEN)
    body = world.permit_body(TOKEN)
    data = market_calls.deposit_with_permit(
        account=2,
        payer=member.address,
        amount_micro=TOKEN,
        nonce=world.token.permit_nonce_of(member.address),
        deadline_s=int(body["deadline"]),
        signature=bytes.fromhex(body["signature"][2:]),
    )
    world.send_as(new_wallet(), market, data)
    found = problem(world.post("/accounts/2/deposits", body), 409, "nonce_used")
    assert "the permit was used" in found["detail"]


def test_a_permit_that_the_token_has_seen_pays_by_its_allowance(world: PeopleWorld) -> None:
    member, before = world.member(), world.market.balance_nano_of(2)
    world.mint(member.address, 10 * TOKEN)
    body = world.permit_body(TOKEN)
    market, token = world.community.contracts.market, world.community.contracts.token
    signature = bytes.fromhex(body["signature"][2:])
    parts = (signature[64], signature[:32], signature[32:64])
    terms = (member.address, market, TOKEN, int(body["deadline"]))
    data = encode_call(settlement_token.CONTRACT, "permit", [*terms, *parts])
    world.send_as(new_wallet(), token, data)
    assert world.post("/accounts/2/deposits", body).status_code == 202
    world.relay()
    assert world.market.balance_nano_of(2) == before + TOKEN * 1_000


def test_deposits_that_would_fail_are_refused_at_once(world: PeopleWorld) -> None:
    member = world.member()
    held_micro = world.token.balance_micro_of(member.address)
    now_s, before = world.community.now_s(), world.market.balance_nano_of(2)
    world.mint(member.address, TOKEN)
    room_micro = (DEPOSIT_BALANCE_NANO_MAX - before) // 1_000
    stranger = new_wallet()
    cases: list[tuple[Json, int, str]] = [
        (world.permit_body(held_micro + TOKEN + 1), 402, "funds_missing"),
        (world.permit_body(TOKEN, deadline_s=now_s - 1), 402, "funds_missing"),
        (world.permit_body(TOKEN, deadline_s=now_s + 5), 402, "funds_missing"),
        (world.permit_body(0), 422, "out_of_range"),
        (world.permit_body(room_micro + 1), 422, "out_of_range"),
        (world.permit_body(TOKEN, signed_micro=TOKEN + 1), 422, "bad_signature"),
        (world.permit_body(TOKEN, signed_deadline_s=now_s), 422, "bad_signature"),
        (world.permit_body(TOKEN, nonce=77), 422, "bad_signature"),
        (world.permit_body(TOKEN, spender=stranger.address), 422, "bad_signature"),
        (world.permit_body(TOKEN, wallet=stranger), 422, "bad_signature"),
        (world.permit_body(TOKEN, wallet=world.member(3)), 422, "bad_signature"),
    ]
    good = world.permit_body(TOKEN)
    high = malleable(bytes.fromhex(good["signature"][2:]))
    cases.append((good | {"signature": hex_of(high)}, 422, "malleable_signature"))
    for body, status, code in cases:
        problem(world.post("/accounts/2/deposits", body), status, code)
    problem(world.post("/accounts/9/deposits", good), 404, "not_found")
    world.relay()
    assert world.market.balance_nano_of(2) == before


def test_a_deposit_that_fails_on_the_chain_says_why_and_frees_its_nonce(
    world: PeopleWorld,
) -> None:
    member, token = world.member(), world.community.contracts.token
    world.mint(member.address, 5 * TOKEN)
    held_micro = world.token.balance_micro_of(member.address)
    response = world.post("/accounts/2/deposits", body := world.permit_body(held_micro))
    assert response.status_code == 202
    spent = settlement_token.transfer(new_wallet().address, held_micro - TOKEN)
    world.send_as(member, token, spent)
    world.relay()
    failed = world.relay_of(response)
    assert (failed["state"], failed["reason"]) == ("failed", "ERC20InsufficientBalance")
    problem(world.post("/accounts/2/deposits", body), 402, "funds_missing")
    before = world.market.balance_nano_of(2)
    smaller = world.post("/accounts/2/deposits", world.permit_body(TOKEN))
    assert smaller.status_code == 202, smaller.text
    world.relay()
    assert world.relay_of(smaller)["state"] == "confirmed"
    assert world.market.balance_nano_of(2) == before + TOKEN * 1_000


def test_what_failed_can_be_sent_again_when_it_would_work(world: PeopleWorld) -> None:
    member, token = world.member(), world.community.contracts.token
    world.mint(member.address, 5 * TOKEN)
    held_micro = world.token.balance_micro_of(member.address)
    body, before = world.permit_body(held_micro), world.market.balance_nano_of(2)
    response = world.post("/accounts/2/deposits", body)
    world.send_as(member, token, settlement_token.transfer(new_wallet().address, TOKEN))
    world.relay()
    assert world.relay_of(response)["state"] == "failed"
    world.mint(member.address, TOKEN)
    again = world.post("/accounts/2/deposits", body)
    assert (again.status_code, again.json()["id"]) == (202, response.json()["id"])
    world.relay()
    assert world.relay_of(response)["state"] == "confirmed"
    assert world.market.balance_nano_of(2) == before + held_micro * 1_000


# Withdrawals.


def test_a_withdrawal_is_requested_replaced_and_taken_back(world: PeopleWorld) -> None:
    for amount_micro in (5 * TOKEN, 2 * TOKEN, 0):
        response = world.post("/accounts/3/withdrawals", world.withdrawal_body(amount_micro, 3))
        assert (response.status_code, response.json()["kind"]) == (202, "withdrawal")
        world.relay()
        assert world.relay_of(response, world.member(3))["state"] == "confirmed"
        assert world.market.request_of(3).amount_micro == amount_micro


def test_a_matured_withdrawal_is_paid_by_itself_and_once(world: PeopleWorld) -> None:
    member, delay_s = world.member(3), world.community.market_config.withdrawal_delay_s
    body = world.withdrawal_body(4 * TOKEN, 3)
    assert world.post("/accounts/3/withdrawals", body).status_code == 202
    world.relay()
    requested_at_s = world.market.request_of(3).requested_at_s

    def money() -> tuple[int, int]:
        return world.token.balance_micro_of(member.address), world.market.balance_nano_of(3)

    before = money()
    world.clock.pass_s(requested_at_s + delay_s - 1 - world.community.now_s())
    world.relay()
    assert money() == before
    world.clock.pass_s(1)
    world.relay()
    assert money() == (before[0] + 4 * TOKEN, before[1] - 4 * TOKEN * 1_000)
    payout = world.get("/accounts/3/relays", member).json()["items"][0]
    assert (payout["kind"], payout["state"], payout["amount_micro"]) == (
        "payout",
        "confirmed",
        "4000000",
    )
    world.restart()
    world.clock.pass_s(delay_s)
    world.relay()
    assert money() == (before[0] + 4 * TOKEN, before[1] - 4 * TOKEN * 1_000)
    assert world.audit() == []


def test_withdrawals_that_the_market_would_refuse_are_refused_at_once(world: PeopleWorld) -> None:
    nonce = world.market.withdrawal_nonce(3)
    cases = [
        (world.withdrawal_body(1, 3, nonce=nonce), 409, "nonce_used"),
        (world.withdrawal_body(1, 3, chain_id=1), 422, "wrong_chain"),
        (world.withdrawal_body(1, 2), 422, "bad_input"),
    ]
    for body, status, code in cases:
        problem(world.post("/accounts/3/withdrawals", body), status, code)


# Wallets that are contracts, and directories that are older.


def test_a_contract_signs_for_its_account_as_the_market_takes_it(world: PeopleWorld) -> None:
    key, community = new_wallet(), world.community
    artifact = json.loads((ARTIFACTS / "ContractWallet.json").read_text())
    code = bytes.fromhex(artifact["bytecode"].removeprefix("0x")) + bytes(12) + key.address
    (made,) = community.execute([community.intent("wallet", code, to=None, role="owner")])
    assert made.inclusion is not None
    assert made.inclusion.contract_address is not None
    account = world.market.account_count()
    enrol = market_calls.enrol(account, made.inclusion.contract_address)
    to = community.contracts.market
    community.execute([community.intent("enrol:wallet", enrol, to=to)])
    other = world.limits_body(account, new_wallet())
    problem(world.put_limits(other, account), 422, "bad_signature")
    good = world.limits_body(account, key, min_sell_per_kwh=123_000)
    assert world.put_limits(good, account).status_code == 202
    world.relay()
    assert world.market.limits_of(account)[-1].min_sell_per_kwh == 123_000


# `isValidSignature` in the EVM's own words: it says yes, and ...
YES = "63 1626ba7e"
ANSWER = "60e0 1b 6000 52 6020 6000 f3"
COSTLY = bytes.fromhex("62 100000 51 50" + YES + ANSWER)  # ... has first touched a MiB of memory.
FICKLE = bytes.fromhex("5a 62 4c4b40 10" + YES + "02" + ANSWER)  # ... only with 5 million gas.


def owned_by_code(world: PeopleWorld, runtime: bytes) -> int:
    """An account whose address runs this code."""
    community, account, size = world.community, world.market.account_count(), len(runtime)
    made_by = bytes([0x5F + size, *runtime, 0x5F, 0x52, 0x60, size, 0x60, 32 - size, 0xF3])
    (made,) = community.execute(
        [community.intent(f"code:{account}", made_by, to=None, role="owner")]
    )
    assert made.inclusion is not None
    assert made.inclusion.contract_address is not None
    enrol = market_calls.enrol(account, made.inclusion.contract_address)
    to = community.contracts.market
    community.execute([community.intent(f"enrol:code:{account}", enrol, to=to)])
    return account


def test_a_wallet_whose_code_burns_gas_burns_none_of_ours(world: PeopleWorld) -> None:
    account, chain = owned_by_code(world, COSTLY), world.community.chain
    relay, relays = world.community.keys.wallet("relay").address, world.people.book
    sent = chain.nonce(relay)
    taken = world.put_limits(world.limits_body(account, new_wallet()), account)
    assert taken.status_code == 202
    world.relay()
    view = relays.view(RelayId(bytes.fromhex(taken.json()["id"][2:])))
    assert (view.state, view.reason) == (RelayState.FAILED, "TooMuchGas")
    assert chain.nonce(relay) == sent
    assert world.put_limits(world.limits_body(3), 3).status_code == 202  # Nobody else is held up.


def test_what_fails_in_its_block_whenever_it_is_tried_is_not_tried_without_end(
    world: PeopleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_book, "TRIES_MAX", 3)
    account, chain = owned_by_code(world, FICKLE), world.community.chain
    relay = world.community.keys.wallet("relay").address
    body, sent = world.limits_body(account, new_wallet()), chain.nonce(relay)
    for _ in range(3):
        assert world.put_limits(body, account).status_code == 202
        world.relay()
    problem(world.put_limits(body, account), 409, "nonce_used")
    world.relay()
    assert chain.nonce(relay) == sent + 3


def test_a_directory_without_the_relays_key_is_given_one_when_it_is_served(tmp_path: Path) -> None:
    with people_world(tmp_path) as world:
        path = world.community.directory.path
    file = path / "keys.json"
    keys = json.loads(file.read_text())
    del keys["relay"]
    file.write_text(json.dumps(keys))
    with open_community(path) as community:
        Relaying(community, [])
        assert "relay" in community.keys
    assert json.loads(file.read_text()).keys() == keys.keys() | {"relay"}


# Two at the same time.


def test_two_tabs_that_send_the_same_at_once_are_one_relay(world: PeopleWorld) -> None:
    world.mint(world.member().address, 5 * TOKEN)
    body, before = world.permit_body(TOKEN), world.market.balance_nano_of(2)
    answers = at_once(*[lambda: world.post("/accounts/2/deposits", body)] * 6)
    assert sorted(each.status_code for each in answers) == [200] * 5 + [202]
    assert len({each.json()["id"] for each in answers}) == 1
    world.relay()
    assert world.market.balance_nano_of(2) == before + TOKEN * 1_000


def test_two_tabs_with_different_limits_and_one_nonce_are_not_both_taken(
    world: PeopleWorld,
) -> None:
    nonce = world.market.limits_nonce(2) + 1
    bodies = [world.limits_body(nonce=nonce, min_sell_per_kwh=price) for price in range(1, 7)]
    answers = at_once(*[lambda body=body: world.put_limits(body) for body in bodies])
    assert sorted(each.status_code for each in answers) == [202] + [409] * 5
    world.relay()
    (taken,) = [
        price for price, each in zip(range(1, 7), answers, strict=True) if each.status_code == 202
    ]
    assert world.market.limits_of(2)[-1].min_sell_per_kwh == taken
    assert world.market.limits_nonce(2) == nonce


def test_no_limit_is_a_limit_like_any_other(world: PeopleWorld) -> None:
    body = world.limits_body(max_buy_per_kwh=LIMIT_PER_KWH_MAX, min_sell_per_kwh=0)
    assert world.put_limits(body).status_code == 202
    world.relay()
    assert world.market.limits_of(2)[-1].max_buy_per_kwh == LIMIT_PER_KWH_MAX


def test_an_account_cannot_spend_the_services_gas_without_end(
    world: PeopleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.clock.pass_s(2 * 86_400)
    monkeypatch.setattr(relay_book, "A_DAY_MAX", 3)
    first = world.market.limits_nonce(2) + 1
    bodies = [world.limits_body(nonce=first + step) for step in range(4)]
    statuses = [world.put_limits(body).status_code for body in bodies]
    assert statuses == [202, 202, 202, 429]
    assert world.put_limits(bodies[2]).status_code == 200  # What is on its way is still told.
    assert world.put_limits(world.limits_body(3), 3).status_code == 202
    world.clock.pass_s(86_400)
    assert world.put_limits(bodies[3]).status_code == 202
