"""INTERFACES §6 once more, slowly: exact fractions, dictionaries, one Wh at a time.

Written from the text alone and in another way than `ledger/clearing`, to be compared with it.
"""

from fractions import Fraction
from typing import Any

Document = dict[str, Any]
Wh = dict[int, int]
NO_LIMIT = 2**64 - 1


def remainder_shares(total: int, weights: Wh) -> Wh:
    """`LR`: exact fractions cut down, then one Wh at a time to whoever lost most."""
    if total == 0 or sum(weights.values()) == 0:
        return dict.fromkeys(weights, 0)
    exact = {a: Fraction(total * w, sum(weights.values())) for a, w in weights.items()}
    given = {a: share.numerator // share.denominator for a, share in exact.items()}
    served: set[int] = set()
    while sum(given.values()) < total:
        lucky = min((a for a in exact if a not in served), key=lambda a: (given[a] - exact[a], a))
        given[lucky] += 1
        served.add(lucky)
    return given


class Oracle:
    """One problem document, opened up."""

    def __init__(self, problem: Document) -> None:
        tariff = problem["tariff"]
        self.problem = problem
        self.ge = tariff["grid_export_per_kwh"]
        self.gi = tariff["grid_import_per_kwh"]
        self.fee = tariff["local_fee_per_kwh"]
        self.pmax = self.gi - self.fee
        self.imports: Wh = {f["account"]: f["import_wh"] for f in problem["flows"]}
        self.exports: Wh = {f["account"]: f["export_wh"] for f in problem["flows"]}
        limits = problem["limits"]
        self.max_buy = {x["account"]: x.get("max_buy_per_kwh", NO_LIMIT) for x in limits}
        self.min_sell = {x["account"]: x.get("min_sell_per_kwh", 0) for x in limits}

    def may_buy(self, account: int, price: int) -> bool:
        covered = account not in self.problem["uncovered"]
        return bool(covered and self.max_buy.get(account, NO_LIMIT) >= price + self.fee)

    def may_sell(self, account: int, price: int) -> bool:
        return bool(self.min_sell.get(account, 0) <= price)

    def price(self) -> int:
        rule = self.problem["price_rule"]
        supply, demand = sum(self.exports.values()), sum(self.imports.values())
        if rule == "fixed":
            return int(self.problem["price_per_kwh"])
        if rule == "supply_demand_ratio":
            if demand == 0:
                return int(self.ge)
            met = Fraction(min(supply, demand), demand)
            return int(self.pmax * (1 - met) + self.ge * met)
        return int(Fraction(self.ge + self.pmax, 2))

    def auction(self) -> tuple[int, Wh, Wh]:
        bids: Wh = {}
        for account, energy in self.imports.items():
            bid = min(self.max_buy.get(account, NO_LIMIT), self.gi) - self.fee
            if energy and account not in self.problem["uncovered"] and bid >= self.ge:
                bids[account] = bid
        asks = {a: max(self.min_sell.get(a, 0), self.ge) for a, e in self.exports.items() if e}
        bid_curve = sorted((p for a, p in bids.items() for _ in range(self.imports[a])), key=int)
        bid_curve.reverse()
        ask_curve = sorted(p for a, p in asks.items() for _ in range(self.exports[a]))
        q = sum(bid >= ask for bid, ask in zip(bid_curve, ask_curve, strict=False))
        bought, sold = dict.fromkeys(self.imports, 0), dict.fromkeys(self.exports, 0)
        if q == 0:
            return (self.ge + self.pmax) // 2, bought, sold
        b_star, a_star = bid_curve[q - 1], ask_curve[q - 1]
        bought |= {a: self.imports[a] for a, p in bids.items() if p > b_star}
        at_bid = {a: self.imports[a] for a, p in bids.items() if p == b_star}
        bought |= remainder_shares(q - sum(bought.values()), at_bid)
        sold |= {a: self.exports[a] for a, p in asks.items() if p < a_star}
        at_ask = {a: self.exports[a] for a, p in asks.items() if p == a_star}
        sold |= remainder_shares(q - sum(sold.values()), at_ask)
        low = max([a_star] + [p for a, p in bids.items() if bought[a] < self.imports[a]])
        high = min([b_star] + [p for a, p in asks.items() if sold[a] < self.exports[a]])
        k = Fraction(self.problem["auction_k_bps"], 10_000)
        mixed = low * (1 - k) + high * k
        return mixed.numerator // mixed.denominator, bought, sold

    def volumes(self, price: int, buy: Wh, sell: Wh) -> tuple[Wh, Wh]:
        rule = self.problem["volume_rule"]
        if rule in ("static", "full_dynamic"):
            return self._producer_keys(price, buy, sell)
        if rule == "dynamic":
            pool = {
                int(c): k
                for c, k in self.problem["keys"].get("pool", {}).items()
                if self.may_buy(int(c), price)
            }
            on_offer = sum(sell.values()) * sum(pool.values()) // 10_000
            offers = remainder_shares(on_offer, pool)
            bought = {c: min(i, offers.get(c, 0)) for c, i in buy.items()}
            return bought, remainder_shares(sum(bought.values()), sell)
        if rule == "priority":
            return self._priorities(buy, sell)
        return self._proportional(buy, sell)

    def _proportional(self, buy: Wh, sell: Wh) -> tuple[Wh, Wh]:
        q = min(sum(buy.values()), sum(sell.values()))
        return remainder_shares(q, buy), remainder_shares(q, sell)

    def _producer_keys(self, price: int, buy: Wh, sell: Wh) -> tuple[Wh, Wh]:
        offers: dict[int, Wh] = {}
        for producer, shares in self.problem["keys"].items():
            counted = {int(c): k for c, k in shares.items() if self.may_buy(int(c), price)}
            export = sell.get(int(producer), 0)
            offers[int(producer)] = remainder_shares(
                export * sum(counted.values()) // 10_000, counted
            )
        bought, sold = dict.fromkeys(buy, 0), dict.fromkeys(sell, 0)
        for consumer in buy:
            mine = {p: offered[consumer] for p, offered in offers.items() if consumer in offered}
            bought[consumer] = min(buy[consumer], sum(mine.values()))
            for producer, taken in remainder_shares(bought[consumer], mine).items():
                if taken:
                    sold[producer] += taken
        return bought, sold

    def _priorities(self, buy: Wh, sell: Wh) -> tuple[Wh, Wh]:
        lists = {int(p): consumers for p, consumers in self.problem["priorities"].items()}
        want, have = dict(buy), dict(sell)
        for turn in range(max(map(len, lists.values()), default=0)):
            for consumer in list(want):
                pointing = {
                    p: have.get(p, 0)
                    for p, consumers in lists.items()
                    if turn < len(consumers) and consumers[turn] == consumer
                }
                taken = min(want[consumer], sum(pointing.values()))
                want[consumer] -= taken
                for producer, share in remainder_shares(taken, pointing).items():
                    if share:
                        have[producer] -= share
        more_bought, more_sold = self._proportional(want, have)
        bought = {a: buy[a] - want[a] + more_bought[a] for a in buy}
        return bought, {a: sell[a] - have[a] + more_sold[a] for a in sell}

    def amount(self, account: int, price: int, bought: int, sold: int) -> int:
        amount = sold * price - bought * (price + self.fee)
        if self.problem["residual"] == "settled":
            if account not in self.problem["uncovered"]:
                amount -= (self.imports[account] - bought) * self.gi
            amount += (self.exports[account] - sold) * self.ge
        return int(amount)

    def supplier_amount(self, traded: int) -> int:
        """§5's account 0: from the totals, not from the other accounts' amounts."""
        if self.problem["residual"] == "external":
            return 0
        uncovered = sum(self.imports.get(a, 0) for a in self.problem["uncovered"])
        bought_from_it = sum(self.imports.values()) - uncovered - traded
        return int(bought_from_it * self.gi - (sum(self.exports.values()) - traded) * self.ge)

    def result(self) -> Document:
        price = self.price()
        if self.problem["price_rule"] == "auction":
            price, bought, sold = self.auction()
        buy = {a: wh if self.may_buy(a, price) else 0 for a, wh in self.imports.items()}
        sell = {a: wh if self.may_sell(a, price) else 0 for a, wh in self.exports.items()}
        if self.problem["price_rule"] != "auction":
            bought, sold = self.volumes(price, buy, sell)
        traded = sum(bought.values())
        return {
            "local_per_kwh": price,
            "traded_wh": traded,
            "eligible_import_wh": sum(buy.values()),
            "eligible_export_wh": sum(sell.values()),
            "rows": [
                {
                    "account": account,
                    "import_wh": self.imports[account],
                    "export_wh": self.exports[account],
                    "bought_wh": bought[account],
                    "sold_wh": sold[account],
                    "delta_nano": str(self.amount(account, price, bought[account], sold[account])),
                }
                for account in sorted(self.imports)
            ],
            "supplier_delta_nano": str(self.supplier_amount(traded)),
            "operator_delta_nano": str(traded * self.fee),
        }
