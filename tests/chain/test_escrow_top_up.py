"""Adding to a deposit: the driver signs, anyone relays, and only while the session runs."""

import pytest

from tests.chain.escrow_world import DAY_S, DEPOSIT, Session, Site, moved, with_high_s
from tests.chain.evm_world import reverts

MORE = 3_000_001


def topped_up(site: Site, session: Session, add_micro: int = MORE) -> Session:
    site.fund(site.people.driver, add_micro)
    site.send("topUp", *site.topping_up(session, add_micro), sender=site.people.stranger)
    return session | {"depositMicro": session["depositMicro"] + add_micro}


def test_a_top_up_adds_exactly_its_amount(site: Site) -> None:
    _, session = site.open()
    site.fund(site.people.driver, MORE)
    before = site.money()
    arguments = site.topping_up(session, MORE)
    done = site.send("topUp", *arguments, sender=site.people.stranger)
    added = {
        "sessionId": site.session_id(session),
        "addMicro": MORE,
        "depositMicro": DEPOSIT + MORE,
        "nonce": arguments[1]["nonce"],
    }
    transfer = {"from": site.people.driver.address, "to": site.escrow.address, "value": MORE}
    assert done.events == [("ToppedUp", added), ("Transfer", transfer)]
    assert moved(before, site.money()) == {"driver": -MORE, "escrow": MORE}
    assert not site.is_open(session)
    assert site.is_open(session | {"depositMicro": DEPOSIT + MORE})


def test_the_whole_deposit_pays_and_the_whole_rest_comes_back(site: Site) -> None:
    _, session = site.open(depositMicro=5_000_000)
    session = topped_up(site, topped_up(site, session), 7)
    closing = site.closing(session)
    site.stopped(session)
    before = site.money()
    with reverts("ChargingEscrow_NotOpen", site.session_id(session)):
        old = closing | {"session": session | {"depositMicro": 5_000_000}}
        site.send("close", old, sender=site.people.host)
    site.send("close", closing, sender=site.people.host)
    rest = 5_000_000 + MORE + 7 - 5_433_333
    assert moved(before, site.money()) == {"escrow": -rest, "driver": rest, "credit": 5_433_333}


def test_a_top_up_may_come_by_permit(site: Site) -> None:
    _, session = site.open()
    site.mint(site.people.driver, MORE)
    *arguments, _ = site.topping_up(session, MORE)
    permit = site.permit(site.people.driver, MORE)
    site.send("topUp", *arguments, permit, sender=site.people.stranger)
    assert site.held() == DEPOSIT + MORE


def test_a_top_up_counts_once(site: Site) -> None:
    _, session = site.open()
    site.fund(site.people.driver, 3 * MORE)
    first = site.topping_up(session, MORE)
    site.send("topUp", *first, sender=site.people.stranger)
    with reverts("ChargingEscrow_NotOpen", site.session_id(session)):
        site.send("topUp", *first, sender=site.people.stranger)
    now = session | {"depositMicro": DEPOSIT + MORE}
    with reverts("ChargingEscrow_NonceUsed", site.people.driver.address, first[1]["nonce"]):
        site.send("topUp", now, *first[1:], sender=site.people.stranger)
    assert site.held() == DEPOSIT + MORE


def test_an_orders_nonce_is_used_for_a_top_up_too(site: Site) -> None:
    _, session = site.open()
    site.fund(site.people.driver, MORE)
    nonce = session["order"]["nonce"]
    with reverts("ChargingEscrow_NonceUsed", site.people.driver.address, nonce):
        arguments = site.topping_up(session, MORE, nonce=nonce)
        site.send("topUp", *arguments, sender=site.people.stranger)


def test_a_top_up_is_for_its_session_only(site: Site) -> None:
    _, session = site.open()
    site.fund(site.people.driver, MORE)
    arguments = site.topping_up(session, MORE, sessionId=b"\x01" * 32)
    with reverts("ChargingEscrow_WrongSession", site.session_id(session), b"\x01" * 32):
        site.send("topUp", *arguments, sender=site.people.stranger)


