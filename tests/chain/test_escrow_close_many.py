"""Closing many at once: one that was ended before is skipped, one that is wrong stops all."""

import pytest

from tests.chain.escrow_world import CLOSABLE_S, DEPOSIT, Session, Site, charger_id, moved
from tests.chain.evm_world import reverts

PAID = 5_433_333
NAMES = [f"many/{i}" for i in range(4)]


@pytest.fixture
def sessions(site: Site) -> list[Session]:
    """One at each of four chargers."""
    for name in NAMES:
        site.register(charger_id(name))
    drivers = [site.people.driver, site.people.other_driver] * 2
    return [
        site.open(chargerId=charger_id(name), by=driver)[1]
        for name, driver in zip(NAMES, drivers, strict=True)
    ]


def credits_of(site: Site) -> list[int]:
    return [site.charger_now(charger_id(name))["creditMicro"] for name in NAMES]


def test_each_session_of_a_batch_is_closed_as_if_alone(site: Site, sessions: list[Session]) -> None:
    closings = [site.closing(session) for session in sessions]
    site.stopped(sessions[-1])
    before = site.money()
    done = site.send("closeMany", closings, sender=site.people.stranger)
    names = [name for name, _ in done.events]
    assert names == ["SessionClosed", "Transfer"] * 4
    ids = [facts["sessionId"] for name, facts in done.events if name == "SessionClosed"]
    assert ids == [site.session_id(session) for session in sessions]
    rest = DEPOSIT - PAID
    assert credits_of(site) == [PAID] * 4
    assert moved(before, site.money()) == {
        "escrow": -4 * rest,
        "driver": 2 * rest,
        "other_driver": 2 * rest,
    }


def test_a_batch_of_nothing_does_nothing(site: Site) -> None:
    assert site.send("closeMany", [], sender=site.people.stranger).events == []


def test_who_ends_a_session_first_does_not_stop_the_batch(
    site: Site, sessions: list[Session]
) -> None:
    closings = [site.closing(session) for session in sessions]
    site.stopped(sessions[-1])
    site.send("close", closings[0], sender=site.people.driver)
    site.send("cancel", sessions[2], sender=site.people.host)
    # The second one's driver tops up just before: the batch has an old version of it.
    site.fund(site.people.other_driver, 1)
    topping_up = site.topping_up(sessions[1], 1, site.people.other_driver)
    site.send("topUp", *topping_up, sender=site.people.stranger)
    before = site.money()
    done = site.send("closeMany", closings, sender=site.people.stranger)
    skipped = [facts["sessionId"] for name, facts in done.events if name == "CloseSkipped"]
    assert skipped == [site.session_id(session) for session in sessions[:3]]
    assert [name for name, _ in done.events[3:]] == ["SessionClosed", "Transfer"]
    rest = DEPOSIT - PAID
    assert moved(before, site.money()) == {"escrow": -rest, "other_driver": rest}
    assert credits_of(site) == [PAID, 0, 0, PAID]


def test_a_session_that_is_in_a_batch_twice_is_closed_once(
    site: Site, sessions: list[Session]
) -> None:
    closing = site.closing(sessions[0])
    site.stopped(sessions[-1])
    before = site.money()
    done = site.send("closeMany", [closing] * 3, sender=site.people.stranger)
    names = [name for name, _ in done.events]
    assert names == ["SessionClosed", "Transfer", "CloseSkipped", "CloseSkipped"]
    assert moved(before, site.money())["driver"] == DEPOSIT - PAID


def test_a_session_that_is_too_old_is_skipped(site: Site, sessions: list[Session]) -> None:
    closings = [site.closing(session) for session in sessions]
    site.world.at(sessions[1]["openedAt"] + CLOSABLE_S)
    done = site.send("closeMany", closings, sender=site.people.stranger)
    skipped = [facts["sessionId"] for name, facts in done.events if name == "CloseSkipped"]
    assert skipped == [site.session_id(sessions[0])]
    assert credits_of(site) == [0, PAID, PAID, PAID]
    assert site.is_open(sessions[0])


def test_a_wrong_record_stops_the_whole_batch(site: Site, sessions: list[Session]) -> None:
    closings = [site.closing(session) for session in sessions]
    site.stopped(sessions[-1])
    before = site.money()
    wrong = {
        "ChargingEscrow_BadSignature": site.closing(sessions[3], site.people.host),
        "ChargingEscrow_WrongSession": site.closing(sessions[3], sessionId=b"\x01" * 32),
        "ChargingEscrow_MoreThanPower": site.closing(sessions[3], stopWh=10**9),
    }
    for name, closing in wrong.items():
        with reverts(name):
            site.send("closeMany", [*closings[:3], closing], sender=site.people.host)
    assert moved(before, site.money()) == {}
    assert all(site.is_open(session) for session in sessions)


def test_a_batch_has_at_most_64(site: Site) -> None:
    _, session = site.open()
    closing = site.closing(session)
    site.stopped(session)
    with reverts("ChargingEscrow_TooManyClosings", 65, 64):
        site.send("closeMany", [closing] * 65, sender=site.people.host)
    done = site.send("closeMany", [closing] * 64, sender=site.people.host)
    assert len(done.events) == 65


def test_a_batch_with_too_little_gas_closes_nothing(site: Site, sessions: list[Session]) -> None:
    closings = [site.closing(session) for session in sessions]
    site.stopped(sessions[-1])
    with reverts("ChargingEscrow_NotEnoughGas"):
        site.send("closeMany", closings, sender=site.people.host, gas=280_000)
    assert all(site.is_open(session) for session in sessions)
