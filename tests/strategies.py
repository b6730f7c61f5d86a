"""Hypothesis strategies for the domain, biased to ties, ones and limits.

Clearing problems are drawn as the JSON documents of INTERFACES §6, so that a test can hand the
same one to the code, to the oracle and through the door.
"""

from typing import Any

from hypothesis import strategies as st

from ledger.units import BPS, ENERGY_WH_MAX, LIMIT_PER_KWH_MAX, PRICE_PER_KWH_MAX

Document = dict[str, Any]

MEMBERS = tuple(range(2, 10))
STRANGERS = (11, 4_294_967_295)  # Accounts that have no flows.
KEY_RULES = ("static", "full_dynamic", "dynamic")
VOLUME_RULES = ("proportional", *KEY_RULES, "priority")
PRICE_RULES = ("mid_market", "fixed", "supply_demand_ratio", "auction")


def small_energies_wh() -> st.SearchStrategy[int]:
    """Few values, so that ties are the rule; small enough to walk Wh by Wh."""
    return st.sampled_from((0, 0, 1, 1, 2, 3, 3, 5, 7, 10))


def energies_wh() -> st.SearchStrategy[int]:
    """Any energy of a row: nothing, ones, round numbers, the maximum."""
    return st.one_of(
        small_energies_wh(),
        st.sampled_from((100, 1_000, 10_000, ENERGY_WH_MAX - 1, ENERGY_WH_MAX)),
        st.integers(min_value=0, max_value=ENERGY_WH_MAX),
    )


def weights(max_size: int = 12) -> st.SearchStrategy[dict[int, int]]:
    """Account → weight, often equal or zero."""
    return st.dictionaries(st.sampled_from(range(2, 40)), energies_wh(), max_size=max_size)


def bps() -> st.SearchStrategy[int]:
    """A part of ten thousand."""
    return st.one_of(
        st.sampled_from((0, 1, 3_333, 3_334, 5_000, 6_667, 9_999, BPS)),
        st.integers(min_value=0, max_value=BPS),
    )


@st.composite
def tariffs(draw: st.DrawFn) -> Document:
    """A tariff with a margin, often of nothing or of one micro-token."""
    some = st.one_of(st.sampled_from((0, 1, 2, 20_000)), st.integers(0, 300_000))
    grid_export = draw(some)
    fee = draw(some)
    margin = draw(some)
    if draw(st.integers(0, 19)) == 0:
        margin = PRICE_PER_KWH_MAX - grid_export - fee
    return {
        "grid_import_per_kwh": grid_export + margin + fee,
        "grid_export_per_kwh": grid_export,
        "local_fee_per_kwh": fee,
    }


def limit_prices(tariff: Document) -> st.SearchStrategy[int]:
    """Limits at, just below and just above every price that matters."""
    low = tariff["grid_export_per_kwh"]
    high = tariff["grid_import_per_kwh"]
    fee = tariff["local_fee_per_kwh"]
    middle = (low + high - fee) // 2
    around = {
        price + step
        for price in (low, low + fee, middle, middle + fee, high - fee, high)
        for step in (-1, 0, 1)
        if price + step >= 0
    }
    return st.sampled_from(sorted(around | {0, LIMIT_PER_KWH_MAX}))


@st.composite
def shares_bps(draw: st.DrawFn) -> dict[str, int]:
    """Consumer → key of one producer, together at most the whole."""
    consumers = draw(st.lists(st.sampled_from(MEMBERS + STRANGERS), max_size=5, unique=True))
    left_bps = BPS
    shares: dict[str, int] = {}
    for consumer in consumers:
        shares[str(consumer)] = min(draw(bps()), left_bps)
        left_bps -= shares[str(consumer)]
    return shares


@st.composite
def limits_lists(draw: st.DrawFn, tariff: Document) -> list[Document]:
    """Limits of some accounts, of accounts without flows too."""
    prices = limit_prices(tariff)
    limits: list[Document] = []
    for account in draw(st.lists(st.sampled_from(MEMBERS + STRANGERS), max_size=6, unique=True)):
        limit: Document = {"account": account}
        if draw(st.booleans()):
            limit["max_buy_per_kwh"] = draw(prices)
        if draw(st.booleans()):
            limit["min_sell_per_kwh"] = draw(prices)
        limits.append(limit)
    return limits


@st.composite
def problem_documents(
    draw: st.DrawFn,
    energies: st.SearchStrategy[int] | None = None,
    volume_rules: tuple[str, ...] = VOLUME_RULES,
    price_rules: tuple[str, ...] = PRICE_RULES,
) -> Document:
    """A valid clearing problem; with `auction` the volume rule is `proportional`."""
    tariff = draw(tariffs())
    low = tariff["grid_export_per_kwh"]
    high = tariff["grid_import_per_kwh"] - tariff["local_fee_per_kwh"]
    price_rule = draw(st.sampled_from(price_rules))
    volume_rule = "proportional" if price_rule == "auction" else draw(st.sampled_from(volume_rules))
    energy = energies_wh() if energies is None else energies
    accounts = draw(st.lists(st.sampled_from(MEMBERS), max_size=8, unique=True))
    some_accounts = st.lists(st.sampled_from(MEMBERS + STRANGERS), max_size=4, unique=True)
    producers = draw(some_accounts)
    if volume_rule == "dynamic":
        keys = {"pool": draw(shares_bps())} if draw(st.integers(0, 9)) else {}
    else:
        keys = {str(producer): draw(shares_bps()) for producer in producers}
    return {
        "tariff": tariff,
        "volume_rule": volume_rule,
        "price_rule": price_rule,
        "residual": draw(st.sampled_from(("settled", "external"))),
        "flows": [
            {"account": account, "import_wh": draw(energy), "export_wh": draw(energy)}
            for account in accounts
        ],
        "limits": draw(limits_lists(tariff)),
        "uncovered": draw(st.lists(st.sampled_from(MEMBERS), max_size=2, unique=True)),
        "keys": keys if volume_rule in KEY_RULES else {},
        "priorities": {str(producer): draw(some_accounts) for producer in producers}
        if volume_rule == "priority"
        else {},
        "price_per_kwh": draw(st.sampled_from((low, (low + high) // 2, high))),
        "auction_k_bps": draw(bps()),
    }


def json_values() -> st.SearchStrategy[Any]:
    """Anything that JSON can hold, and the NaN that Python reads on top of it."""
    scalars = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(min_value=-(10**50), max_value=10**50),
        st.floats(),
        st.text(max_size=8),
    )
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
        ),
        max_leaves=12,
    )
