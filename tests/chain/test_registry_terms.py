"""The registry of meters: terms begin, end, and are never rewritten."""

from collections.abc import Iterator

import pytest
from web3.contract import Contract

from tests.chain.evm_world import World, reverts
from tests.chain.market_world import DAY_S, ZERO, Parties

METER = b"\x07" * 32
OPEN = 2**64 - 1
KEY = "0x" + "22" * 20
OTHER_KEY = "0x" + "33" * 20


@pytest.fixture
def parties(evm: World) -> Parties:
    return Parties.of(evm)


@pytest.fixture
def registry(evm: World, parties: Parties) -> Iterator[Contract]:
    with evm.undone():
        yield evm.deploy("MeterRegistry", parties.grid_operator.address)


def begin(
    evm: World, registry: Contract, parties: Parties, *, at: int, **changes: object
) -> object:
    term = {
        "meterId": METER,
        "key": KEY,
        "account": 2,
        "class": 1,
        "limitW": 30_000,
    } | changes
    by = parties.grid_operator.address
    return evm.send(registry, "begin", *term.values(), at, sender=by)


def end(evm: World, registry: Contract, parties: Parties, *, at: int) -> object:
    return evm.send(registry, "end", METER, at, sender=parties.grid_operator.address)


def terms(evm: World, registry: Contract) -> object:
    return evm.call(registry, "termsOf", METER)


def test_a_first_term_may_begin_at_any_time(
    evm: World, registry: Contract, parties: Parties
) -> None:
    done = begin(evm, registry, parties, at=1_000)
    facts = {"meterId": METER, "account": 2, "key": KEY, "class": 1, "limitW": 30_000}
    assert done.events == [("TermBegan", facts | {"validFrom": 1_000})]
    assert terms(evm, registry) == ((KEY, 2, 1, 30_000, 1_000, OPEN),)
    assert evm.call(registry, "termsOf", b"\x08" * 32) == ()


def test_a_new_term_ends_the_open_one_where_it_begins(
    evm: World, registry: Contract, parties: Parties
) -> None:
    begin(evm, registry, parties, at=1_000)
    at = evm.now + DAY_S
    begin(evm, registry, parties, at=at, key=OTHER_KEY, account=3)
    assert terms(evm, registry) == (
        (KEY, 2, 1, 30_000, 1_000, at),
        (OTHER_KEY, 3, 1, 30_000, at, OPEN),
    )


def test_a_retired_meter_may_come_back_later(
    evm: World, registry: Contract, parties: Parties
) -> None:
    begin(evm, registry, parties, at=1_000)
    ends_at = evm.now + DAY_S
    done = end(evm, registry, parties, at=ends_at)
    assert done.events == [("TermEnded", {"meterId": METER, "validUntil": ends_at})]
    with reverts("MeterRegistry_RewritesHistory", METER, ends_at - 1, ends_at):
        begin(evm, registry, parties, at=ends_at - 1)
    begin(evm, registry, parties, at=ends_at + DAY_S)
    spans = [(term[4], term[5]) for term in terms(evm, registry)]
    assert spans == [(1_000, ends_at), (ends_at + DAY_S, OPEN)]


def test_nothing_is_changed_in_the_past(evm: World, registry: Contract, parties: Parties) -> None:
    begin(evm, registry, parties, at=1_000)
    now = evm.now + 500
    for change in (begin, end):
        evm.at(now)
        with reverts("MeterRegistry_RewritesHistory", METER, now - 1, now):
            change(evm, registry, parties, at=now - 1)
    evm.at(now)
    begin(evm, registry, parties, at=now)


def test_a_term_neither_ends_before_it_begins_nor_overlaps_the_next(
    evm: World, registry: Contract, parties: Parties
) -> None:
    later = evm.now + 9 * DAY_S
    begin(evm, registry, parties, at=later)
    with reverts("MeterRegistry_RewritesHistory", METER, later, later + 1):
        end(evm, registry, parties, at=later)
    with reverts("MeterRegistry_RewritesHistory", METER, later - 1, later):
        begin(evm, registry, parties, at=later - 1)
    begin(evm, registry, parties, at=later, key=OTHER_KEY)  # replaces it before it began
    spans = [(term[4], term[5]) for term in terms(evm, registry)]
    assert spans == [(later, later), (later, OPEN)]


def test_only_an_open_term_of_a_known_meter_ends(
    evm: World, registry: Contract, parties: Parties
) -> None:
    with reverts("MeterRegistry_UnknownMeter", METER):
        end(evm, registry, parties, at=evm.now + DAY_S)
    begin(evm, registry, parties, at=1_000)
    with reverts("MeterRegistry_RewritesHistory"):
        end(evm, registry, parties, at=OPEN)
    ends_at = evm.now + DAY_S
    end(evm, registry, parties, at=ends_at)
    with reverts("MeterRegistry_NotOpen", METER, ends_at):
        end(evm, registry, parties, at=ends_at + 1)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"meterId": bytes(32)}, ("MeterRegistry_ZeroMeter",)),
        ({"key": ZERO}, ("MeterRegistry_ZeroKey", METER)),
        ({"account": 0}, ("MeterRegistry_ReservedAccount", METER, 0)),
        ({"account": 1}, ("MeterRegistry_ReservedAccount", METER, 1)),
        ({"limitW": 0}, ("MeterRegistry_LimitOutOfRange", METER, 0, 10**9)),
        ({"limitW": 10**9 + 1}, ("MeterRegistry_LimitOutOfRange", METER, 10**9 + 1, 10**9)),
    ],
)
def test_an_impossible_term_is_refused(
    evm: World,
    registry: Contract,
    parties: Parties,
    changes: dict[str, object],
    error: tuple[object, ...],
) -> None:
    with reverts(*error):
        begin(evm, registry, parties, at=1_000, **changes)


def test_nobody_but_the_registrar_registers(
    evm: World, registry: Contract, parties: Parties
) -> None:
    stranger = parties.stranger.address
    with reverts("MeterRegistry_NotRegistrar", stranger):
        evm.send(registry, "begin", METER, KEY, 2, 0, 1, 1, sender=stranger)
    with reverts("MeterRegistry_NotRegistrar", stranger):
        evm.send(registry, "end", METER, 1, sender=stranger)
    with reverts("MeterRegistry_NotRegistrar", stranger):
        evm.send(registry, "announceRegistrar", stranger, sender=stranger)


def test_the_registrars_role_is_handed_on_in_two_steps(
    evm: World, registry: Contract, parties: Parties
) -> None:
    old, new = parties.grid_operator.address, parties.stranger.address
    evm.send(registry, "announceRegistrar", new, sender=old)
    assert evm.call(registry, "registrar") == old
    with reverts("MeterRegistry_NotAnnounced", old):
        evm.send(registry, "acceptRegistrar", sender=old)
    done = evm.send(registry, "acceptRegistrar", sender=new)
    assert done.events == [("RegistrarChanged", {"registrar": new})]
    with reverts("MeterRegistry_NotAnnounced", new):
        evm.send(registry, "acceptRegistrar", sender=new)
    with reverts("MeterRegistry_NotRegistrar", old):
        begin(evm, registry, parties, at=1_000)


def test_a_registry_without_a_registrar_is_refused(evm: World) -> None:
    with reverts("MeterRegistry_ZeroRegistrar"):
        evm.deploy("MeterRegistry", ZERO)