def test_a_top_up_is_for_a_session_that_is_open(site: Site) -> None:
    _, session = site.open()
    arguments = site.topping_up(session, MORE)
    site.send("cancel", session, sender=site.people.host)
    site.fund(site.people.driver, MORE)
    with reverts("ChargingEscrow_NotOpen", site.session_id(session)):
        site.send("topUp", *arguments, sender=site.people.stranger)


def test_a_session_is_topped_up_for_a_day(site: Site) -> None:
    _, session = site.open()
    site.fund(site.people.driver, 2 * MORE)
    first, second = site.topping_up(session, MORE), site.topping_up(session, MORE)
    ended = session["openedAt"] + DAY_S
    site.world.at(ended)
    site.send("topUp", *first, sender=site.people.stranger)
    now = session | {"depositMicro": DEPOSIT + MORE}
    site.world.at(ended + 1)
    with reverts("ChargingEscrow_SessionOver", site.session_id(session), ended):
        site.send("topUp", now, *second[1:], sender=site.people.stranger)


def test_a_top_up_of_nothing_is_refused(site: Site) -> None:
    _, session = site.open()
    with reverts("ChargingEscrow_ZeroDeposit"):
        site.send("topUp", *site.topping_up(session, 0), sender=site.people.stranger)


def test_a_deposit_stays_below_2_to_the_64(site: Site) -> None:
    _, session = site.open()
    most = 2**64 - 1
    room = most - DEPOSIT
    with reverts("ChargingEscrow_DepositTooLarge", most + 1, most):
        site.send("topUp", *site.topping_up(session, room + 1), sender=site.people.stranger)
    session = topped_up(site, session, room)
    assert site.is_open(session)
    before = site.money()
    site.send("cancel", session, sender=site.people.host)
    assert moved(before, site.money()) == {"escrow": -most, "driver": most}


@pytest.mark.parametrize("who", ["host", "stranger", "key"])
def test_only_the_driver_signs_a_top_up(site: Site, who: str) -> None:
    _, session = site.open()
    site.fund(site.people.driver, MORE)
    arguments = site.topping_up(session, MORE, getattr(site.people, who))
    with reverts("ChargingEscrow_BadSignature", site.people.driver.address):
        site.send("topUp", *arguments, sender=site.people.host)


@pytest.mark.parametrize("name", ["addMicro", "nonce"])
def test_no_digit_of_a_top_up_can_be_changed(site: Site, name: str) -> None:
    _, session = site.open()
    site.fund(site.people.driver, 2 * MORE)
    _, message, signature, permit = site.topping_up(session, MORE)
    changed = message | {name: message[name] + 1}
    with reverts("ChargingEscrow_BadSignature", site.people.driver.address):
        site.send("topUp", session, changed, signature, permit, sender=site.people.host)


def test_a_top_ups_signature_has_one_form_only(site: Site) -> None:
    _, session = site.open()
    site.fund(site.people.driver, MORE)
    _, message, good, permit = site.topping_up(session, MORE)
    for bad in (with_high_s(good), good[:64], good + b"\0", b""):
        with reverts("ChargingEscrow_BadSignature", site.people.driver.address):
            site.send("topUp", session, message, bad, permit, sender=site.people.host)


@pytest.mark.parametrize("domain", [{"chainId": 1}, {"verifyingContract": "0x" + "11" * 20}])
def test_a_top_up_for_another_chain_or_contract_is_refused(
    site: Site, domain: dict[str, int | str]
) -> None:
    _, session = site.open()
    site.fund(site.people.driver, MORE)
    _, message, _, permit = site.topping_up(session, MORE)
    signature = site.sign("TopUp", message, site.people.driver, **domain)
    with reverts("ChargingEscrow_BadSignature", site.people.driver.address):
        site.send("topUp", session, message, signature, permit, sender=site.people.host)


def test_a_top_up_without_tokens_changes_nothing(site: Site) -> None:
    _, session = site.open()
    arguments = site.topping_up(session, MORE)
    with reverts("ERC20InsufficientAllowance"):
        site.send("topUp", *arguments, sender=site.people.stranger)
    assert site.is_open(session)
    assert not site.read("isNonceUsed", site.people.driver.address, arguments[1]["nonce"])
