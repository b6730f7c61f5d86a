"""Opening a session: both sides want it, and exactly the deposit comes."""

import pytest
from eth_account.messages import encode_typed_data
from web3 import Web3

from tests.chain.escrow_world import (
    DEPOSIT,
    POWER_W,
    TARIFF,
    TYPES,
    Site,
    charger_id,
    moved,
    with_high_s,
)
from tests.chain.evm_world import reverts

ZERO_BUT_ONE = "0x" + "00" * 19 + "01"


def test_opening_takes_exactly_the_deposit_and_logs_the_whole_session(site: Site) -> None:
    order = site.order()
    site.fund(site.people.driver, DEPOSIT + 5)
    before = site.money()
    done = site.send("open", *site.opening(order), sender=site.people.host)
    session = site.session(order)
    opened = {
        "sessionId": site.session_id(session),
        "chargerId": site.charger,
        "driver": site.people.driver.address,
        "depositMicro": DEPOSIT,
        "tariff": TARIFF,
        "validUntil": order["validUntil"],
        "nonce": order["nonce"],
        "host": site.people.host.address,
        "recordKey": site.people.key.address,
        "powerW": POWER_W,
    }
    transfer = {
        "from": site.people.driver.address,
        "to": site.escrow.address,
        "value": DEPOSIT,
    }
    names = [name for name, _ in done.events]
    assert names == ["SessionOpened", "Transfer"]
    assert {k: v for k, v in done.events[0][1].items() if k != "tariff"} == {
        k: v for k, v in opened.items() if k != "tariff"
    }
    assert dict(done.events[0][1]["tariff"]) == TARIFF
    assert done.events[1][1] == transfer
    assert moved(before, site.money()) == {"driver": -DEPOSIT, "escrow": DEPOSIT}
    assert site.is_open(session)
    assert site.read("isNonceUsed", site.people.driver.address, order["nonce"])


def test_a_delegate_of_the_host_opens(site: Site) -> None:
    people = site.people
    with reverts("ChargingEscrow_NotHost", site.charger, people.delegate.address):
        site.open(sender=people.delegate)
    site.send("setDelegate", people.delegate.address, True, sender=people.host)
    _, session = site.open(sender=people.delegate)
    assert session["host"] == people.host.address
    assert site.is_open(session)


@pytest.mark.parametrize("who", ["driver", "stranger", "registrar", "key", "other_host"])
def test_nobody_but_the_host_and_its_delegates_opens(site: Site, who: str) -> None:
    by = getattr(site.people, who)
    site.send("setDelegate", by.address, True, sender=site.people.stranger)
    with reverts("ChargingEscrow_NotHost", site.charger, by.address):
        site.open(sender=by)


def test_an_unknown_charger_is_not_opened(site: Site) -> None:
    with reverts("ChargingEscrow_UnknownCharger", charger_id("none")):
        site.open(chargerId=charger_id("none"))


def test_a_charger_has_one_session_at_a_time(site: Site) -> None:
    _, session = site.open()
    with reverts("ChargingEscrow_ChargerBusy", site.charger):
        site.open(by=site.people.other_driver)
    site.send("cancel", session, sender=site.people.host)
    site.open(by=site.people.other_driver)


def test_an_order_is_good_up_to_its_last_second(site: Site) -> None:
    order = site.order()
    site.fund(site.people.driver, DEPOSIT)
    opening = site.opening(order)
    site.world.at(order["validUntil"] + 1)
    with reverts("ChargingEscrow_OrderExpired", order["validUntil"]):
        site.send("open", *opening, sender=site.people.host)
    order = site.order(validUntil=site.world.now + 50)
    opening = site.opening(order)
    site.world.at(order["validUntil"])
    site.send("open", *opening, sender=site.people.host)


def test_a_deposit_of_nothing_is_refused(site: Site) -> None:
    with reverts("ChargingEscrow_ZeroDeposit"):
        site.open(depositMicro=0)


def test_a_nonce_opens_once_in_any_order(site: Site) -> None:
    for nonce in (7, 2**256 - 1, 255, 256, 0):
        _, session = site.open(nonce=nonce)
        site.send("cancel", session, sender=site.people.host)
        with reverts("ChargingEscrow_NonceUsed", site.people.driver.address, nonce):
            site.open(nonce=nonce)
    assert not site.read("isNonceUsed", site.people.driver.address, 1)
    # Another driver's nonces are others.
    site.open(nonce=7, by=site.people.other_driver)


def test_the_same_order_cannot_be_opened_again_after_it_was_cancelled(site: Site) -> None:
    order = site.order()
    site.fund(site.people.driver, 2 * DEPOSIT)
    opening = site.opening(order)
    site.send("open", *opening, sender=site.people.host)
    site.send("cancel", site.session(order), sender=site.people.host)
    with reverts("ChargingEscrow_NonceUsed", site.people.driver.address, order["nonce"]):
        site.send("open", *opening, sender=site.people.host)


