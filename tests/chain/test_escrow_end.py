"""Ways to end a session without a record, and how what was earned or is owed is paid out."""

import pytest

from tests.chain.escrow_world import CLOSABLE_S, DEPOSIT, ZERO, Site, moved
from tests.chain.evm_world import reverts

PAID = 5_433_333


def test_the_host_cancels_at_any_time_with_a_full_refund(site: Site) -> None:
    _, session = site.open()
    before = site.money()
    done = site.send("cancel", session, sender=site.people.host)
    facts = {"sessionId": site.session_id(session), "chargerId": site.charger}
    transfer = {"from": site.escrow.address, "to": site.people.driver.address, "value": DEPOSIT}
    assert done.events == [
        ("SessionCancelled", facts | {"refundedMicro": DEPOSIT}),
        ("Transfer", transfer),
    ]
    assert moved(before, site.money()) == {"escrow": -DEPOSIT, "driver": DEPOSIT}
    assert site.charger_now()["session"] == bytes(32)

    _, session = site.open()
    site.world.at(session["openedAt"] + 10 * CLOSABLE_S)
    site.send("cancel", session, sender=site.people.host)
    assert site.held() == 0


@pytest.mark.parametrize("who", ["driver", "registrar", "key", "stranger", "other_host"])
def test_nobody_else_cancels(site: Site, who: str) -> None:
    _, session = site.open()
    by = getattr(site.people, who)
    with reverts("ChargingEscrow_NotHost", site.charger, by.address):
        site.send("cancel", session, sender=by)


def test_delegates_of_both_hosts_cancel(site: Site) -> None:
    """After a change of hosts both may: a refund harms nobody."""
    people = site.people
    _, session = site.open()
    site.send("setDelegate", people.delegate.address, True, sender=people.host)
    site.send("setDelegate", people.stranger.address, True, sender=people.other_host)
    with reverts("ChargingEscrow_NotHost", site.charger, people.stranger.address):
        site.send("cancel", session, sender=people.stranger)
    site.change(host=people.other_host.address)
    for by in (people.host, people.delegate, people.other_host, people.stranger):
        with site.world.undone():
            site.send("cancel", session, sender=by)
            assert site.held(people.driver.address) == DEPOSIT


def test_a_session_is_cancelled_once(site: Site) -> None:
    _, session = site.open()
    site.send("cancel", session, sender=site.people.host)
    for name, by in (("cancel", site.people.host), ("reclaim", site.people.driver)):
        with reverts("ChargingEscrow_NotOpen", site.session_id(session)):
            site.send(name, session, sender=by)
    _, other = site.open()
    with reverts("ChargingEscrow_NotOpen", site.session_id(session)):
        site.send("cancel", session, sender=site.people.host)
    assert site.is_open(other)


def test_the_driver_reclaims_everything_after_four_days(site: Site) -> None:
    _, session = site.open()
    before = site.money()
    first = session["openedAt"] + CLOSABLE_S + 1
    for at in (session["openedAt"] + 1, first - 1):
        site.world.at(at)
        with reverts("ChargingEscrow_TooEarly", site.session_id(session), first):
            site.send("reclaim", session, sender=site.people.driver)
    site.world.at(first)
    done = site.send("reclaim", session, sender=site.people.driver)
    facts = {"sessionId": site.session_id(session), "chargerId": site.charger}
    assert done.events[0] == ("SessionReclaimed", facts | {"refundedMicro": DEPOSIT})
    assert moved(before, site.money()) == {"escrow": -DEPOSIT, "driver": DEPOSIT}
    with reverts("ChargingEscrow_NotOpen", site.session_id(session)):
        site.send("reclaim", session, sender=site.people.driver)
    site.open()


@pytest.mark.parametrize("who", ["host", "registrar", "key", "stranger", "other_driver"])
def test_nobody_else_reclaims(site: Site, who: str) -> None:
    _, session = site.open()
    by = getattr(site.people, who)
    site.world.at(session["openedAt"] + CLOSABLE_S + 1)
    with reverts("ChargingEscrow_NotDriver", site.people.driver.address, by.address):
        site.send("reclaim", session, sender=by)


