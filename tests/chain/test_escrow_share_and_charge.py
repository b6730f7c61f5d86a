"""Three faults of Share&Charge's contract of 2018, as it is on the chain: none of them is here."""

import pytest

from tests.chain.escrow_world import DAY_S, DEPOSIT, TARIFF, Site, moved
from tests.chain.evm_world import reverts


@pytest.mark.parametrize("who", ["stranger", "other_driver", "host", "delegate"])
def test_a_stranger_cannot_overwrite_a_live_session_and_get_its_refund(
    site: Site, who: str
) -> None:
    """There, whoever started a charger again became the one whom the stop refunded."""
    _, session = site.open()
    thief = getattr(site.people, who)
    site.send("setDelegate", site.people.delegate.address, True, sender=site.people.host)
    order = site.order(driver=thief.address, depositMicro=1)
    site.fund(thief, 1)
    refusals = {"stranger": "NotHost", "host": "ChargerBusy", "delegate": "ChargerBusy"}
    for name, refusal in refusals.items():
        opening, sender = site.opening(order, signer=thief), getattr(site.people, name)
        with reverts(f"ChargingEscrow_{refusal}"):
            site.send("open", *opening, sender=sender)
    closing = site.closing(session)
    site.stopped(session)
    before = site.money()
    site.send("close", closing, sender=thief)
    assert moved(before, site.money()) == {
        "escrow": 5_433_333 - DEPOSIT,
        "driver": DEPOSIT - 5_433_333,
        "credit": 5_433_333,
    }


def test_a_final_price_above_the_estimate_locks_no_deposit(site: Site) -> None:
    """There, a price above what was put down made the stop fail, and the deposit stay for ever."""
    _, session = site.open(depositMicro=1_000_000)
    closing = site.closing(session)
    site.stopped(session)
    assert site.cost(closing | {"session": session | {"depositMicro": 10**9}}) > 1_000_000
    before = site.money()
    site.send("close", closing, sender=site.people.stranger)
    assert moved(before, site.money()) == {"credit": 1_000_000}
    site.send("payHost", site.charger, sender=site.people.stranger)
    assert site.held() == 0


def test_a_deposit_is_never_locked_even_if_nobody_ever_states_a_price(site: Site) -> None:
    _, session = site.open()
    site.world.at(session["openedAt"] + 4 * DAY_S + 1)
    site.send("reclaim", session, sender=site.people.driver)
    assert (site.held(), site.held(site.people.driver.address)) == (0, DEPOSIT)


def test_the_operator_alone_does_not_state_the_price(site: Site) -> None:
    """There, the stop was given a final price. Here it follows from the order that the driver
    signed, from what the meter's record says, and from what the charger's power allows."""
    _, session = site.open()
    opened = session["openedAt"]
    # Another tariff than the signed one: that is another session.
    dear = session["order"] | {"tariff": TARIFF | {"energyPerKwh": 900_000}}
    site.stopped(session)
    with reverts("ChargingEscrow_NotOpen"):
        site.send("close", site.closing(session | {"order": dear}), sender=site.people.host)
    # A record that the registered key did not sign.
    with reverts("ChargingEscrow_BadSignature", site.people.key.address):
        site.send("close", site.closing(session, site.people.host), sender=site.people.host)
    # More energy or time than there can have been, even if the key signed it.
    for name, change in {
        "MoreThanPower": {"stopWh": 1_000_000 + 22_101},
        "StopsTooLate": {"stoppedAt": opened + 2 * 3_600},
        "StartsBeforeOpening": {"startedAt": opened - 301},
        "IdleTooLong": {"idleS": 3_601},
    }.items():
        with reverts(f"ChargingEscrow_{name}"):
            site.send("close", site.closing(session, **change), sender=site.people.host)
