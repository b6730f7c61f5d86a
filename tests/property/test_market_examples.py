"""Roads that the market's machine seldom finds, walked beside the same model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.chain.embedded import EmbeddedChain
from tests.market.actor import MarketActor
from tests.market.drafts import SPOILS
from tests.market.kinds import KINDS, begun
from tests.market.on_chain import STRANGER, MarketOnChain
from tests.market.state import BALANCE_NANO_MAX
from tests.market.strategies import FILLING


@pytest.fixture
def large(tmp_path: Path) -> Iterator[MarketActor]:
    template, model = begun(KINDS["large"], tmp_path)
    with EmbeddedChain.open(tmp_path) as chain:
        yield MarketActor(MarketOnChain(chain, template.market, template.config), model)


def test_a_settlement_fills_a_lane_to_its_last_nano_and_not_one_more(large: MarketActor) -> None:
    large.publish(None, large.draft(FILLING, "low", 0, None))
    large.finish("dispute", 0)
    assert large.model.accounts[4].balance_nano == BALANCE_NANO_MAX
    large.publish(None, large.draft([(0, 4, "one")], "low", 0, None))
    large.finish("dispute", 0)
    assert large.pair.seen["finalize"] == 1
    assert large.pair.seen["BalanceTooLarge"] == 1
    large.pair.compare_all()


def test_words_of_zeros_behind_the_last_one_change_nothing(large: MarketActor) -> None:
    """34 accounts have nine words; the root pads the second chunk, so both calls say the same."""
    draft = large.draft([(2, 4, "half"), (33, 0, "all")], "low", 0, None)
    large.publish(None, draft)
    large.finish("dispute", 0, replace(draft, words=(*draft.words, *[0] * 8)))
    assert large.pair.seen["WrongCommitment"] == 1
    large.finish("dispute", 0, replace(draft, words=(*draft.words, *[0] * 7)))
    assert large.pair.seen["finalize"] == 1
    large.pair.compare_all()


@pytest.mark.parametrize("fault", ["a lane sum that wraps", "twice 2^63 in one lane"])
def test_a_lane_sum_that_wraps_makes_no_money(large: MarketActor, fault: str) -> None:
    draft = SPOILS[fault](large.model, large.draft([], "low", 0, None))
    assert sum(draft.words) % 2**256 == 0
    large.publish(None, draft)
    large.finish("dispute", 0)
    assert large.pair.seen["finalize"] == 0
    large.pair.compare_all()


def test_nobody_else_comes_between_a_lapsed_proposal_and_its_repetition(large: MarketActor) -> None:
    large.publish(None, large.draft([(2, 3, "half")], "low", 0, None))
    large.finish("dispute", 0)
    large.publish(None, large.draft([(3, 2, "half")], "low", 0, None))
    large.at(large.model.lapses_s())
    assert large.model.state() == "proposed"
    large.finalize(STRANGER, replace(large.model.final[0], run=1))
    large.at(large.model.lapses_s() + 1)
    large.publish(None, large.draft([], "low", 0, 0, is_turn=False))
    assert large.pair.seen["MustBeMadeAgain"] == 1
    large.publish(None, large.draft([], "low", 0, None))
    large.finish("dispute", 0)
    assert large.pair.seen["finalize"] == 2
    large.pair.compare_all()
