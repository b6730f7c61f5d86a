"""Windows cleared a second, and the plain way beside it in the same run.

`python -m tests.bench.bench_clearing [ACCOUNTS]`

The plain way: an object an account, a fraction a share, one order at a time. Both ways must give
the same trades; the table says so.
"""

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TypeVar

from ledger.clearing import (
    Clearing,
    Flow,
    Limits,
    PriceRule,
    Problem,
    Tariff,
    VolumeRule,
    clear,
)
from ledger.clearing.keys import Keys
from ledger.units import BPS, AccountId

Result = TypeVar("Result")

ACCOUNTS = 10_000
ROUNDS = 9
SEED = 20_160_601
TARIFF = Tariff(grid_import_per_kwh=300_000, grid_export_per_kwh=80_000, local_fee_per_kwh=20_000)


@dataclass
class Party:
    """One account of the plain way."""

    account: int
    import_wh: int
    export_wh: int
    bid_per_kwh: int
    ask_per_kwh: int
    bought_wh: int = 0
    sold_wh: int = 0


def main(count: int = ACCOUNTS) -> None:
    """Prints the table."""
    flows, limits = _neighbourhood(count)
    plain_problem = Problem(tariff=TARIFF, flows=flows)
    auction_problem = Problem(
        tariff=TARIFF, flows=flows, limits=limits, price_rule=PriceRule.AUCTION
    )
    print(f"{count:,} accounts, the best of {ROUNDS} rounds, milliseconds a window\n")
    print(f"{'rules':<34}{'ours':>9}{'plain':>10}{'ratio':>8}  same trades")
    _compare("proportional, mid_market", plain_problem, lambda: plain_proportional(flows))
    _compare("auction", auction_problem, lambda: _plain_auction(flows, limits))
    others = {
        "proportional, limits, 3 % uncovered": Problem(
            tariff=TARIFF,
            flows=flows,
            limits=limits,
            uncovered=frozenset(AccountId(2 + 33 * step) for step in range(count // 33)),
        ),
        "dynamic, 1 bps each": _pool(flows),
        "static, 10 keys a producer": _static(flows),
        "priority, 10 places a producer": _priority(flows),
    }
    for name, problem in others.items():
        _, ours_s = _best(partial(clear, problem), ROUNDS)
        print(f"{name:<34}{ours_s * 1e3:>9.1f}")
    _, rows_s = _best(lambda: clear(plain_problem).rows, 3)
    print(f"{'proportional, with row objects':<34}{rows_s * 1e3:>9.1f}")


def _compare(name: str, problem: Problem, plain: Callable[[], list[Party]]) -> None:
    cleared, ours_s = _best(lambda: clear(problem), ROUNDS)
    parties, plain_s = _best(plain, 1)
    same = _trades(cleared) == [(party.bought_wh, party.sold_wh) for party in parties]
    ratio = plain_s / ours_s
    print(f"{name:<34}{ours_s * 1e3:>9.1f}{plain_s * 1e3:>10.1f}{ratio:>8.1f}  {same}")


def _trades(cleared: Clearing) -> list[tuple[int, int]]:
    return list(zip(cleared.columns.bought_wh, cleared.columns.sold_wh, strict=True))


def _best(work: Callable[[], Result], rounds: int) -> tuple[Result, float]:
    best_s = float("inf")
    for _ in range(rounds):
        started_s = time.perf_counter()
        result = work()
        best_s = min(best_s, time.perf_counter() - started_s)
    return result, best_s


def _neighbourhood(count: int) -> tuple[tuple[Flow, ...], tuple[Limits, ...]]:
    """Every second account has a roof; everybody has a limit; in no order."""
    rng = random.Random(SEED)
    flows = [
        Flow(
            account=AccountId(2 + number),
            import_wh=rng.randrange(2_000),
            export_wh=rng.randrange(3_000) if number % 2 else 0,
        )
        for number in range(count)
    ]
    limits = tuple(
        Limits(
            account=flow.account,
            max_buy_per_kwh=rng.randrange(90_000, 320_000),
            min_sell_per_kwh=rng.randrange(60_000, 290_000),
        )
        for flow in flows
    )
    rng.shuffle(flows)
    return tuple(flows), limits


def _pool(flows: tuple[Flow, ...]) -> Problem:
    keys = {flow.account: 1 for flow in flows[:BPS]}
    return Problem(tariff=TARIFF, flows=flows, volume_rule=VolumeRule.DYNAMIC, keys={"pool": keys})


def _static(flows: tuple[Flow, ...]) -> Problem:
    keys: Keys = {
        flow.account: {flows[place - step].account: 1_000 for step in range(10)}
        for place, flow in enumerate(flows)
        if flow.export_wh
    }
    return Problem(tariff=TARIFF, flows=flows, volume_rule=VolumeRule.STATIC, keys=keys)


def _priority(flows: tuple[Flow, ...]) -> Problem:
    priorities = {
        flow.account: [flows[place - step].account for step in range(10)]
        for place, flow in enumerate(flows)
        if flow.export_wh
    }
    return Problem(
        tariff=TARIFF, flows=flows, volume_rule=VolumeRule.PRIORITY, priorities=priorities
    )


def _parties(flows: tuple[Flow, ...], limits: tuple[Limits, ...]) -> list[Party]:
    by_account = {limit.account: limit for limit in limits}
    parties = []
    for flow in sorted(flows, key=lambda flow: flow.account):
        limit = by_account.get(flow.account, Limits(account=flow.account))
        highest = TARIFF.grid_import_per_kwh
        parties.append(
            Party(
                account=flow.account,
                import_wh=flow.import_wh,
                export_wh=flow.export_wh,
                bid_per_kwh=min(limit.max_buy_per_kwh, highest) - TARIFF.local_fee_per_kwh,
                ask_per_kwh=max(limit.min_sell_per_kwh, TARIFF.grid_export_per_kwh),
            )
        )
    return parties


def _plain_shares(total_wh: int, weights: dict[int, int]) -> dict[int, int]:
    whole = sum(weights.values())
    exact = {account: Fraction(total_wh * weight, whole) for account, weight in weights.items()}
    shares = {account: int(share) for account, share in exact.items()}
    order = sorted(exact, key=lambda account: (shares[account] - exact[account], account))
    for account in order[: total_wh - sum(shares.values())]:
        shares[account] += 1
    return shares


def plain_proportional(flows: tuple[Flow, ...]) -> list[Party]:
    """Exact fractions, one object an account."""
    parties = _parties(flows, ())
    demand_wh = sum(party.import_wh for party in parties)
    supply_wh = sum(party.export_wh for party in parties)
    traded_wh = min(demand_wh, supply_wh)
    bought = _plain_shares(traded_wh, {party.account: party.import_wh for party in parties})
    sold = _plain_shares(traded_wh, {party.account: party.export_wh for party in parties})
    for party in parties:
        party.bought_wh, party.sold_wh = bought[party.account], sold[party.account]
    return parties


def _plain_auction(flows: tuple[Flow, ...], limits: tuple[Limits, ...]) -> list[Party]:
    """Order by order; then what the marginal price level got is shared anew."""
    parties = _parties(flows, limits)
    buyers = [
        party
        for party in parties
        if party.import_wh and party.bid_per_kwh >= TARIFF.grid_export_per_kwh
    ]
    buyers.sort(key=lambda party: (-party.bid_per_kwh, party.account))
    sellers = [party for party in parties if party.export_wh]
    sellers.sort(key=lambda party: (party.ask_per_kwh, party.account))
    last_bid = last_ask = -1
    buyer_at = seller_at = 0
    while buyer_at < len(buyers) and seller_at < len(sellers):
        buyer, seller = buyers[buyer_at], sellers[seller_at]
        if buyer.bid_per_kwh < seller.ask_per_kwh:
            break
        step_wh = min(buyer.import_wh - buyer.bought_wh, seller.export_wh - seller.sold_wh)
        buyer.bought_wh += step_wh
        seller.sold_wh += step_wh
        last_bid, last_ask = buyer.bid_per_kwh, seller.ask_per_kwh
        buyer_at += buyer.bought_wh == buyer.import_wh
        seller_at += seller.sold_wh == seller.export_wh
    at_bid = [party for party in buyers if party.bid_per_kwh == last_bid]
    at_ask = [party for party in sellers if party.ask_per_kwh == last_ask]
    bought = _plain_shares(
        sum(party.bought_wh for party in at_bid), {p.account: p.import_wh for p in at_bid}
    )
    sold = _plain_shares(
        sum(party.sold_wh for party in at_ask), {p.account: p.export_wh for p in at_ask}
    )
    for party in at_bid:
        party.bought_wh = bought[party.account]
    for party in at_ask:
        party.sold_wh = sold[party.account]
    return parties


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
