"""Runs that an operator may want to publish: honest ones, and each wrong in one way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tests.chain.market_world import delta_words
from tests.market.state import BALANCE_NANO_MAX, Draft, MarketState

LANE_LEAST = -(2**63)

Transfer = tuple[int, int, str]  # From, to, how much.


def amount_nano(model: MarketState, payer: int, payee: int, size: str, cap_nano: int) -> int:
    """A number of nano at one of the limits that matter."""
    available_nano = model.available_nano(payer)
    room_nano = BALANCE_NANO_MAX - model.accounts[payee].balance_nano
    sizes = {
        "one": 1,
        "some": 12_345_678,
        "half": available_nano // 2,
        "all": available_nano,
        "all+1": available_nano + 1,
        "cap": cap_nano,
        "cap+1": cap_nano + 1,
        "room": room_nano,
        "half of room": room_nano // 2,
        "rest of room": room_nano - room_nano // 2,
        "room+1": room_nano + 1,
    }
    return sizes[size]


def bills_of(model: MarketState, bare: Draft, transfers: Sequence[Transfer]) -> list[int]:
    """What a run's statements say, account by account; it adds up to zero."""
    bills = [0] * len(model.accounts)
    for payer, payee, size in transfers:
        one, other = payer % len(bills), payee % len(bills)
        nano = amount_nano(model, one, other, size, model.cap_nano(one, bare))
        bills[one] -= nano
        bills[other] += nano
    return bills


def settled(model: MarketState, bare: Draft, bills: Sequence[int]) -> Draft:
    """The run that brings everybody from what was applied to their bill, as far as they can pay."""
    lanes = [
        bill - model.applied_nano(account, bare.period_s) for account, bill in enumerate(bills)
    ]
    shorts = []
    for account in range(1, len(lanes)):
        missing_nano = -lanes[account] - model.available_nano(account)
        if missing_nano > 0:
            shorts.append((account, missing_nano))
            lanes[account] += missing_nano
            lanes[0] -= missing_nano
    return with_lanes(replace(bare, shorts=tuple(shorts)), lanes)


def bare_draft(
    model: MarketState, period_s: int, run: int, *, cutoff_s: int, place: str, seed: int
) -> Draft:
    """A run that moves nothing, its prices at one of the places that the rule allows."""
    prices = model.prices_at(period_s)
    assert prices is not None
    low, high = prices.allowed(model.fixed.price_rule)
    local = {"low": low, "middle": (low + high) // 2, "high": high}[place]
    empty = Draft(
        period_s=period_s,
        run=run,
        cutoff_s=cutoff_s,
        root=seed.to_bytes(32),
        totals=(seed + 1).to_bytes(32),
        prices=((local, prices),) * model.fixed.windows,
        words=(),
        lanes=(),
    )
    return with_lanes(empty, [0] * len(model.accounts))


def with_lanes(draft: Draft, lanes: Sequence[int]) -> Draft:
    """The same with other deltas; lanes that fit no word are cut to what a word can say."""
    fitting = [max(LANE_LEAST, min(nano, -LANE_LEAST - 1)) for nano in lanes]
    return replace(draft, lanes=tuple(fitting), words=tuple(delta_words(fitting)))


Spoil = Callable[[MarketState, Draft], Draft]


def _moved(changes: Mapping[int, int]) -> Spoil:
    """Adds to some lanes; accounts that are not there are left alone."""

    def spoil(_model: MarketState, draft: Draft) -> Draft:
        lanes = list(draft.lanes)
        for account, nano in changes.items():
            if account < len(lanes):
                lanes[account] += nano
        return with_lanes(draft, lanes)

    return spoil


def _beyond_the_last_account(_model: MarketState, draft: Draft) -> Draft:
    return with_lanes(draft, [*draft.lanes, 1])


def _short(change: Callable[[tuple[int, int]], list[tuple[int, int]]]) -> Spoil:
    """Changes the list of those who cannot pay; makes one, honest until then, if there is none."""

    def spoil(model: MarketState, draft: Draft) -> Draft:
        if not draft.shorts:
            lanes = list(draft.lanes)
            available_nano = model.available_nano(1)
            lanes[0] += lanes[1] + available_nano
            lanes[1] = -available_nano
            draft = with_lanes(replace(draft, shorts=((1, 7),)), lanes)
        return replace(draft, shorts=(*draft.shorts[:-1], *change(draft.shorts[-1])))

    return spoil


def _short_takes(nano: int) -> Spoil:
    def spoil(model: MarketState, draft: Draft) -> Draft:
        listed = _short(lambda one: [one])(model, draft)
        return _moved({listed.shorts[-1][0]: nano, 0: -nano})(model, listed)

    return spoil


def _priced(local: Callable[[int], int], *, fee: int = 0) -> Spoil:
    """Changes the last window's price."""

    def spoil(_model: MarketState, draft: Draft) -> Draft:
        *others, (price, prices) = draft.prices
        last = (local(price), replace(prices, fee=prices.fee + fee))
        return replace(draft, prices=(*others, last))

    return spoil


SPOILS: Mapping[str, Spoil] = {
    "period one second later": lambda m, d: replace(d, period_s=d.period_s + 1),
    "a period too far": lambda m, d: replace(d, period_s=d.period_s + m.fixed.period_s),
    "a period too early": lambda m, d: replace(d, period_s=d.period_s - m.fixed.period_s),
    "a run too far": lambda m, d: replace(d, run=d.run + 1),
    "a run that is final": lambda m, d: replace(d, run=max(0, d.run - 1)),
    "run 0 again": lambda m, d: replace(d, run=0),
    "cutoff inside the period": lambda m, d: replace(d, cutoff_s=d.period_s + m.fixed.period_s - 1),
    "cutoff to come": lambda m, d: replace(d, cutoff_s=m.now_s + 1),
    "a price too few": lambda m, d: replace(d, prices=d.prices[1:]),
    "a price too many": lambda m, d: replace(d, prices=(*d.prices, d.prices[0])),
    "another fee": _priced(lambda price: price, fee=1),
    "price too low": _priced(lambda price: max(0, price - 80_001)),
    "price too high": _priced(lambda price: price + 200_001),
    "price one higher": _priced(lambda price: price + 1),
    "bits above the price": _priced(lambda price: price + 2**32),
    "a word too few": lambda m, d: replace(d, words=d.words[:-1]),
    "a word too many": lambda m, d: replace(d, words=(*d.words, 0)),
    "a lane of nobody": _beyond_the_last_account,
    "one nano from nowhere": _moved({2: 1}),
    "one nano to nowhere": _moved({0: -1}),
    "a lane sum that wraps": _moved({3: 2**62, 7: 2**62, 11: 2**62, 15: 2**62}),
    "a wild balanced pair": _moved({2: 2**62, 3: -(2**62)}),
    "the widest lanes": _moved({1: -(2**63), 2: 2**63 - 1, 3: 1}),
    "twice 2^63 in one lane": _moved({3: -(2**63), 7: -(2**63)}),
    "short less than all": _short_takes(1),
    "short more than all": _short_takes(-1),
    "short of nothing": _short(lambda one: [(one[0], 0)]),
    "short twice": _short(lambda one: [one, one]),
    "account 0 short": _short(lambda one: [(0, one[1])]),
    "a stranger short": _short(lambda one: [one, (9_999, 1)]),
}
