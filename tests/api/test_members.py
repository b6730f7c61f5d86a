"""Joining, names and meters: from a stranger to a member with a roof, over HTTP."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from api.jobs.forgetting.forget import forget_account, forget_application
from api.jobs.people import pairing
from api.jobs.people.pairings import PairingWish
from ledger.chain import market_calls, registry
from ledger.chain.registry import RegistryReader
from ledger.chain.wallet import Wallet, new_wallet
from ledger.keccak import checksum_address, personal_digest
from ledger.units import AccountId, from_unix_s, to_rfc3339, to_unix_s
from metering.meters import MeterClass
from tests.api.http_world import problem
from tests.api.people_world import Json, PeopleWorld, at_once, hex_of, malleable, people_world

JOIN: Json = {
    "name": "Ada Weber",
    "contact": "ada@example.org",
    "show_name": True,
    "note": "Flat 4",
}
LIMIT_W = 1_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeopleWorld]:
    market = {"debit_max_wh": 110_000}  # Of a window of an hour: each home's meter may draw 100 kW.
    with people_world(tmp_path_factory.mktemp("members"), market=market) as world:
        yield world


@pytest.fixture
def newcomer() -> Wallet:
    return new_wallet()


def joined(world: PeopleWorld, wallet: Wallet, **changes: Any) -> int:
    """A stranger who asked, was accepted and is enrolled: the account's number."""
    asked = world.post("/join", JOIN | changes, wallet)
    assert asked.status_code == 201, asked.text
    accepted = world.post(f"/applications/{asked.json()['id']}/accept", {}, world.web.operator)
    assert (accepted.status_code, accepted.json()["state"]) == (202, "accepting"), accepted.text
    world.relay()
    (own,) = world.get("/join", wallet).json()["items"]
    assert own["state"] == "accepted"
    return int(own["account"])


# Joining.


def test_a_stranger_who_is_accepted_owns_the_next_account(
    world: PeopleWorld, newcomer: Wallet
) -> None:
    count = world.market.account_count()
    account = joined(world, newcomer)
    assert account == count
    assert world.market.address_of(account) == newcomer.address
    me = world.get("/me", newcomer).json()
    assert (me["accounts"], me["roles"]) == ([account], ["driver", "member"])


def test_an_application_says_what_was_said_to_its_owner_and_the_operator_alone(
    world: PeopleWorld, newcomer: Wallet
) -> None:
    asked = world.post("/join", JOIN, newcomer).json()
    assert {name: asked[name] for name in JOIN} == JOIN
    assert (asked["state"], asked["account"], asked["decided_at"]) == ("waiting", None, None)
    assert asked["created_at"] == to_rfc3339(world.clock.now())
    assert world.get("/join", newcomer).json()["items"] == [asked]
    listed = world.get("/applications?state=waiting", world.web.operator).json()["items"]
    assert asked in listed
    assert world.get("/join", new_wallet()).json() == {"items": [], "next": None}
    for who in (newcomer, world.member(), world.web.auditor):
        problem(world.get("/applications", who), 403, "not_allowed")


def test_applications_are_listed_in_pages_newest_first(world: PeopleWorld) -> None:
    made = [world.post("/join", JOIN, new_wallet()).json()["id"] for _ in range(3)]
    found: list[int] = []
    path = "/applications?state=waiting&limit=2"
    page = world.get(path, world.web.operator).json()
    while True:
        found += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        page = world.get(f"{path}&cursor={page['next']}", world.web.operator).json()
    assert found == sorted(found, reverse=True)
    assert set(made) <= set(found)
    problem(world.get("/applications?cursor=abc", world.web.operator), 422, "bad_input")
    problem(world.get("/applications?state=lost", world.web.operator), 422, "bad_input")


def test_who_waits_or_is_a_member_does_not_ask_again(world: PeopleWorld, newcomer: Wallet) -> None:
    asked = world.post("/join", JOIN, newcomer)
    again = problem(world.post("/join", JOIN, newcomer), 409, "already_applied")
    assert again["application_id"] == str(asked.json()["id"])
    found = problem(world.post("/join", JOIN, world.member(3)), 409, "already_member")
    assert found["account"] == 3


