"""Signing in with Ethereum over HTTP: what works once, and all that does not."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from api.jobs.community import Community
from api.sign_in import NONCE_S, TOKEN_S
from ledger.chain.wallet import Wallet, new_wallet
from ledger.keccak import HALF_ORDER, checksum_address, personal_digest
from ledger.units import to_rfc3339
from tests.api.http_world import World, community_in, problem, world_of

ORDER = 2 * HALF_ORDER + 1


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with community_in(tmp_path_factory.mktemp("sign-in")) as community:
        yield community


@pytest.fixture
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


def me(world: World, token: str) -> Any:
    return world.client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})


def test_a_signed_message_gives_a_token_that_says_who_i_am(world: World) -> None:
    response = world.log_in(world.driver)
    assert response.status_code == 200
    found = response.json()
    address = checksum_address(world.driver.address)
    assert found["token_type"] == "bearer"
    assert found["expires_in"] == TOKEN_S
    assert (found["address"], found["roles"]) == (address, ["driver"])
    assert me(world, found["access_token"]).json() == {
        "address": address,
        "roles": ["driver"],
        "accounts": [],
        "expires_at": to_rfc3339(world.clock() + timedelta(seconds=TOKEN_S)),
    }
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("who", "roles", "accounts"),
    [
        ("driver", ["driver"], []),
        ("member", ["driver", "member"], [2]),
        ("host", ["driver", "host"], []),
        ("operator", ["driver", "operator"], []),
        ("auditor", ["auditor", "driver"], [1]),
    ],
)
def test_roles_are_what_market_and_chargers_say(
    world: World, who: str, roles: list[str], accounts: list[int]
) -> None:
    response = world.log_in(getattr(world, who))
    assert response.json()["roles"] == roles
    assert me(world, response.json()["access_token"]).json()["accounts"] == accounts


def test_a_nonce_signs_somebody_in_once(world: World) -> None:
    message = world.message(world.driver)
    assert world.log_in(world.driver, message).status_code == 200
    found = problem(world.log_in(world.driver, message), 401, "not_authenticated")
    assert found["field"] == "nonce"


def test_a_nonce_that_nobody_gave_out_signs_nobody_in(world: World) -> None:
    message = world.message(world.driver, nonce="a" * 32)
    assert problem(world.log_in(world.driver, message), 401, "not_authenticated")["field"] == (
        "nonce"
    )


def test_a_nonce_lives_for_minutes(world: World) -> None:
    message = world.message(world.driver)
    world.clock.pass_s(NONCE_S)
    problem(world.log_in(world.driver, message), 401, "not_authenticated")
    message = world.message(world.driver)
    world.clock.pass_s(NONCE_S - 1)
    assert world.log_in(world.driver, message).status_code == 200


def test_a_failed_attempt_does_not_use_the_nonce_up(world: World) -> None:
    nonce = world.nonce()
    wrong = world.message(world.driver, nonce=nonce, chain_id=1)
    problem(world.log_in(world.driver, wrong), 401, "wrong_chain")
    assert world.log_in(world.driver, world.message(world.driver, nonce=nonce)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"domain": "evil.example"}, "not_authenticated", "domain"),
        ({"domain": "testserver:8000"}, "not_authenticated", "domain"),
        ({"chain_id": 1}, "wrong_chain", "chain_id"),
        ({"issued_at": "2026-11-25T12:02:00Z"}, "not_authenticated", "issued_at"),
        (
            {"tail": "\nExpiration Time: 2026-11-25T12:00:00Z"},
            "not_authenticated",
            "expiration_time",
        ),
        ({"tail": "\nNot Before: 2026-11-25T13:00:00+00:30"}, "not_authenticated", "not_before"),
    ],
)
def test_a_message_for_another_place_or_time_signs_nobody_in(
    world: World, changes: dict[str, Any], code: str, field: str
) -> None:
    message = world.message(world.driver, **changes)
    found = problem(world.log_in(world.driver, message), 401, code)
    assert found["field"] == field


def test_times_of_a_message_may_have_offsets_and_be_fulfilled(world: World) -> None:
    tail = "\nExpiration Time: 2026-11-25T14:00:01+02:00\nNot Before: 2026-11-25T11:00:00-01:00"
    message = world.message(world.driver, tail=tail)
    assert world.log_in(world.driver, message).status_code == 200


def test_a_message_passed_on_by_another_site_signs_nobody_in(world: World) -> None:
    # The other site asks us under its own name, and had a visitor sign that.
    message = world.message(world.driver, domain="evil.example")
    signature = "0x" + world.driver.sign_digest(personal_digest(message)).hex()
    response = world.client.post(
        "/v1/auth/login",
        json={"message": message, "signature": signature},
        headers={"Host": "evil.example"},
    )
    found = problem(response, 401, "not_authenticated")
    assert (found["field"], "go by" in found["rule"]) == ("domain", True)


def test_only_the_address_in_the_message_can_sign_it(world: World) -> None:
    message = world.message(world.driver)
    problem(world.log_in(world.stranger, message), 401, "bad_signature")


@pytest.mark.parametrize(
    "signature", ["0x", "0x00", "0x" + "00" * 65, "0x" + "ff" * 65, "0x" + "11" * 64 + "1d"]
)
def test_what_is_no_signature_signs_nobody_in(world: World, signature: str) -> None:
    body = {"message": world.message(world.driver), "signature": signature}
    problem(world.client.post("/v1/auth/login", json=body), 401, "bad_signature")


def test_a_signature_of_the_second_form_signs_nobody_in(world: World) -> None:
    message = world.message(world.driver)
    good = world.driver.sign_digest(personal_digest(message))
    high = (ORDER - int.from_bytes(good[32:64])).to_bytes(32)
    second = good[:32] + high + bytes([55 - good[64]])
    body = {"message": message, "signature": "0x" + second.hex()}
    problem(world.client.post("/v1/auth/login", json=body), 401, "bad_signature")


def test_a_contract_wallet_is_told_that_it_cannot_sign_in(world: World) -> None:
    class Contract:
        address = world.community.contracts.market

    message = world.message(Contract, domain="testserver")  # type: ignore[arg-type]
    found = problem(world.log_in(world.driver, message), 401, "bad_signature")
    assert "ERC-1271" in found["rule"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Version: 1", "Version: 2"),
        ("0x", "0X"),
        ("\n\nSee", "\nSee"),
        ("See my charges.", "See “my” charges."),
        ("Nonce: ", "Nonce:"),
        ("\nURI: http://testserver/", "\nURI: nowhere"),
        ("account:", "account: "),
        ("Issued At: 2026-11-25T12:00:00Z", "Issued At: 2026-11-25 12:00:00Z"),
        ("Issued At: 2026-11-25T12:00:00Z", "Issued At: 2026-02-30T12:00:00Z"),
        ("Issued At: 2026-11-25T12:00:00Z", "Issued At: 2026-11-25T12:00:00"),
        ("Issued At: 2026-11-25T12:00:00Z", "Issued At: 2026-11-25T12:00:00Z\n"),
        ("Issued At: 2026-11-25T12:00:00Z", "Issued At: 0001-01-01T00:00:00+14:00"),
        ("\n", "\r\n"),
    ],
)
def test_a_message_that_is_not_eip_4361_names_its_line(world: World, old: str, new: str) -> None:
    message = world.message(world.driver)
    assert old in message
    found = problem(world.log_in(world.driver, message.replace(old, new)), 422, "bad_input")
    assert found["field"] == "message"
    assert found["rule"].startswith("line ")


def test_an_address_must_be_in_its_checksum_spelling(world: World) -> None:
    lower = "0x" + world.driver.address.hex()
    message = world.message(world.driver, address=lower)
    found = problem(world.log_in(world.driver, message), 422, "bad_input")
    assert "line 2" in found["rule"]


def test_a_token_ends_with_its_time(world: World) -> None:
    token = world.token(world.driver)
    world.clock.pass_s(TOKEN_S - 1)
    assert me(world, token).status_code == 200
    world.clock.pass_s(1)
    problem(me(world, token), 401, "not_authenticated")


def test_a_token_ends_with_signing_out_and_others_stay(world: World) -> None:
    token, other = world.token(world.driver), world.token(world.driver)
    headers = {"Authorization": f"Bearer {token}"}
    assert world.client.post("/v1/auth/logout", headers=headers).status_code == 204
    problem(me(world, token), 401, "not_authenticated")
    assert me(world, other).status_code == 200


@pytest.mark.parametrize(
    "header", ["", "Bearer ", "Bearer x", "Basic YTpi", "Bearer " + "a" * 5000]
)
def test_what_is_no_token_is_nobody(world: World, header: str) -> None:
    response = world.client.get("/v1/me", headers={"Authorization": header})
    problem(response, 401, "not_authenticated")
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_token_with_one_letter_changed_is_nobody(world: World) -> None:
    token = world.token(world.driver)
    changed = ("A" if token[0] != "A" else "B") + token[1:]
    problem(me(world, changed), 401, "not_authenticated")


def test_neither_token_nor_nonce_can_be_read_from_the_database(world: World) -> None:
    nonce, token = world.nonce(), world.token(world.driver)
    with world.community.engine.begin() as connection:
        rows = [
            *connection.execute(text("SELECT * FROM auth_nonce")),
            *connection.execute(text("SELECT * FROM auth_token")),
        ]
    kept = b"".join(value for row in rows for value in row if isinstance(value, bytes))
    assert kept
    assert nonce.encode() not in kept
    assert bytes.fromhex(nonce) not in kept
    assert token.encode() not in kept


def test_what_is_over_is_forgotten(world: World) -> None:
    world.nonce()
    world.token(world.driver)
    world.clock.pass_s(10 * TOKEN_S)
    world.token(world.driver)
    with world.community.engine.begin() as connection:
        tokens = connection.execute(text("SELECT count(*) FROM auth_token")).scalar_one()
        nonces = connection.execute(text("SELECT count(*) FROM auth_nonce")).scalar_one()
    assert (tokens, nonces) == (1, 0)


# The cookie of the pages.


def with_cookie(world: World, wallet: Wallet) -> str:
    response = world.log_in(wallet, cookie=True)
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie  # The test asks over http.
    token: str = response.json()["access_token"]
    assert world.client.cookies["wattledger_session"] == token
    return token


def test_a_page_gets_a_cookie_that_scripts_cannot_read(world: World) -> None:
    with_cookie(world, world.driver)
    assert world.client.get("/v1/me").json()["address"] == checksum_address(world.driver.address)


def test_over_https_the_cookie_stays_there(world: World) -> None:
    world.client.base_url = "https://testserver"  # type: ignore[assignment]
    response = world.log_in(new_wallet(), cookie=True)
    assert "secure" in response.headers["set-cookie"].lower()
    assert "strict-transport-security" in response.headers


def test_the_header_counts_before_the_cookie(world: World) -> None:
    with_cookie(world, world.driver)
    other = me(world, world.token(world.stranger)).json()
    assert other["address"] == checksum_address(world.stranger.address)
    problem(me(world, "nonsense"), 401, "not_authenticated")


def test_an_origin_that_is_none_does_nothing_with_the_cookie_either(world: World) -> None:
    with_cookie(world, world.driver)
    for origin in ("http://[", "null", "http://]:1"):
        response = world.client.post("/v1/auth/logout", headers={"Origin": origin})
        problem(response, 403, "not_allowed")
    world.client.cookies.clear()


def test_another_origin_does_nothing_with_the_cookie(world: World) -> None:
    token = with_cookie(world, world.driver)
    for origin in ("http://evil.example", "http://testserver:8001", "null"):
        response = world.client.post("/v1/auth/logout", headers={"Origin": origin})
        problem(response, 403, "not_allowed")
    assert me(world, token).status_code == 200
    own = world.client.post("/v1/auth/logout", headers={"Origin": "http://testserver"})
    assert own.status_code == 204
    assert "wattledger_session" not in world.client.cookies
