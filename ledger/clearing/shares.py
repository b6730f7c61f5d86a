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
    shares_wh = [product // weight_sum for product in products]
    missing_wh = total_wh - sum(shares_wh)
    if missing_wh:
        remainders = [product % weight_sum for product in products]
        # A stable sort keeps equal remainders in account order, also when it is reversed.
        order = sorted(range(len(weights)), key=remainders.__getitem__, reverse=True)
        for place in order[:missing_wh]:
            shares_wh[place] += 1
    return shares_wh