def test_who_was_refused_is_told_why_and_may_ask_again(
    world: PeopleWorld, newcomer: Wallet
) -> None:
    asked = world.post("/join", JOIN, newcomer).json()
    path = f"/applications/{asked['id']}"
    refused = world.post(f"{path}/refuse", {"reason": "another street"}, world.web.operator)
    assert (refused.status_code, refused.json()["state"]) == (200, "refused")
    assert world.post(f"{path}/refuse", {}, world.web.operator).json() == refused.json()
    problem(world.post(f"{path}/accept", {}, world.web.operator), 409, "wrong_state")
    (own,) = world.get("/join", newcomer).json()["items"]
    assert own["reason"] == "another street"
    assert world.post("/join", JOIN, newcomer).status_code == 201


def test_an_acceptance_is_not_taken_back(world: PeopleWorld, newcomer: Wallet) -> None:
    asked = world.post("/join", JOIN, newcomer).json()
    path = f"/applications/{asked['id']}"
    world.post(f"{path}/accept", {}, world.web.operator)
    problem(world.post(f"{path}/refuse", {}, world.web.operator), 409, "wrong_state")
    world.relay()
    problem(world.post(f"{path}/refuse", {}, world.web.operator), 409, "wrong_state")


def test_two_clicks_enrol_once(world: PeopleWorld, newcomer: Wallet) -> None:
    count = world.market.account_count()
    asked = world.post("/join", JOIN, newcomer).json()
    path, operator = f"/applications/{asked['id']}/accept", world.web.as_(world.web.operator)

    def click() -> Any:
        return world.web.client.post(f"/v1{path}", headers=operator)

    assert {each.status_code for each in at_once(*[click] * 4)} == {202}
    world.relay()
    world.restart()
    assert click().json()["state"] == "accepted"
    world.relay()
    assert world.market.account_count() == count + 1


def test_many_who_are_accepted_at_once_get_an_account_each(world: PeopleWorld) -> None:
    count, wallets = world.market.account_count(), [new_wallet() for _ in range(3)]
    for wallet in wallets:
        asked = world.post("/join", JOIN, wallet).json()
        world.post(f"/applications/{asked['id']}/accept", {}, world.web.operator)
    world.relay()
    owners = [world.market.address_of(count + place) for place in range(3)]
    assert owners == [wallet.address for wallet in wallets]
    assert world.market.account_count() == count + 3


def test_an_account_that_somebody_else_enrolled_meanwhile_is_no_obstacle(
    world: PeopleWorld, newcomer: Wallet
) -> None:
    asked = world.post("/join", JOIN, newcomer).json()
    count, stranger = world.market.account_count(), new_wallet()
    world.post(f"/applications/{asked['id']}/accept", {}, world.web.operator)
    # The number that the loop chooses is taken before its transaction is made.
    errand = next(each for each in world.relaying._errands if each.name == "enrolments")
    assert errand.step()
    enrol = market_calls.enrol(count, stranger.address)
    world.send_as(world.web.operator, world.community.contracts.market, enrol)
    world.relay()
    assert world.market.address_of(count) == stranger.address
    assert world.market.address_of(count + 1) == newcomer.address
    (own,) = world.get("/join", newcomer).json()["items"]
    assert (own["state"], own["account"]) == ("accepted", count + 1)


def test_an_enrolment_without_the_operators_key_is_refused_with_its_reason(
    world: PeopleWorld, newcomer: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = world.post("/join", JOIN, newcomer).json()
    operator = world.web.as_(world.web.operator)
    keys = dict(world.community.keys._keys)
    monkeypatch.setattr(world.community.keys, "_known", keys)
    del keys["operator"]
    path = f"/v1/applications/{asked['id']}/accept"
    found = problem(world.web.client.post(path, headers=operator), 409, "key_not_here")
    assert found["role"] == "operator"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "a" * 201},
        {"name": " Ada"},
        {"name": "Ada\nWeber"},
        {"name": "\x00"},
        {"name": "\ud800"},
        {"name": 7},
        {"note": "\x07"},
        {"note": "\x00"},
        {"note": "n" * 1_001},
        {"show_name": 1},
        {"show_name": None},
        {"age": 40},
    ],
    ids=lambda changes: f"{next(iter(changes))}={str(*changes.values())[:9]!r}",
)
def test_what_cannot_be_a_name_or_note_is_refused(world: PeopleWorld, changes: Json) -> None:
    problem(world.post("/join", JOIN | changes, world.web.stranger), 422, "bad_input")


