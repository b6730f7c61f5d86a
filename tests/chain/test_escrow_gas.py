"""What charging costs, whole transactions, compared exactly with the committed snapshot.

In steady state: the charger has had sessions, the driver's word of nonces is in use, and every
balance stays above zero.
"""

from typing import Any

import pytest

import contracts
from tests.chain.escrow_world import DAY_S, DEPOSIT, Session, Site, charger_id
from tests.chain.evm_world import World
from tests.chain.gas_snapshot import checked
from tests.chain.market_world import START

TWENTY = 20
EIP_170_BYTES = 24_576

# Gas of a transaction, or of a session in a batch, that may never be exceeded.
MOST = {
    "escrow_open": 95_000,
    "escrow_open_by_permit": 107_000,
    "escrow_close": 65_000,
    "escrow_close_20_of_one_driver": 35_000 * TWENTY,
    "escrow_close_20_of_20_drivers": 35_000 * TWENTY,
}


@pytest.fixture
def busy() -> Site:
    """A site of its own, a session behind it, with something left on every balance."""
    site = Site.create(World(START))
    site.mint(site.people.driver, 1)
    close(site, site.open()[1])
    return site


def close(site: Site, session: Session) -> int:
    closing = site.closing(session)
    site.stopped(session)
    return site.send("close", closing, sender=site.people.stranger).gas_used


def within(name: str, gas: int) -> None:
    assert checked(name, gas) <= MOST[name]


def test_a_session_costs_what_the_snapshot_says(busy: Site) -> None:
    done, session = busy.open()
    within("escrow_open", done.gas_used)
    within("escrow_close", close(busy, session))
    assert busy.held(busy.people.driver.address) > 0


def test_a_session_by_permit_costs_what_the_snapshot_says(busy: Site) -> None:
    driver = busy.people.driver
    for nonce in range(2):  # The first one pays for the nonce of the driver at the token.
        busy.mint(driver, DEPOSIT)
        opening = busy.opening(busy.order(), busy.permit(driver, DEPOSIT, nonce))
        done = busy.send("open", *opening, sender=busy.people.host)
        close(busy, busy.session(opening[0]))
    within("escrow_open_by_permit", done.gas_used)


def test_other_ways_and_ends_cost_what_the_snapshot_says(busy: Site) -> None:
    people = busy.people
    _, session = busy.open()
    busy.fund(people.driver, 5)
    topping_up = busy.topping_up(session, 5)
    checked("escrow_top_up", busy.send("topUp", *topping_up, sender=people.host).gas_used)
    session = session | {"depositMicro": DEPOSIT + 5}
    checked("escrow_cancel", busy.send("cancel", session, sender=people.host).gas_used)
    _, session = busy.open()
    busy.world.at(session["openedAt"] + 4 * DAY_S + 1)
    checked("escrow_reclaim", busy.send("reclaim", session, sender=people.driver).gas_used)
    busy.mint(people.host, 1)
    checked("escrow_pay_host", busy.send("payHost", busy.charger, sender=people.host).gas_used)


@pytest.mark.parametrize("drivers", [1, TWENTY])
def test_twenty_sessions_at_once_cost_what_the_snapshot_says(busy: Site, drivers: int) -> None:
    people = [busy.world.person(9_000 + i) for i in range(drivers)]
    chargers = [charger_id(f"twenty/{i}") for i in range(TWENTY)]
    for person in people:
        busy.mint(person, 1)
    for charger in chargers:
        busy.register(charger)

    def closings() -> list[dict[str, Any]]:
        pairs = enumerate(chargers)
        opened = [busy.open(chargerId=c, by=people[i % drivers])[1] for i, c in pairs]
        busy.stopped(opened[-1])
        return [busy.closing(session) for session in opened]

    for _ in range(2):  # The first round fills every slot.
        gas = busy.send("closeMany", closings(), sender=busy.people.stranger).gas_used
    kind = "one_driver" if drivers == 1 else "20_drivers"
    within(f"escrow_close_20_of_{kind}", gas)


def test_the_escrow_fits_easily(busy: Site) -> None:
    size = checked("escrow_bytes", len(contracts.load("ChargingEscrow").deployed_bytecode))
    assert EIP_170_BYTES - size >= 8_000
