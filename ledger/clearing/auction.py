"""The uniform-price double auction with a k between the bounds (INTERFACES §6)."""

from collections import defaultdict
from dataclasses import dataclass

from ledger.clearing.book import Book
from ledger.clearing.prices import mid_market_per_kwh
from ledger.clearing.shares import share_column
from ledger.clearing.types import Problem
from ledger.clearing.volumes import Volumes
from ledger.units import BPS

Orders = dict[int, int]  # Place in the book → price, in account order.
Levels = dict[int, int]  # Price → energy of all orders at it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """How far the falling bids and the rising asks were walked."""

    traded_wh: int  # q
    marginal_bid_per_kwh: int  # b*: the last bid that trades.
    marginal_ask_per_kwh: int  # a*: the last ask that trades.
    low_per_kwh: int  # L: below it somebody would still want to buy more.
    high_per_kwh: int  # U: above it somebody would still want to sell more.


def auction(problem: Problem, book: Book) -> tuple[int, Volumes]:
    """The price and who trades how much; the mid-market price when nothing trades."""
    bids = _bids(problem, book)
    asks = _asks(problem, book)
    crossing = _cross(bids=_levels(bids, book.import_wh), asks=_levels(asks, book.export_wh))
    if crossing is None:
        nothing_wh = [0] * len(book.accounts)
        volumes = Volumes(bought_wh=nothing_wh, sold_wh=nothing_wh)
        return mid_market_per_kwh(problem.tariff), volumes
    k_bps = problem.auction_k_bps
    price_per_kwh = (crossing.low_per_kwh * (BPS - k_bps) + crossing.high_per_kwh * k_bps) // BPS
    traded_wh = crossing.traded_wh
    # An ask is the keener the lower it is: turned round, both sides are filled alike.
    keenness = {place: -ask for place, ask in asks.items()}
    return price_per_kwh, Volumes(
        bought_wh=_fill(traded_wh, bids, crossing.marginal_bid_per_kwh, book.import_wh),
        sold_wh=_fill(traded_wh, keenness, -crossing.marginal_ask_per_kwh, book.export_wh),
    )


def _bids(problem: Problem, book: Book) -> Orders:
    """What covered importers pay at most, less the fee; below the export price nobody sells."""
    tariff = problem.tariff
    highest, lowest = tariff.price_max_per_kwh, tariff.grid_export_per_kwh
    limited = {
        limit.account: limit.max_buy_per_kwh - tariff.local_fee_per_kwh
        for limit in problem.limits
        if limit.max_buy_per_kwh < tariff.grid_import_per_kwh
    }
    bids: Orders = {}
    for place, (account, import_wh) in enumerate(zip(book.accounts, book.import_wh, strict=True)):
        if import_wh and account not in problem.uncovered:
            bid = limited.get(account, highest)
            if bid >= lowest:
                bids[place] = bid
    return bids


def _asks(problem: Problem, book: Book) -> Orders:
    """What exporters want at least, and never less than the grid pays."""
    lowest = problem.tariff.grid_export_per_kwh
    limited = {
        limit.account: limit.min_sell_per_kwh
        for limit in problem.limits
        if limit.min_sell_per_kwh > lowest
    }
    columns = enumerate(zip(book.accounts, book.export_wh, strict=True))
    return {
        place: limited.get(account, lowest) for place, (account, export_wh) in columns if export_wh
    }


def _levels(orders: Orders, energies_wh: list[int]) -> Levels:
    level_wh: Levels = defaultdict(int)
    for place, price_per_kwh in orders.items():
        level_wh[price_per_kwh] += energies_wh[place]
    return level_wh


def _cross(*, bids: Levels, asks: Levels) -> Crossing | None:
    """Walk both sides until the next bid is below the next ask or a side ends."""
    falling, rising = sorted(bids, reverse=True), sorted(asks)
    bid_at = ask_at = traded_wh = 0
    bid_used_wh = ask_used_wh = 0  # Of the level that each side stands at.
    marginal_bid = marginal_ask = -1
    while bid_at < len(falling) and ask_at < len(rising):
        bid, ask = falling[bid_at], rising[ask_at]
        if bid < ask:
            break
        step_wh = min(bids[bid] - bid_used_wh, asks[ask] - ask_used_wh)
        traded_wh += step_wh
        bid_used_wh += step_wh
        ask_used_wh += step_wh
        marginal_bid, marginal_ask = bid, ask
        if bid_used_wh == bids[bid]:
            bid_at, bid_used_wh = bid_at + 1, 0
        if ask_used_wh == asks[ask]:
            ask_at, ask_used_wh = ask_at + 1, 0
    if traded_wh == 0:
        return None
    # The level where a side stands is the keenest one of it that is not filled in full.
    unfilled_bid = falling[bid_at] if bid_at < len(falling) else marginal_ask
    unfilled_ask = rising[ask_at] if ask_at < len(rising) else marginal_bid
    return Crossing(
        traded_wh=traded_wh,
        marginal_bid_per_kwh=marginal_bid,
        marginal_ask_per_kwh=marginal_ask,
        low_per_kwh=max(marginal_ask, unfilled_bid),
        high_per_kwh=min(marginal_bid, unfilled_ask),
    )


def _fill(traded_wh: int, keenness: Orders, marginal: int, energies_wh: list[int]) -> list[int]:
    """Keener orders than the marginal one in full; those that equal it share what is left."""
    filled_wh = [0] * len(energies_wh)
    at_margin: list[int] = []
    for place, keen in keenness.items():
        if keen > marginal:
            filled_wh[place] = energies_wh[place]
        elif keen == marginal:
            at_margin.append(place)
    left_wh = traded_wh - sum(filled_wh)
    shares_wh = share_column(left_wh, [energies_wh[place] for place in at_margin])
    for place, share_wh in zip(at_margin, shares_wh, strict=True):
        filled_wh[place] = share_wh
    return filled_wh