def test_an_application_that_is_not_there_is_not_found(world: PeopleWorld) -> None:
    for verb in ("accept", "refuse"):
        path = f"/applications/{2**31 - 1}/{verb}"
        problem(world.post(path, {}, world.web.operator), 404, "not_found")


# Idempotency keys.


def test_a_request_that_is_sent_again_with_its_key_is_answered_alike(
    world: PeopleWorld, newcomer: Wallet
) -> None:
    first = world.post("/join", JOIN, newcomer, key='"8e03978e-40d5"')
    again = world.post("/join", dict(reversed(JOIN.items())), newcomer, key="8e03978e-40d5")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    changed = world.post("/join", JOIN | {"name": "Eve"}, newcomer, key='"8e03978e-40d5"')
    problem(changed, 422, "idempotency_key_reused")
    # Somebody else's same key is another one.
    assert world.post("/join", JOIN, new_wallet(), key='"8e03978e-40d5"').status_code == 201
    world.web.clock.pass_s(86_400)
    problem(world.post("/join", JOIN, newcomer, key='"8e03978e-40d5"'), 409, "already_applied")


def test_what_was_refused_is_not_kept(world: PeopleWorld, newcomer: Wallet) -> None:
    problem(world.post("/join", JOIN | {"name": ""}, newcomer, key="k"), 422, "bad_input")
    assert world.post("/join", JOIN, newcomer, key="k").status_code == 201


def test_a_request_that_comes_twice_at_once_is_done_once(
    world: PeopleWorld, newcomer: Wallet
) -> None:
    headers = world.web.as_(newcomer) | {"Idempotency-Key": '"twice"'}

    def ask() -> Any:
        return world.web.client.post("/v1/join", json=JOIN, headers=headers)

    answers = at_once(*[ask] * 5)
    assert {each.status_code for each in answers} == {201}
    assert len({each.content for each in answers}) == 1
    assert len(world.get("/join", newcomer).json()["items"]) == 1


@pytest.mark.parametrize("key", ['""', "a b", '"a', "\x7f", "k" * 201, '"' + "k" * 201 + '"'])
def test_a_key_that_is_none_is_refused(world: PeopleWorld, key: str) -> None:
    problem(world.post("/join", JOIN, world.web.stranger, key=key), 422, "bad_input")


# Names.


def test_a_name_is_shown_to_others_only_by_its_owners_consent(
    world: PeopleWorld, newcomer: Wallet
) -> None:
    account = AccountId(joined(world, newcomer, show_name=False))
    names = world.people.names
    assert (names.name(account), names.names_shown(account)) == ("Ada Weber", None)
    path = f"/v1/accounts/{account}/name"
    body = {"name": "A. Weber", "contact": "", "show_name": True}
    client, own = world.web.client, world.web.as_(newcomer)
    assert client.put(path, json=body, headers=own).json() == body
    assert client.get(path, headers=own).json() == body
    assert world.get(f"/accounts/{account}", world.web.operator).json()["name"] == "A. Weber"
    assert names.names_shown(account) == "A. Weber"
    for who in (world.member(), world.web.operator):
        problem(client.put(path, json=body, headers=world.web.as_(who)), 403, "not_allowed")
    assert names.forget(newcomer.address, account) > 0
    assert names.name(account) is None
    (application,) = world.get("/join", newcomer).json()["items"]
    assert (application["name"], application["contact"], application["note"]) == ("", "", "")


def test_configured_names_are_kept_to_oneself_but_for_the_operators(world: PeopleWorld) -> None:
    names = world.people.names
    assert names.names_shown(AccountId(0)) == "Supplier"
    assert names.names_shown(AccountId(1)) == "Grid operator"
    assert (names.name(AccountId(2)), names.names_shown(AccountId(2))) == ("buyer", None)
    assert names.name(AccountId(999)) is None
    names.forget(world.member().address, AccountId(2))
    assert names.name(AccountId(2)) is None
    names.change(AccountId(2), name="buyer", contact="", show_name=True)
    assert names.names_shown(AccountId(2)) == "buyer"
    assert names.all_names(only_shown=True)[AccountId(2)] == "buyer"


