"""Tokens that do not behave: nobody's money is taken, lost or locked by what they do."""

from collections.abc import Iterator

import pytest

from tests.chain.escrow_world import DEPOSIT, Session, Site, charger_id, moved
from tests.chain.evm_world import Reverted, World, calldata, reverts

PAID = 5_433_333
REST = DEPOSIT - PAID
WHIMS = (
    "none",
    "refuses",
    "burnsAllGas",
    "saysNothing",
    "saysTooLittle",
    "saysTwo",
    "saysFalse",
    "saysEndlessly",
    "movesNothing",
)


@pytest.fixture(scope="module")
def sites(evm: World) -> dict[str, Site]:
    names = ("FeeToken", "FalseToken", "CallbackToken", "WhimToken")
    return {name: Site.create(evm, token=name) for name in names}


@pytest.fixture
def strange(evm: World, sites: dict[str, Site], request: pytest.FixtureRequest) -> Iterator[Site]:
    with evm.undone():
        yield sites[request.param]


@pytest.fixture
def whim(evm: World, sites: dict[str, Site]) -> Iterator[Site]:
    with evm.undone():
        yield sites["WhimToken"]


def treat(site: Site, against: str, kind: str) -> None:
    by = site.people.stranger.address
    site.world.send(site.token, "treat", against, WHIMS.index(kind), sender=by)


def close(site: Site, session: Session) -> list[str]:
    closing = site.closing(session)
    site.stopped(session)
    done = site.send("close", closing, sender=site.people.stranger)
    return [name for name, _ in done.events]


@pytest.mark.parametrize("strange", ["FeeToken"], indirect=True)
def test_a_fee_on_transfer_token_opens_nothing(strange: Site) -> None:
    before = strange.money()
    with reverts("ChargingEscrow_WrongTransfer", DEPOSIT, DEPOSIT - 1):
        strange.open()
    assert moved(before, strange.money()) == {"driver": DEPOSIT}  # As minted for it.
    assert strange.charger_now()["session"] == bytes(32)


@pytest.mark.parametrize("strange", ["FalseToken"], indirect=True)
def test_a_token_that_says_false_opens_nothing_and_owes_what_it_does_not_move(
    strange: Site,
) -> None:
    _, session = strange.open()
    strange.world.send(strange.token, "breakDown", sender=strange.people.host.address)
    before = strange.money()
    assert close(strange, session) == ["SessionClosed", "Owed"]
    assert moved(before, strange.money()) == {"credit": PAID, "driver owed": REST}
    with reverts("SafeERC20FailedOperation", strange.token.address):
        strange.open()
    driver = strange.people.driver
    for name, argument in (
        ("claim", driver.address),
        ("claimTo", strange.people.delegate.address),
        ("payHost", strange.charger),
    ):
        with reverts("SafeERC20FailedOperation", strange.token.address):
            strange.send(name, argument, sender=driver)
    assert strange.money()["driver owed"] == REST


@pytest.mark.parametrize("strange", ["CallbackToken"], indirect=True)
@pytest.mark.parametrize("name", ["close", "closeMany", "cancel", "reclaim", "payHost", "claim"])
def test_a_token_that_calls_back_finds_the_doors_shut(strange: Site, name: str) -> None:
    """In the middle of a refund it tries to have something paid once more."""
    strange.register(charger_id("next"))
    _, other = strange.open(chargerId=charger_id("next"))
    _, session = strange.open()
    closing = strange.closing(session)
    arguments = {
        "close": [closing],
        "closeMany": [[closing, strange.closing(other)]],
        "cancel": [other],
        "reclaim": [other],
        "payHost": [strange.charger],
        "claim": [strange.people.driver.address],
    }
    again = calldata(strange.escrow.abi, name, arguments[name])
    by = strange.people.driver.address
    strange.world.send(strange.token, "arm", strange.escrow.address, again, sender=by)
    strange.stopped(session)
    before = strange.money()
    done = strange.send("close", closing, sender=strange.people.stranger)
    # The callback's failure makes the push fail, so the refund waits for its owner.
    assert [event for event, _ in done.events] == ["SessionClosed", "Owed"]
    assert moved(before, strange.money()) == {"credit": PAID, "driver owed": REST}
    # The transfer that failed has not disarmed the token, so the next one fails too.
    with reverts("ReentrancyGuardReentrantCall"):
        strange.send("claim", strange.people.driver.address, sender=strange.people.driver)
    none = "0x" + "00" * 20
    strange.world.send(strange.token, "arm", none, b"", sender=by)
    strange.send("claim", strange.people.driver.address, sender=strange.people.driver)
    assert strange.money()["driver"] - before["driver"] == REST


