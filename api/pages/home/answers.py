"""The sentence that a prosumer came for, and what the picture shows, as keys and facts."""

from collections.abc import Iterator
from typing import Final

from api.pages.home.energy import Energy
from api.pages.home.stretches import View
from api.pages.home.wording import Wording
from ledger.units import BPS, GRID_OPERATOR, SUPPLIER, AccountId

Sentence = tuple[str, dict[str, object]]
TENTH_OF_A_PER_CENT: Final = 10


def answer_of(energy: Energy, wording: Wording) -> list[Sentence]:
    """What the roof sold or the home bought, and what that saved."""
    words, sums = wording.words, energy.sums
    when = wording.when(energy.stretch)
    if not energy.is_known:
        return [("home.answer.unknown", {"when": when})]
    saved: list[Sentence] = []
    if sums.saved_nano:
        saved = [("home.answer.saved", {"money": words.about_nano(sums.saved_nano)})]
    if sums.sold_wh:
        facts: dict[str, object] = {
            "when": when,
            "energy": words.energy(sums.sold_wh),
            "money": words.about_nano(sums.sold_nano),
        }
        return [("home.answer.sold", facts), *saved]
    if sums.bought_wh:
        facts = {
            "when": when,
            "energy": words.energy(sums.bought_wh),
            "money": words.about_nano(sums.bought_nano),
        }
        return [("home.answer.bought", facts), *saved]
    return [("home.answer.none", {"when": when})]


def answer_of_newcomer(account: AccountId) -> list[Sentence]:
    """What to do with an account that has no meter yet."""
    return [("home.answer.new", {"account": str(account)})]


def answer_of_office(account: AccountId) -> list[Sentence]:
    """What the two accounts without meters are for."""
    keys = {SUPPLIER: "home.answer.supplier", GRID_OPERATOR: "home.answer.grid_operator"}
    return [(keys[account], {})]


def lede_of(energy: Energy, wording: Wording) -> list[Sentence]:
    """What else was traded, and how sure all of it is."""
    words, sums = wording.words, energy.sums
    sentences: list[Sentence] = []
    if sums.sold_wh and sums.bought_wh:
        facts: dict[str, object] = {
            "energy": words.energy(sums.bought_wh),
            "money": words.about_nano(sums.bought_nano),
        }
        sentences.append(("home.lede.bought", facts))
    if sums.saved_nano:
        sentences.append(("home.lede.against", {}))
    if energy.is_known:
        sentences += _state_of(energy)
    return sentences


def _state_of(energy: Energy) -> Iterator[Sentence]:
    sums = energy.sums
    is_open = energy.stretch.view is View.DAY and energy.unknown > 0
    if sums.provisional:
        yield "home.lede.provisional", {"n": sums.provisional}
    elif not sums.estimated and not is_open:
        yield "home.lede.final", {}
    if is_open:
        yield "home.lede.unknown", {"n": energy.unknown}
    if sums.estimated:
        yield "home.lede.estimated", {"n": sums.estimated}
    if sums.uncovered:
        yield "home.lede.uncovered", {"n": sums.uncovered}


def caption_of(energy: Energy, wording: Wording) -> list[Sentence]:
    """What the bars show."""
    words, sums = wording.words, energy.sums
    shares: dict[str, object] = {}
    if sums.export_wh:
        shares["sold_share"] = words.per_cent(_share_bps(sums.sold_wh, sums.export_wh))
    if sums.import_wh:
        shares["bought_share"] = words.per_cent(_share_bps(sums.bought_wh, sums.import_wh))
    key = {2: "both", 0: "none"}.get(len(shares), "given" if sums.export_wh else "taken")
    sentences: list[Sentence] = [(f"home.caption.{key}", shares)]
    if energy.prices is not None:
        low, high = energy.prices
        if low == high:
            sentences.append(("home.caption.price", {"price": words.price(low)}))
        else:
            facts: dict[str, object] = {"low": words.price(low), "high": words.price(high)}
            sentences.append(("home.caption.prices", facts))
    return sentences


def _share_bps(part_wh: int, whole_wh: int) -> int:
    """A share to a tenth of a per cent, rounded down."""
    return part_wh * BPS // whole_wh // TENTH_OF_A_PER_CENT * TENTH_OF_A_PER_CENT