# Meters.


def pairing_body(
    world: PeopleWorld,
    device: Wallet,
    account: int = 2,
    *,
    owner: Wallet | None = None,
    issued_at: datetime | None = None,
    signed: dict[str, Any] | None = None,
    **changes: Any,
) -> Json:
    """A device's own word that it is to be a meter of this account, but for the changes."""
    issued_at = issued_at or world.clock.now()
    facts = {
        "account": account,
        "label": f"roof {device.address.hex()[:8]}",
        "class": "gateway",
        "limit_w": LIMIT_W,
        **changes,
    }
    wish = PairingWish(
        account=AccountId(facts["account"]),
        label=facts["label"],
        key=device.address,
        meter_class=MeterClass(facts["class"]),
        limit_w=facts["limit_w"],
    )
    context = {
        "chain_id": world.community.chain.chain_id,
        "registry": world.community.contracts.registry,
        "owner": (owner or world.member(account)).address,
        "issued_at": issued_at,
        **(signed or {}),
    }
    return {
        **facts,
        "key": checksum_address(device.address),
        "issued_at": to_rfc3339(issued_at),
        "proof": hex_of(device.sign_digest(personal_digest(wish.text(**context)))),
    }


def test_a_device_that_is_accepted_is_registered_from_a_windows_start(world: PeopleWorld) -> None:
    device = new_wallet()
    asked = world.post("/meters", pairing_body(world, device), world.member())
    assert (asked.status_code, asked.json()["state"]) == (201, "waiting"), asked.text
    pairing = asked.json()
    assert pairing in world.get("/pairings?state=waiting", world.web.auditor).json()["items"]
    assert pairing in world.get("/meters", world.member()).json()["items"]
    accepted = world.post(f"/pairings/{pairing['id']}/accept", {}, world.web.auditor)
    assert (accepted.status_code, accepted.json()["state"]) == (202, "registering")
    world.relay()
    (own, *_) = world.get("/meters", world.member()).json()["items"]
    assert own["state"] == "registered"
    meter_id = bytes.fromhex(pairing["id"][2:])
    reader = RegistryReader(world.community.chain, world.community.contracts.registry)
    (term,) = reader.terms_of(meter_id)
    assert (term.key, term.account, term.limit_w) == (device.address, 2, LIMIT_W)
    assert term.meter_class is registry.MeterClass.GATEWAY
    assert term.valid_from_s % world.community.market_config.window_s == 0
    assert term.valid_from_s > to_unix_s(world.clock.now())
    assert own["valid_from"] == to_rfc3339(from_unix_s(term.valid_from_s))
    labels = {each.meter_id: each.label for each in world.community.readings.meters()}
    assert labels[meter_id] == pairing["label"]
    # Asked again, it stays one meter with one term.
    world.post(f"/pairings/{pairing['id']}/accept", {}, world.web.auditor)
    world.restart()
    world.relay()
    assert reader.terms_of(meter_id) == [term]


def test_nobody_pairs_a_device_that_did_not_agree(world: PeopleWorld) -> None:
    device, thief = new_wallet(), new_wallet()
    good = pairing_body(world, device, 2)
    high = malleable(bytes.fromhex(good["proof"][2:]))
    cases: list[tuple[Json, int, str]] = [
        # The owner's device, taken along to another account, with another limit or class.
        (good | {"account": 3}, 422, "bad_signature"),
        (good | {"limit_w": LIMIT_W + 1}, 422, "bad_signature"),
        (good | {"class": "certified"}, 422, "bad_signature"),
        (good | {"key": checksum_address(thief.address)}, 422, "bad_signature"),
        (good | {"issued_at": to_rfc3339(world.clock.now() - timedelta(1))}, 422, "bad_input"),
        (good | {"proof": "0x"}, 422, "bad_signature"),
        (good | {"proof": hex_of(high)}, 422, "malleable_signature"),
        (pairing_body(world, device, 2, owner=thief), 422, "bad_signature"),
        (pairing_body(world, device, 2, signed={"chain_id": 1}), 422, "bad_signature"),
        (pairing_body(world, device, 2, signed={"registry": thief.address}), 422, "bad_signature"),
    ]
    for body, status, code in cases:
        problem(world.post("/meters", body, world.member(body["account"])), status, code)
    for ago in (timedelta(hours=1, seconds=1), timedelta(seconds=-61)):
        body = pairing_body(world, device, 2, issued_at=world.clock.now() - ago)
        assert problem(world.post("/meters", body, world.member()), 422, "bad_input")
    problem(world.post("/meters", good, world.member(3)), 403, "not_allowed")
    problem(world.post("/meters", good, thief), 403, "not_allowed")
    nowhere = pairing_body(world, device, 3) | {"account": 4_000}
    problem(world.post("/meters", nowhere, thief), 404, "not_found")


