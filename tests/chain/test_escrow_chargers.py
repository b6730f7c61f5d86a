"""Chargers, their hosts and delegates, and what the registrar may and may not do."""

import pytest

from tests.chain.escrow_world import FIRST_WH, POWER_W, ZERO, Site, charger_id, moved
from tests.chain.evm_world import World, reverts

OTHER = charger_id("AB*E1234/2")
REGISTER_MAX = 10**12
POWER_MAX = 10**7


def test_an_escrow_needs_a_six_decimal_token_and_a_registry(evm: World, site: Site) -> None:
    assert site.read("token") == site.token.address
    assert site.read("registry") == site.registry.address
    with evm.undone():
        odd = evm.deploy("DecimalsToken")
        with reverts("ChargingEscrow_WrongDecimals", 18, 6):
            evm.deploy("ChargingEscrow", odd.address, site.registry.address)
        with reverts("0x"):
            evm.deploy("ChargingEscrow", site.token.address, site.people.stranger.address)


def test_a_registered_charger_is_free_and_has_its_register(site: Site) -> None:
    done = site.register(OTHER)
    people = site.people
    parties = {"host": people.host.address, "recordKey": people.key.address}
    assert done.events == [
        ("RegisterReset", {"chargerId": OTHER, "fromWh": 0, "toWh": FIRST_WH}),
        ("ChargerRegistered", {"chargerId": OTHER, "powerW": POWER_W} | parties),
    ]
    expected = {"powerW": POWER_W, "lastWh": FIRST_WH, "creditMicro": 0, "session": bytes(32)}
    assert site.charger_now(OTHER) == parties | expected
    assert site.charger_now(charger_id("none"))["host"] == ZERO


@pytest.mark.parametrize("name", ["register", "change"])
def test_only_the_registrar_registers_and_changes(site: Site, name: str) -> None:
    people = site.people
    for by in (people.host, people.stranger, people.delegate):
        with reverts("ChargingEscrow_NotRegistrar", by.address):
            getattr(site, name)(sender=by)


def test_the_registrar_is_whoever_it_is_now(site: Site) -> None:
    people = site.people
    by = people.registrar.address
    site.world.send(site.registry, "announceRegistrar", people.stranger.address, sender=by)
    site.register(OTHER)
    site.world.send(site.registry, "acceptRegistrar", sender=people.stranger.address)
    with reverts("ChargingEscrow_NotRegistrar", by):
        site.change()
    site.change(sender=people.stranger)


def test_a_charger_is_registered_once(site: Site) -> None:
    with reverts("ChargingEscrow_ChargerKnown", site.charger):
        site.register()


@pytest.mark.parametrize("name", ["register", "change"])
@pytest.mark.parametrize("party", ["host", "recordKey"])
def test_neither_host_nor_key_may_be_zero(site: Site, name: str, party: str) -> None:
    arguments = (OTHER,) if name == "register" else ()
    with reverts("ChargingEscrow_ZeroAddress"):
        getattr(site, name)(*arguments, **{party: ZERO})


@pytest.mark.parametrize("name", ["register", "change"])
def test_the_power_lies_between_1_w_and_10_mw(site: Site, name: str) -> None:
    arguments = (OTHER,) if name == "register" else ()
    for power_w in (0, POWER_MAX + 1, 2**32 + 1, 2**64 - 1):
        with reverts("ChargingEscrow_PowerOutOfRange", power_w, POWER_MAX):
            getattr(site, name)(*arguments, powerW=power_w)
    getattr(site, name)(*arguments, powerW=POWER_MAX)
    site.change(powerW=1)
    assert site.charger_now()["powerW"] == 1


def test_a_register_is_at_most_a_tera_watt_hour(site: Site) -> None:
    for register_wh in (REGISTER_MAX + 1, 2**40, 2**64 - 1):
        with reverts("ChargingEscrow_RegisterOutOfRange", register_wh, REGISTER_MAX):
            site.register(OTHER, lastWh=register_wh)
        with reverts("ChargingEscrow_RegisterOutOfRange", register_wh, REGISTER_MAX):
            site.send("resetRegister", site.charger, register_wh, sender=site.people.registrar)
    site.register(OTHER, lastWh=REGISTER_MAX)
    assert site.charger_now(OTHER)["lastWh"] == REGISTER_MAX


def test_a_charger_that_is_not_registered_is_neither_changed_nor_reset(site: Site) -> None:
    by = site.people.registrar
    values = (site.people.host.address, site.people.key.address, POWER_W)
    with reverts("ChargingEscrow_UnknownCharger", OTHER):
        site.send("change", OTHER, *values, sender=by)
    with reverts("ChargingEscrow_UnknownCharger", OTHER):
        site.send("resetRegister", OTHER, 1, sender=by)


def test_a_change_keeps_register_and_credit_of_the_same_host(site: Site) -> None:
    closed(site)
    before = site.charger_now()
    done = site.change(recordKey=site.people.other_key.address, powerW=11_000)
    assert [name for name, _ in done.events] == ["ChargerRegistered"]
    changed = {"recordKey": site.people.other_key.address, "powerW": 11_000}
    assert before["creditMicro"] > 0
    assert site.charger_now() == before | changed


def test_a_host_that_is_replaced_keeps_what_it_earned(site: Site) -> None:
    closed(site)
    before, charger = site.money(), site.charger_now()
    credit = charger["creditMicro"]
    done = site.change(host=site.people.other_host.address)
    assert done.events[1:] == [
        ("Owed", {"owed": site.people.host.address, "amountMicro": credit}),
    ]
    assert moved(before, site.money()) == {"credit": -credit, "host owed": credit}
    assert site.charger_now() == charger | {
        "host": site.people.other_host.address,
        "creditMicro": 0,
    }
    site.send("claim", site.people.host.address, sender=site.people.stranger)
    assert moved(before, site.money()) == {"credit": -credit, "host": credit, "escrow": -credit}


def test_a_register_is_reset_only_while_the_charger_is_free(site: Site) -> None:
    by = site.people.registrar
    _, session = site.open()
    with reverts("ChargingEscrow_ChargerBusy", site.charger):
        site.send("resetRegister", site.charger, 5, sender=by)
    site.send("cancel", session, sender=site.people.host)
    done = site.send("resetRegister", site.charger, 5, sender=by)
    facts = {"chargerId": site.charger, "fromWh": FIRST_WH, "toWh": 5}
    assert done.events == [("RegisterReset", facts)]
    assert site.charger_now()["lastWh"] == 5
    with reverts("ChargingEscrow_NotRegistrar", site.people.host.address):
        site.send("resetRegister", site.charger, 6, sender=site.people.host)


def test_a_delegate_is_the_hosts_own_choice_and_can_be_dismissed(site: Site) -> None:
    people = site.people
    delegate = people.delegate.address
    done = site.send("setDelegate", delegate, True, sender=people.host)
    facts = {"host": people.host.address, "delegate": delegate, "allowed": True}
    assert done.events == [("DelegateSet", facts)]
    assert site.read("isDelegate", people.host.address, delegate)
    assert not site.read("isDelegate", people.other_host.address, delegate)
    assert not site.read("isDelegate", delegate, people.host.address)
    done = site.send("setDelegate", delegate, False, sender=people.host)
    assert done.events == [("DelegateSet", facts | {"allowed": False})]
    assert not site.read("isDelegate", people.host.address, delegate)


def closed(site: Site) -> None:
    """A session that left the host a credit."""
    _, session = site.open()
    site.stopped(session)
    site.send("close", site.closing(session), sender=site.people.stranger)