@pytest.mark.parametrize("name", ["cancel", "reclaim"])
def test_a_session_is_ended_only_as_it_was_opened(site: Site, name: str) -> None:
    _, session = site.open()
    site.world.at(session["openedAt"] + CLOSABLE_S + 1)
    by = site.people.host if name == "cancel" else site.people.driver
    changes = [
        {"depositMicro": DEPOSIT + 1},
        {"openedAt": session["openedAt"] - 1},
        {"host": site.people.stranger.address},
    ]
    for change in changes:
        with reverts("ChargingEscrow_NotOpen", site.session_id(session)):
            site.send(name, session | change, sender=by)
    order = session["order"] | {"driver": site.people.stranger.address}
    with reverts("ChargingEscrow_NotOpen"):
        site.send(name, session | {"order": order}, sender=site.people.stranger)


@pytest.mark.parametrize("name", ["cancel", "reclaim"])
def test_a_push_gets_its_gas_or_nothing_ends(site: Site, name: str) -> None:
    _, session = site.open()
    site.world.at(session["openedAt"] + CLOSABLE_S + 1)
    by = site.people.host if name == "cancel" else site.people.driver
    with reverts("ChargingEscrow_NotEnoughGas"):
        site.send(name, session, sender=by, gas=130_000)
    assert site.is_open(session)
    site.send(name, session, sender=by, gas=160_000)


# Paying out.


def test_anybody_has_the_host_paid(site: Site) -> None:
    earned(site)
    earned(site)
    before = site.money()
    done = site.send("payHost", site.charger, sender=site.people.stranger)
    host = site.people.host.address
    facts = {"chargerId": site.charger, "host": host, "amountMicro": 2 * PAID}
    transfer = {"from": site.escrow.address, "to": host, "value": 2 * PAID}
    assert done.events == [("HostPaid", facts), ("Transfer", transfer)]
    assert moved(before, site.money()) == {
        "escrow": -2 * PAID,
        "host": 2 * PAID,
        "credit": -2 * PAID,
    }
    with reverts("ChargingEscrow_NothingOwed"):
        site.send("payHost", site.charger, sender=site.people.host)


def test_a_payout_does_not_touch_an_open_session(site: Site) -> None:
    earned(site)
    _, session = site.open()
    site.send("payHost", site.charger, sender=site.people.host)
    assert site.held() == DEPOSIT
    assert site.is_open(session)
    site.send("cancel", session, sender=site.people.host)
    assert site.held() == 0


def test_what_is_owed_is_paid_to_its_owner_whoever_asks(site: Site) -> None:
    owed(site)
    before = site.money()
    host = site.people.host.address
    done = site.send("claim", host, sender=site.people.stranger)
    facts = {"owed": host, "to": host, "amountMicro": PAID}
    transfer = {"from": site.escrow.address, "to": host, "value": PAID}
    assert done.events == [("Claimed", facts), ("Transfer", transfer)]
    assert moved(before, site.money()) == {"escrow": -PAID, "host": PAID, "host owed": -PAID}
    with reverts("ChargingEscrow_NothingOwed"):
        site.send("claim", host, sender=site.people.host)


def test_only_its_owner_sends_what_is_owed_elsewhere(site: Site) -> None:
    owed(site)
    before = site.money()
    to = site.people.delegate.address
    for by in (site.people.stranger, site.people.registrar, site.people.other_host):
        with reverts("ChargingEscrow_NothingOwed"):
            site.send("claimTo", to, sender=by)
    for nowhere in (ZERO, site.escrow.address):
        with reverts("ChargingEscrow_BadRecipient", nowhere):
            site.send("claimTo", nowhere, sender=site.people.host)
    done = site.send("claimTo", to, sender=site.people.host)
    facts = {"owed": site.people.host.address, "to": to, "amountMicro": PAID}
    assert done.events[0] == ("Claimed", facts)
    assert moved(before, site.money()) == {"escrow": -PAID, "delegate": PAID, "host owed": -PAID}


def test_tokens_that_somebody_sends_are_nobodys(site: Site) -> None:
    site.mint(site.escrow.address, 77)
    _, session = site.open()
    site.send("cancel", session, sender=site.people.host)
    assert site.held() == 77
    for name, argument in (("claim", site.people.driver.address), ("payHost", site.charger)):
        with reverts("ChargingEscrow_NothingOwed"):
            site.send(name, argument, sender=site.people.driver)


def earned(site: Site) -> None:
    """A closed session: the host has a credit."""
    _, session = site.open()
    closing = site.closing(session)
    site.stopped(session)
    site.send("close", closing, sender=site.people.stranger)


def owed(site: Site) -> None:
    """The host had a credit when another took the charger over."""
    earned(site)
    site.change(host=site.people.other_host.address)
