"""Volume rules: who buys and who sells how much of what may trade.

Modelled on the sharing keys of collective self-consumption; `ledger/README.md` names the sources.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from ledger.clearing.book import Eligible
from ledger.clearing.keys import POOL, Keys, Priorities
from ledger.clearing.shares import largest_remainder, share_column
from ledger.clearing.types import PRODUCER_KEY_RULES, Problem, VolumeRule
from ledger.units import BPS, AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """What each account bought and sold, in account order; both add up to the same."""

    bought_wh: list[int]
    sold_wh: list[int]


def trade(problem: Problem, eligible: Eligible) -> Volumes:
    """Step 3 of INTERFACES §6, for every price rule but the auction."""
    if problem.volume_rule in PRODUCER_KEY_RULES:
        return by_producer_keys(problem.keys, eligible)
    if problem.volume_rule is VolumeRule.DYNAMIC:
        return by_pool_keys(problem.keys, eligible)
    if problem.volume_rule is VolumeRule.PRIORITY:
        return by_priority(problem.priorities, eligible)
    return in_proportion(eligible.import_wh, eligible.export_wh)


def in_proportion(import_wh: list[int], export_wh: list[int]) -> Volumes:
    """Each side shares what both sides can trade in proportion to its energy."""
    traded_wh = min(sum(import_wh), sum(export_wh))
    return Volumes(
        bought_wh=share_column(traded_wh, import_wh), sold_wh=share_column(traded_wh, export_wh)
    )


def by_producer_keys(keys: Keys, eligible: Eligible) -> Volumes:
    """Each producer offers by its own keys; what is not taken goes to the grid, not to others."""
    exports_wh = dict(zip(eligible.accounts, eligible.export_wh, strict=True))
    offers_wh: dict[AccountId, dict[AccountId, int]] = defaultdict(dict)  # Consumer → producer.
    for producer, keys_bps in keys.items():
        export_wh = exports_wh.get(AccountId(int(producer)), 0)
        offered_wh = _offer(export_wh, keys_bps, eligible)
        for consumer, offer_wh in offered_wh.items():
            offers_wh[consumer][AccountId(int(producer))] = offer_wh

    bought_wh: dict[AccountId, int] = {}
    sold_wh: dict[AccountId, int] = defaultdict(int)
    for consumer, import_wh in zip(eligible.accounts, eligible.import_wh, strict=True):
        from_producers_wh = offers_wh.get(consumer, {})
        bought_wh[consumer] = min(import_wh, sum(from_producers_wh.values()))
        for producer, taken_wh in largest_remainder(bought_wh[consumer], from_producers_wh).items():
            sold_wh[producer] += taken_wh
    return Volumes(
        bought_wh=[bought_wh[account] for account in eligible.accounts],
        sold_wh=[sold_wh.get(account, 0) for account in eligible.accounts],
    )


def by_pool_keys(keys: Keys, eligible: Eligible) -> Volumes:
    """The pool of all exports is offered by keys; producers share what was taken of it."""
    offers_wh = _offer(eligible.export_sum_wh, keys.get(POOL, {}), eligible)
    bought_wh = [
        min(import_wh, offers_wh.get(account, 0))
        for account, import_wh in zip(eligible.accounts, eligible.import_wh, strict=True)
    ]
    return Volumes(bought_wh=bought_wh, sold_wh=share_column(sum(bought_wh), eligible.export_wh))


def _offer(
    export_wh: int, keys_bps: Mapping[AccountId, int], eligible: Eligible
) -> dict[AccountId, int]:
    """What keys offer of an export; keys of accounts that may not buy count for nothing."""
    counted_bps = {
        consumer: key_bps
        for consumer, key_bps in keys_bps.items()
        if consumer not in eligible.no_buyers
    }
    return largest_remainder(export_wh * sum(counted_bps.values()) // BPS, counted_bps)


def by_priority(priorities: Priorities, eligible: Eligible) -> Volumes:
    """Round by round each producer serves its next consumer; the rest trades in proportion."""
    import_left_wh = dict(zip(eligible.accounts, eligible.import_wh, strict=True))
    export_left_wh = dict(zip(eligible.accounts, eligible.export_wh, strict=True))
    producers = [producer for producer in sorted(priorities) if export_left_wh.get(producer)]
    for consumers in zip_longest(*(priorities[producer] for producer in producers)):
        pointing: dict[AccountId, list[AccountId]] = defaultdict(list)
        for producer, consumer in zip(producers, consumers, strict=True):
            if consumer is not None and import_left_wh.get(consumer):
                pointing[consumer].append(producer)
        for consumer, served_by in pointing.items():
            remaining_wh = {producer: export_left_wh[producer] for producer in served_by}
            taken_wh = min(import_left_wh[consumer], sum(remaining_wh.values()))
            import_left_wh[consumer] -= taken_wh
            for producer, share_wh in largest_remainder(taken_wh, remaining_wh).items():
                export_left_wh[producer] -= share_wh

    rest = in_proportion(list(import_left_wh.values()), list(export_left_wh.values()))
    return Volumes(
        bought_wh=_used(eligible.import_wh, import_left_wh, rest.bought_wh),
        sold_wh=_used(eligible.export_wh, export_left_wh, rest.sold_wh),
    )


def _used(all_wh: list[int], left_wh: dict[AccountId, int], rest_wh: list[int]) -> list[int]:
    columns = zip(all_wh, left_wh.values(), rest_wh, strict=True)
    return [before_wh - after_wh + more_wh for before_wh, after_wh, more_wh in columns]
