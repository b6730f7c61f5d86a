"""Who gets past the handshake: HTTP Basic with the charger's own name."""

import asyncio
import base64

import pytest

from charging.ocpp.admission import may_enter, password_of
from charging.ocpp.dialects import chosen_subprotocol
from tests.ocpp_world import PASSWORD, MemoryDoor


def basic(user: str, password: bytes) -> str:
    return "Basic " + base64.b64encode(user.encode() + b":" + password).decode()


def enters(charge_point_id: str, authorization: str | None, name: str | None = None) -> bool:
    door = MemoryDoor(certificates={"CP-9": "cp-nine"})
    return asyncio.run(
        may_enter(door, charge_point_id, authorization=authorization, certificate_name=name)
    )


def test_the_right_name_and_password_enter() -> None:
    assert enters("CP-1", basic("CP-1", PASSWORD))
    assert enters("CP-1", basic("CP-1", PASSWORD).replace("Basic", "basic"))


def test_a_name_with_a_colon_is_told_from_its_password() -> None:
    assert enters("CP:3", basic("CP:3", PASSWORD))


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"CP-1").decode(),
        "Bearer " + base64.b64encode(b"CP-1:" + PASSWORD).decode(),
        basic("CP-1", b"wrong"),
        basic("CP-1", b""),
        basic("cp-1", PASSWORD),
        basic("CP-2", PASSWORD),
        basic("CP-11", PASSWORD),
        basic("Ünbekannt", PASSWORD),
    ],
)
def test_anything_else_stays_outside(authorization: str | None) -> None:
    assert not enters("CP-1", authorization)


@pytest.mark.parametrize("charge_point_id", ["", "CP 1", "CP/1", "x" * 49, "CP-1\n", "CP-ä"])
def test_an_id_that_is_none_stays_outside(charge_point_id: str) -> None:
    assert not enters(charge_point_id, basic(charge_point_id, PASSWORD))


def test_a_certificate_enters_where_the_door_knows_its_name() -> None:
    assert enters("CP-9", None, "cp-nine")
    assert not enters("CP-9", None, "cp-eight")
    assert not enters("CP-9", None)
    assert not enters("CP-9", basic("CP-1", PASSWORD), "cp-nine")


def test_a_password_is_bytes_whatever_they_are() -> None:
    key = bytes(range(128, 148))
    assert password_of(basic("CP-1", key), "CP-1") == key
    assert password_of(basic("CP-1", b"a:b"), "CP-1") == b"a:b"


def test_the_first_subprotocol_that_is_known_is_chosen() -> None:
    assert chosen_subprotocol(["ocpp2.1", "ocpp2.0.1", "ocpp1.6"]) == "ocpp2.0.1"
    assert chosen_subprotocol(["ocpp1.6", "ocpp2.0.1"]) == "ocpp1.6"
    assert chosen_subprotocol(["ocpp1.5", "OCPP1.6"]) is None
    assert chosen_subprotocol([]) is None