def test_a_driver_voids_an_order_that_was_not_opened(site: Site) -> None:
    driver = site.people.driver
    order = site.order()
    done = site.send("voidNonce", order["nonce"], sender=driver)
    facts = {"driver": driver.address, "nonce": order["nonce"]}
    assert done.events == [("NonceVoided", facts)]
    site.fund(driver, DEPOSIT)
    with reverts("ChargingEscrow_NonceUsed", driver.address, order["nonce"]):
        site.send("open", *site.opening(order), sender=site.people.host)
    with reverts("ChargingEscrow_NonceUsed", driver.address, order["nonce"]):
        site.send("voidNonce", order["nonce"], sender=driver)


def test_nobody_else_voids_a_drivers_nonce(site: Site) -> None:
    order = site.order()
    site.send("voidNonce", order["nonce"], sender=site.people.stranger)
    site.fund(site.people.driver, DEPOSIT)
    site.send("open", *site.opening(order), sender=site.people.host)


def test_only_the_driver_signs(site: Site) -> None:
    order = site.order()
    site.fund(site.people.driver, DEPOSIT)
    for other in (site.people.host, site.people.key, site.people.other_driver):
        with reverts("ChargingEscrow_BadSignature", site.people.driver.address):
            site.send("open", *site.opening(order, signer=other), sender=site.people.host)


def test_no_digit_of_an_order_can_be_changed(site: Site) -> None:
    order = site.order()
    site.register(charger_id("next"))
    site.fund(site.people.driver, 2 * DEPOSIT)
    _, signature, permit = site.opening(order)
    changes = [{name: order[name] + 1} for name in ("depositMicro", "validUntil", "nonce")]
    changes += [{"tariff": TARIFF | {name: TARIFF[name] + 1}} for name in TARIFF]
    changes += [{"chargerId": charger_id("next")}]
    for change in changes:
        with reverts("ChargingEscrow_BadSignature", site.people.driver.address):
            site.send("open", order | change, signature, permit, sender=site.people.host)
    other = site.people.other_driver.address
    with reverts("ChargingEscrow_BadSignature", other):
        site.send("open", order | {"driver": other}, signature, permit, sender=site.people.host)
    zero = "0x" + "00" * 20
    with reverts("ChargingEscrow_BadSignature", zero):
        site.send("open", order | {"driver": zero}, b"\0" * 65, permit, sender=site.people.host)


@pytest.mark.parametrize(
    "domain",
    [
        {"chainId": 1},
        {"verifyingContract": "0x" + "11" * 20},
        {"name": "Wattledger Demo Token"},
        {"version": "2"},
    ],
    ids=str,
)
def test_an_order_for_another_chain_or_contract_is_refused(
    site: Site, domain: dict[str, int | str]
) -> None:
    order = site.order()
    site.fund(site.people.driver, DEPOSIT)
    with reverts("ChargingEscrow_BadSignature", site.people.driver.address):
        site.send("open", *site.opening(order, **domain), sender=site.people.host)


@pytest.mark.parametrize("form", ["high s", "64 bytes", "66 bytes", "empty", "v 0"])
def test_an_orders_signature_has_one_form_only(site: Site, form: str) -> None:
    order = site.order()
    site.fund(site.people.driver, DEPOSIT)
    _, good, permit = site.opening(order)
    bad = {
        "high s": with_high_s(good),
        "64 bytes": good[:64],
        "66 bytes": good + b"\0",
        "empty": b"",
        "v 0": good[:64] + bytes([good[64] - 27]),
    }[form]
    with reverts("ChargingEscrow_BadSignature", site.people.driver.address):
        site.send("open", order, bad, permit, sender=site.people.host)


def test_a_driver_may_be_a_contract_that_answers_for_its_owner(site: Site) -> None:
    wallet = site.wallet(site.people.driver, DEPOSIT + 7).address
    order = site.order(driver=wallet)
    with reverts("ChargingEscrow_BadSignature", wallet):
        opening = site.opening(order, signer=site.people.stranger)
        site.send("open", *opening, sender=site.people.host)
    site.send("open", *site.opening(order), sender=site.people.host)
    assert (site.held(wallet), site.held()) == (7, DEPOSIT)
    session = site.session(order)
    site.send("topUp", *site.topping_up(session, 7), sender=site.people.stranger)
    assert (site.held(wallet), site.held()) == (0, DEPOSIT + 7)
    site.send("cancel", session | {"depositMicro": DEPOSIT + 7}, sender=site.people.host)
    assert (site.held(wallet), site.held()) == (DEPOSIT + 7, 0)


