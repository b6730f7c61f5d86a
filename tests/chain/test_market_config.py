"""What a community may be created with."""

from typing import Any

import pytest

from tests.chain.evm_world import World, reverts
from tests.chain.market_world import DAY_S, FIRST_PERIOD, HOUR_S, TARIFF, ZERO, Community

U32 = 2**32 - 1


@pytest.fixture
def fresh(evm: World) -> Any:
    with evm.undone():
        yield evm


def name(field: str) -> bytes:
    return field.encode().ljust(32, b"\0")


def test_a_new_community_says_what_it_was_created_with(fresh: World) -> None:
    community = Community.create(fresh, keysHash=b"\x05" * 32, volumeRule=1)
    given = community.config
    tariff = tuple(given["tariff"].values())
    read = community.read("config")
    assert len(read) == len(given)
    assert read[-1] == tariff
    for field, value in zip(list(given)[:-1], read[:-1], strict=True):
        assert value == given[field], field
    assert community.read("owner") == community.parties.owner.address
    assert community.read("operator") == community.parties.operator.address
    assert community.read("addressOf", 0) == community.parties.supplier.address
    assert community.read("addressOf", 1) == community.parties.grid_operator.address
    assert community.read("nextPeriodStart") == FIRST_PERIOD
    assert community.read("tariffAt", FIRST_PERIOD) == tariff


@pytest.mark.parametrize(
    "party", ["token", "registry", "owner", "operator", "supplier", "gridOperator"]
)
def test_every_party_has_an_address(fresh: World, party: str) -> None:
    changes = {"config_token" if party == "token" else party: ZERO}
    with reverts("EnergyMarket_ZeroAddress"):
        Community.create(fresh, **changes)


def test_the_token_has_six_decimals(fresh: World) -> None:
    token = fresh.deploy("DecimalsToken")
    with reverts("EnergyMarket_ConfigOutOfRange", name("token"), 18, 6, 6):
        Community.create(fresh, config_token=token.address)


@pytest.mark.parametrize(
    ("changes", "field", "facts"),
    [
        ({"periodWindows": 0}, "periodWindows", (0, 1, 96)),
        ({"periodWindows": 97}, "periodWindows", (97, 1, 96)),
        ({"windowS": 0}, "windowS", (0, 1, U32)),
        ({"firstPeriodStart": FIRST_PERIOD + 900}, "firstPeriodStart", (900, 0, 0)),
        ({"firstPeriodStart": 2**41}, "firstPeriodStart", (2**41, 0, 2**40)),
        ({"disputePeriodS": HOUR_S}, "finalizeWithinS", (0, 1, U32)),
        (
            {"disputePeriodS": 11 * HOUR_S, "finalizeWithinS": HOUR_S + 1},
            "disputePeriodS",
            (12 * HOUR_S + 1, 0, 12 * HOUR_S),
        ),
        ({"withdrawalDelayS": 4 * DAY_S - 1}, "withdrawalDelayS", (4 * DAY_S - 1, 4 * DAY_S, U32)),
        (
            {"disputePeriodS": DAY_S // 4, "finalizeWithinS": DAY_S // 4, "graceS": 4 * DAY_S},
            "withdrawalDelayS",
            (5 * DAY_S, 5 * DAY_S + DAY_S // 2, U32),
        ),
        ({"auctionKBps": 10_001}, "auctionKBps", (10_001, 0, 10_000)),
        ({"debitMaxWh": 0}, "debitMaxWh", (0, 1, 10**8)),
        ({"debitMaxWh": 10**8 + 1}, "debitMaxWh", (10**8 + 1, 1, 10**8)),
    ],
)
def test_a_number_out_of_range_is_refused(
    fresh: World, changes: dict[str, int], field: str, facts: tuple[int, int, int]
) -> None:
    with reverts("EnergyMarket_ConfigOutOfRange", name(field), *facts):
        Community.create(fresh, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"periodWindows": 1, "windowS": 900, "withdrawalDelayS": 900 + 3 * DAY_S},
        {"withdrawalDelayS": 4 * DAY_S},
        {"disputePeriodS": 6 * HOUR_S, "finalizeWithinS": 6 * HOUR_S},
        {"auctionKBps": 10_000, "debitMaxWh": 10**8, "supplierDebitMaxNano": 2**64 - 1},
        {"priceRule": 3},
        {"volumeRule": 4, "keysHash": b"\x01" * 32},
        {"tariff": dict.fromkeys(TARIFF, 0)},
    ],
)
def test_a_number_at_its_bound_is_accepted(fresh: World, changes: dict[str, Any]) -> None:
    Community.create(fresh, **changes)


@pytest.mark.parametrize("rule", [1, 2, 3, 4])
def test_an_auction_needs_proportional_volumes(fresh: World, rule: int) -> None:
    with reverts("EnergyMarket_AuctionNeedsProportional", rule):
        Community.create(fresh, volumeRule=rule, priceRule=3)


@pytest.mark.parametrize(
    ("rule", "keys"), [(0, b"\x01"), (1, b"\0"), (2, b"\x01"), (3, b"\x01"), (4, b"\0")]
)
def test_keys_are_hashed_exactly_where_they_never_change(
    fresh: World, rule: int, keys: bytes
) -> None:
    with reverts("EnergyMarket_WrongKeysHash", rule, keys * 32):
        Community.create(fresh, volumeRule=rule, keysHash=keys * 32)


def test_an_impossible_first_tariff_is_refused(fresh: World) -> None:
    with reverts("EnergyMarket_NoMargin", 80_000, 220_001, 300_000):
        Community.create(fresh, tariff=TARIFF | {"localFeePerKwh": 220_001})
