"""Proposals that are cancelled or lapse, and are made again first."""

import pytest

from tests.chain.evm_world import reverts
from tests.chain.market_world import FIRST_PERIOD, HOUR_S, Community

PERIOD_S = 4 * HOUR_S
FLAT = [0] * 5
CANCELLED, LAPSED = 2, 3


def end(community: Community, how: str) -> None:
    """Brings the pending proposal to its early end."""
    if how == "cancel":
        done = community.send("cancel")
        run = community.read("pending")[1]
        pending = {"periodStart": FIRST_PERIOD, "run": run}
        assert done.events == [("ProposalCancelled", pending)]
        assert community.read("pending")[3] == CANCELLED
    else:
        community.world.later(2 * HOUR_S + 1)
        community.world.tester.mine_block()
        assert community.read("pending")[3] == LAPSED


@pytest.mark.parametrize("how", ["cancel", "lapse"])
def test_a_proposal_that_ended_early_is_made_again_with_other_contents(
    disputed: Community, how: str
) -> None:
    disputed.end_of()
    disputed.propose([-10, 0, 10, 0, 0])
    first = disputed.read("commitmentOf", FIRST_PERIOD, 0)
    end(disputed, how)
    with reverts("EnergyMarket_MustBeMadeAgain", FIRST_PERIOD, 0):
        disputed.propose(FLAT, period=FIRST_PERIOD + PERIOD_S)
    with reverts("EnergyMarket_MustBeMadeAgain", FIRST_PERIOD, 0):
        disputed.propose(FLAT, run=1)
    again = disputed.propose([-20, 0, 20, 0, 0])
    lapsed = ("ProposalLapsed", {"periodStart": FIRST_PERIOD, "run": 0})
    assert (lapsed in again.events) == (how == "lapse")
    assert disputed.read("commitmentOf", FIRST_PERIOD, 0) != first
    disputed.world.later(HOUR_S)
    with reverts("EnergyMarket_WrongCommitment"):
        disputed.finalize([-10, 0, 10, 0, 0])
    disputed.finalize([-20, 0, 20, 0, 0])
    assert disputed.read("balanceOf", 2) == 10**11 + 20


@pytest.mark.parametrize("how", ["cancel", "lapse"])
def test_a_revision_that_ended_early_comes_before_the_next_period(
    disputed: Community, how: str
) -> None:
    disputed.end_of()
    disputed.propose(FLAT)
    disputed.world.later(HOUR_S)
    disputed.finalize(FLAT)
    disputed.propose(FLAT, run=1)
    end(disputed, how)
    disputed.world.later(PERIOD_S)
    with reverts("EnergyMarket_MustBeMadeAgain", FIRST_PERIOD, 1):
        disputed.propose(FLAT, period=FIRST_PERIOD + PERIOD_S)
    disputed.propose(FLAT, run=1)
    disputed.world.later(HOUR_S)
    disputed.finalize(FLAT, run=1)
    assert disputed.read("finalRuns", FIRST_PERIOD) == 2
    disputed.propose(FLAT, period=FIRST_PERIOD + PERIOD_S)


@pytest.mark.parametrize("how", ["cancel", "lapse"])
def test_a_proposal_that_ended_early_is_neither_cancelled_nor_finalized(
    disputed: Community, how: str
) -> None:
    disputed.end_of()
    disputed.propose(FLAT)
    end(disputed, how)
    with reverts("EnergyMarket_NotPending", FIRST_PERIOD, 0):
        disputed.send("cancel")
    with reverts("EnergyMarket_NotPending" if how == "cancel" else "EnergyMarket_Lapsed"):
        disputed.finalize(FLAT)


def test_only_the_operator_cancels_and_only_what_is_pending(disputed: Community) -> None:
    with reverts("EnergyMarket_NotPending", 0, 0):
        disputed.send("cancel")
    disputed.end_of()
    disputed.propose(FLAT)
    for caller in (disputed.parties.stranger, disputed.parties.owner):
        with reverts("EnergyMarket_NotOperator", caller.address):
            disputed.send("cancel", sender=caller)


def test_the_revision_clock_starts_when_a_revision_is_applied(disputed: Community) -> None:
    disputed.end_of()
    disputed.propose(FLAT)
    disputed.world.later(HOUR_S)
    disputed.finalize(FLAT)
    disputed.propose(FLAT, run=1)
    assert disputed.read("lastRevisionAt") == 0
    disputed.world.later(HOUR_S)
    disputed.finalize(FLAT, run=1)
    applied_at = disputed.world.now
    assert disputed.read("lastRevisionAt") == applied_at
    with reverts("EnergyMarket_RevisionTooSoon", applied_at + PERIOD_S):
        disputed.propose(FLAT, run=2)