def test_a_deposit_without_allowance_or_tokens_is_refused(site: Site) -> None:
    driver = site.people.driver
    opening = site.opening(site.order())
    with reverts("ERC20InsufficientAllowance", site.escrow.address, 0, DEPOSIT):
        site.send("open", *opening, sender=site.people.host)
    site.fund(driver, DEPOSIT)
    site.world.send(site.token, "transfer", ZERO_BUT_ONE, 1, sender=driver.address)
    with reverts("ERC20InsufficientBalance", driver.address, DEPOSIT - 1, DEPOSIT):
        site.send("open", *opening, sender=site.people.host)
    assert site.charger_now()["session"] == bytes(32)
    assert not site.read("isNonceUsed", driver.address, opening[0]["nonce"])


def test_a_permit_is_enough(site: Site) -> None:
    driver = site.people.driver
    site.mint(driver, DEPOSIT)
    before = site.money()
    opening = site.opening(site.order(), site.permit(driver, DEPOSIT))
    site.send("open", *opening, sender=site.people.host)
    assert moved(before, site.money()) == {"driver": -DEPOSIT, "escrow": DEPOSIT}


def test_a_permit_that_a_front_runner_brought_to_the_token_still_pays(site: Site) -> None:
    driver = site.people.driver
    site.mint(driver, DEPOSIT)
    permit = site.permit(driver, DEPOSIT)
    opening = site.opening(site.order(), permit)
    raw = permit["signature"]
    parts = (permit["deadline"], raw[64], raw[:32], raw[32:64])
    by = site.people.stranger.address
    spender = site.escrow.address
    site.world.send(site.token, "permit", driver.address, spender, DEPOSIT, *parts, sender=by)
    site.send("open", *opening, sender=site.people.host)
    assert site.held() == DEPOSIT


@pytest.mark.parametrize("wrong", ["amount", "nonce", "deadline", "spender", "signer", "bytes"])
def test_a_permit_that_is_wrong_neither_helps_nor_hurts(site: Site, wrong: str) -> None:
    driver = site.people.driver
    site.mint(driver, DEPOSIT)
    permits = {
        "amount": lambda: site.permit(driver, DEPOSIT - 1),
        "nonce": lambda: site.permit(driver, DEPOSIT, 1),
        "deadline": lambda: site.permit(driver, DEPOSIT, deadline=site.world.now - 1),
        "spender": lambda: site.permit(driver, DEPOSIT, spender=driver.address),
        "signer": lambda: site.permit(site.people.stranger, DEPOSIT, owner=driver.address),
        "bytes": lambda: {"deadline": 2**256 - 1, "signature": b"\xff" * 3},
    }
    opening = site.opening(site.order(), permits[wrong]())
    with reverts("ERC20InsufficientAllowance", site.escrow.address, 0, DEPOSIT):
        site.send("open", *opening, sender=site.people.host)
    by = driver.address
    site.world.send(site.token, "approve", site.escrow.address, DEPOSIT, sender=by)
    site.send("open", *opening, sender=site.people.host)
    assert site.held() == DEPOSIT


def test_an_allowance_alone_moves_nobodys_tokens(site: Site) -> None:
    site.fund(site.people.driver, 10 * DEPOSIT)
    before = site.money()
    forged = site.opening(site.order(), signer=site.people.host)
    with reverts("ChargingEscrow_BadSignature", site.people.driver.address):
        site.send("open", *forged, sender=site.people.host)
    assert moved(before, site.money()) == {}


def test_what_the_session_hash_is_made_of(site: Site) -> None:
    _, session = site.open()
    types = ["bytes32", "address", "address", "uint64", "uint64", "uint64"]
    names = ("host", "recordKey", "powerW", "openedAt", "depositMicro")
    values = [site.session_id(session), *(session[name] for name in names)]
    expected = Web3.keccak(site.world.web3.codec.encode(types, values))
    assert site.charger_now()["session"] == expected == site.read("sessionHashOf", session)


def test_the_session_id_is_the_digest_that_wallets_compute(site: Site) -> None:
    order = site.order(nonce=2**256 - 1, depositMicro=2**64 - 1, validUntil=2**64 - 1)
    domain = {
        "name": "Wattledger",
        "version": "1",
        "chainId": site.world.web3.eth.chain_id,
        "verifyingContract": site.escrow.address,
    }
    types = {
        name: [{"name": field, "type": kind} for kind, field in TYPES[name]]
        for name in ("ChargeOrder", "Tariff")
    }
    signable = encode_typed_data(domain, types, order)
    digest = Web3.keccak(b"\x19\x01" + signable.header + signable.body)
    assert site.read("sessionIdOf", order) == digest