@pytest.mark.parametrize("strange", ["CallbackToken"], indirect=True)
@pytest.mark.parametrize("name", ["open", "topUp"])
def test_a_token_that_calls_back_cannot_deposit_twice(strange: Site, name: str) -> None:
    driver = strange.people.driver
    strange.register(charger_id("next"))
    _, session = strange.open(chargerId=charger_id("next"))
    opening = strange.opening(strange.order())
    strange.fund(driver, 3 * DEPOSIT)
    arguments = opening if name == "open" else strange.topping_up(session, DEPOSIT)
    again = calldata(strange.escrow.abi, name, arguments)
    strange.world.send(strange.token, "arm", strange.escrow.address, again, sender=driver.address)
    with reverts("ReentrancyGuardReentrantCall"):
        strange.send("open", *opening, sender=strange.people.host)
    assert strange.held() == DEPOSIT


@pytest.mark.parametrize("strange", ["CallbackToken"], indirect=True)
def test_a_deposit_during_which_other_tokens_arrive_is_refused(strange: Site) -> None:
    opening = strange.opening(strange.order())
    strange.fund(strange.people.driver, DEPOSIT)
    gift = calldata(strange.token.abi, "mint", [strange.escrow.address, 1])
    by = strange.people.driver.address
    strange.world.send(strange.token, "arm", strange.token.address, gift, sender=by)
    with reverts("ChargingEscrow_WrongTransfer", DEPOSIT, DEPOSIT + 1):
        strange.send("open", *opening, sender=strange.people.host)


@pytest.mark.parametrize(
    "kind", ["refuses", "burnsAllGas", "saysTooLittle", "saysTwo", "saysFalse"]
)
def test_a_token_that_pushes_nothing_to_the_driver_stops_nobody(whim: Site, kind: str) -> None:
    """The host is credited; the driver's rest waits, and nobody else can have it."""
    _, session = whim.open()
    driver = whim.people.driver
    treat(whim, driver.address, kind)
    before = whim.money()
    assert close(whim, session) == ["SessionClosed", "Owed"]
    assert moved(before, whim.money()) == {"credit": PAID, "driver owed": REST}
    whim.send("payHost", whim.charger, sender=whim.people.stranger)
    # A wallet that the token refuses for ever is no prison.
    whim.send("claimTo", whim.people.delegate.address, sender=driver)
    assert moved(before, whim.money()) == {"escrow": -DEPOSIT, "host": PAID, "delegate": REST}
    assert whim.held() == 0


@pytest.mark.parametrize("kind", ["none", "saysNothing", "saysEndlessly"])
def test_a_token_that_pushes_in_its_own_way_is_done(whim: Site, kind: str) -> None:
    """Nothing is a good answer from a token, and an endless one is not read."""
    driver = whim.people.driver
    treat(whim, driver.address, kind)
    _, session = whim.open()
    before = whim.money()
    assert close(whim, session) == ["SessionClosed", "Transfer"]
    assert moved(before, whim.money()) == {"escrow": -REST, "driver": REST, "credit": PAID}


def test_an_endless_answer_is_paid_by_the_token_not_by_the_caller(whim: Site) -> None:
    gas = []
    for kind in ("none", "saysEndlessly"):
        _, session = whim.open()
        treat(whim, whim.people.driver.address, kind)
        closing = whim.closing(session)
        whim.stopped(session)
        gas.append(whim.send("close", closing, sender=whim.people.stranger).gas_used)
    assert gas[1] - gas[0] < 100_000