def test_a_device_is_one_meter_at_a_time(world: PeopleWorld) -> None:
    device = new_wallet()
    first = world.post("/meters", pairing_body(world, device), world.member()).json()
    other = pairing_body(world, device, 3, label="mine now")
    problem(world.post("/meters", other, world.member(3)), 409, "already_paired")
    world.post(f"/pairings/{first['id']}/accept", {}, world.web.auditor)
    world.relay()
    problem(world.post("/meters", other, world.member(3)), 409, "already_paired")
    # It moves out; then it may be somebody's meter again, and is a new one.
    book = world.community.book()
    (term,) = book.terms_of_meter(bytes.fromhex(first["id"][2:]))  # type: ignore[arg-type]
    until_s = to_unix_s(term.valid_from) + 3_600
    end = registry.end(meter_id=term.meter_id, valid_until_s=until_s)
    registrar = world.community.keys.wallet("registrar")
    world.send_as(registrar, world.community.contracts.registry, end)
    second = world.post("/meters", other, world.member(3))
    assert second.status_code == 201, second.text
    assert second.json()["id"] != first["id"]


def test_a_device_that_was_refused_may_be_brought_again(world: PeopleWorld) -> None:
    device = new_wallet()
    body = pairing_body(world, device)
    asked = world.post("/meters", body, world.member()).json()
    path = f"/pairings/{asked['id']}"
    refused = world.post(f"{path}/refuse", {"reason": "not sealed"}, world.web.auditor)
    assert (refused.json()["state"], refused.json()["reason"]) == ("refused", "not sealed")
    problem(world.post(f"{path}/accept", {}, world.web.auditor), 409, "wrong_state")
    assert world.post("/meters", body, world.member()).status_code == 201


def test_a_key_that_speaks_for_a_configured_meter_is_not_paired(world: PeopleWorld) -> None:
    device = world.community.keys.wallet("meter:buyer")
    problem(
        world.post("/meters", pairing_body(world, device), world.member()), 409, "already_paired"
    )


@pytest.mark.parametrize("label", ["buyer", "0x12", " x", "a\nb", "", "l" * 101])
def test_a_label_that_stands_for_another_meter_is_refused(world: PeopleWorld, label: str) -> None:
    body = pairing_body(world, new_wallet()) | {"label": label}
    problem(world.post("/meters", body, world.member()), 422, "bad_input")


def test_an_account_cannot_draw_more_than_a_settlement_may_take(world: PeopleWorld) -> None:
    book, device = world.community.book(), new_wallet()
    account = joined(world, wallet := new_wallet())
    most_w = world.community.market_config.debit_max_wh  # Windows are hours.
    first = pairing_body(world, device, account, owner=wallet, limit_w=most_w - 10)
    assert world.post("/meters", first, wallet).status_code == 201
    body = pairing_body(world, new_wallet(), account, owner=wallet, limit_w=11)
    found = problem(world.post("/meters", body, wallet), 422, "out_of_range")
    assert (found["field"], found["value_max"]) == ("limit_w", 10)
    body = pairing_body(world, new_wallet(), account, owner=wallet, limit_w=10)
    assert world.post("/meters", body, wallet).status_code == 201
    assert len(book.meters()) == len(world.community.book().meters())


def test_a_member_cannot_bury_the_grid_operator_in_devices(
    world: PeopleWorld, newcomer: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "WAITING_MAX", 2)
    account = joined(world, newcomer)

    def ask() -> Any:
        wish = pairing_body(world, new_wallet(), account, owner=newcomer, limit_w=1)
        return world.post("/meters", wish, newcomer)

    asked = [ask() for _ in range(3)]
    assert [each.status_code for each in asked] == [201, 201, 429]
    refused = f"/pairings/{asked[0].json()['id']}/refuse"
    assert world.post(refused, {}, world.web.auditor).status_code == 200
    assert ask().status_code == 201


