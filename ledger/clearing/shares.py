"""Sharing whole Wh by the largest remainder (Hamilton's method): `LR` of INTERFACES §6."""

from collections.abc import Mapping, Sequence

from ledger.units import AccountId


def largest_remainder(total_wh: int, weights: Mapping[AccountId, int]) -> dict[AccountId, int]:
    """Shares of a total in proportion to weights, by account; ties go to the lower account."""
    accounts = sorted(weights)
    shares_wh = share_column(total_wh, [weights[account] for account in accounts])
    return dict(zip(accounts, shares_wh, strict=True))


def share_column(total_wh: int, weights: Sequence[int]) -> list[int]:
    """The same for weights in account order. No weight, or no total: nobody gets anything."""
    weight_sum = sum(weights)
    if weight_sum == 0 or total_wh == 0:
        return [0] * len(weights)
    if total_wh == weight_sum:
        return list(weights)  # Everybody's share is exact: the whole side trades.
    products = [total_wh * weight for weight in weights]
    remainders = [product % weight_sum for product in products]
    missing_wh = sum(remainders) // weight_sum  # What rounding all shares down leaves over.
    if missing_wh == 0:
        return [product // weight_sum for product in products]
    # One Wh more for the `missing_wh` largest remainders. Only the smallest of them has to be
    # found: lifted by what it lacks, every larger one passes the next whole Wh by itself.
    cut = sorted(remainders)[-missing_wh]
    lift = weight_sum - 1 - cut
    shares_wh = [(product + lift) // weight_sum for product in products]
    _give_to_ties(shares_wh, remainders, cut, total_wh - sum(shares_wh))
    return shares_wh


def _give_to_ties(shares_wh: list[int], remainders: Sequence[int], cut: int, left_wh: int) -> None:
    """The last Wh go to those whose remainder is the cut, the lower account first."""
    place = -1
    for _ in range(left_wh):
        place = remainders.index(cut, place + 1)
        shares_wh[place] += 1