@pytest.mark.parametrize("name", ["cancel", "reclaim"])
def test_a_refund_that_cannot_be_pushed_is_owed_in_full(whim: Site, name: str) -> None:
    _, session = whim.open()
    treat(whim, whim.people.driver.address, "refuses")
    by = whim.people.host if name == "cancel" else whim.people.driver
    whim.world.at(session["openedAt"] + 400_000)
    before = whim.money()
    done = whim.send(name, session, sender=by)
    assert done.events[1:] == [
        ("Owed", {"owed": whim.people.driver.address, "amountMicro": DEPOSIT}),
    ]
    assert moved(before, whim.money()) == {"driver owed": DEPOSIT}
    treat(whim, whim.people.driver.address, "none")
    whim.send("claim", whim.people.driver.address, sender=whim.people.stranger)
    assert moved(before, whim.money()) == {"escrow": -DEPOSIT, "driver": DEPOSIT}


def test_a_host_whom_the_token_refuses_stops_no_driver(whim: Site) -> None:
    _, session = whim.open()
    treat(whim, whim.people.host.address, "refuses")
    assert close(whim, session) == ["SessionClosed", "Transfer"]
    before = whim.money()
    with reverts("not to you"):
        whim.send("payHost", whim.charger, sender=whim.people.host)
    assert moved(before, whim.money()) == {}
    # Another host at the charger, and the old one has its money sent elsewhere.
    whim.change(host=whim.people.other_host.address)
    whim.send("claimTo", whim.people.delegate.address, sender=whim.people.host)
    assert moved(before, whim.money()) == {"escrow": -PAID, "credit": -PAID, "delegate": PAID}


def test_one_driver_whom_the_token_refuses_does_not_stop_a_batch(whim: Site) -> None:
    names = [charger_id(f"whim/{i}") for i in range(3)]
    drivers = [whim.people.driver, whim.people.other_driver, whim.people.driver]
    sessions = []
    for name, driver in zip(names, drivers, strict=True):
        whim.register(name)
        sessions.append(whim.open(chargerId=name, by=driver)[1])
    closings = [whim.closing(session) for session in sessions]
    treat(whim, whim.people.other_driver.address, "burnsAllGas")
    whim.stopped(sessions[-1])
    before = whim.money()
    done = whim.send("closeMany", closings, sender=whim.people.stranger)
    events = [name for name, _ in done.events]
    assert events == ["SessionClosed", "Transfer", "SessionClosed", "Owed", *events[:2]]
    assert moved(before, whim.money()) == {
        "escrow": -2 * REST,
        "driver": 2 * REST,
        "other_driver owed": REST,
    }


def test_nobody_starves_a_push(whim: Site) -> None:
    """A transfer that needs nearly all of its gas is pushed, or nothing happens at all."""
    by = whim.people.stranger.address
    whim.world.send(whim.token, "eat", 60_000, sender=by)
    _, session = whim.open()
    closing = whim.closing(session)
    whim.stopped(session)
    too_little, enough = 100_000, 250_000
    while enough - too_little > 1:
        gas = (too_little + enough) // 2
        with whim.world.undone():
            found = outcome(whim, closing, gas)
        assert found in {"pushed", "refused"}
        too_little, enough = (gas, enough) if found == "refused" else (too_little, gas)
    assert 150_000 < enough < 165_000


def outcome(site: Site, closing: dict[str, object], gas: int) -> str:
    try:
        done = site.send("close", closing, sender=site.people.stranger, gas=gas)
    except (Reverted, AssertionError):
        return "refused"
    return "pushed" if [name for name, _ in done.events][-1] == "Transfer" else "owed"


def test_a_token_that_says_that_it_moved_is_believed(whim: Site) -> None:
    """Such a token cheats every holder; what it did not move stays here and is nobody's."""
    _, session = whim.open()
    treat(whim, whim.people.driver.address, "movesNothing")
    before = whim.money()
    assert close(whim, session) == ["SessionClosed"]
    assert moved(before, whim.money()) == {"credit": PAID}