def test_a_registration_without_the_registrars_key_is_refused_with_its_reason(
    world: PeopleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = world.post("/meters", pairing_body(world, new_wallet()), world.member()).json()
    auditor = world.web.as_(world.web.auditor)
    keys = dict(world.community.keys._keys)
    monkeypatch.setattr(world.community.keys, "_known", keys)
    del keys["registrar"]
    path = f"/v1/pairings/{asked['id']}/accept"
    found = problem(world.web.client.post(path, headers=auditor), 409, "key_not_here")
    assert found["role"] == "registrar"


def test_a_meter_counts_from_the_window_after_its_acceptance_however_long_the_chain_takes(
    world: PeopleWorld,
) -> None:
    asked = world.post("/meters", pairing_body(world, new_wallet()), world.member()).json()
    world.post(f"/pairings/{asked['id']}/accept", {}, world.web.auditor)
    world.clock.pass_s(-world.community.now_s() % 3_600 + 10)  # Well within a window.
    window_s = world.community.market_config.window_s
    next_s = (world.community.now_s() // window_s + 1) * window_s
    errand = next(each for each in world.relaying._errands if each.name == "registrations")
    assert errand.step()
    world.clock.pass_s(2 * window_s)
    world.relay()
    (own, *_) = world.get("/meters", world.member()).json()["items"]
    assert (own["state"], own["valid_from"]) == ("registered", to_rfc3339(from_unix_s(next_s)))


def test_only_the_grid_operator_decides_about_meters(world: PeopleWorld) -> None:
    asked = world.post("/meters", pairing_body(world, new_wallet()), world.member()).json()
    for who in (world.member(), world.web.operator, world.web.stranger):
        problem(world.get("/pairings", who), 403, "not_allowed")
        for verb in ("accept", "refuse"):
            path = f"/pairings/{asked['id']}/{verb}"
            problem(world.post(path, {}, who), 403, "not_allowed")
    problem(world.post(f"/pairings/0x{'00' * 32}/accept", {}, world.web.auditor), 404, "not_found")


# Being forgotten.


def words_kept(world: PeopleWorld) -> str:
    """All that is kept of what people said, and were answered."""
    with world.community.engine.begin() as connection:
        return " ".join(
            str(tuple(row))
            for table in ("person", "pairing", "idempotent_answer")
            for row in connection.execute(text(f"SELECT * FROM {table}")).all()
        )


def test_whoever_is_forgotten_is_in_no_answer_to_whoever_decided_about_them(
    world: PeopleWorld, newcomer: Wallet
) -> None:
    asked = world.post("/join", JOIN | {"name": "Ada Vanish"}, newcomer, key="ask").json()
    path = f"/applications/{asked['id']}/refuse"
    assert world.post(path, {}, world.web.operator, key="refuse-vanish").status_code == 200
    other = world.post("/join", JOIN, new_wallet(), key="ask").json()
    assert words_kept(world).count("Ada Vanish") == 3
    forget_application(world.community, asked["id"])
    assert "Ada Vanish" not in words_kept(world)
    assert other["address"] in words_kept(world)


def test_what_a_member_called_devices_that_became_no_meter_is_forgotten(
    world: PeopleWorld, newcomer: Wallet
) -> None:
    account = joined(world, newcomer)
    for label in ("Vanish roof", "Vanish cellar"):
        wanted = pairing_body(world, new_wallet(), account, owner=newcomer, label=label)
        asked = world.post("/meters", wanted, newcomer, key=label.replace(" ", "-"))
        assert asked.status_code == 201, asked.text
    refused = f"/pairings/{asked.json()['id']}/refuse"
    assert world.post(refused, {}, world.web.auditor, key="no").status_code == 200
    forget_account(world.community, AccountId(account))
    assert "Vanish" not in words_kept(world)


def test_in_the_end_an_audit_finds_nothing(world: PeopleWorld) -> None:
    world.relay()
    assert world.relaying.problems() == []
    assert world.audit() == []
