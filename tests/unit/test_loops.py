"""What is told of the loops behind a service."""

from datetime import timedelta

import pytest

from api.clock import SystemClock
from api.loops import Loop, problems_of


def test_a_loop_is_well_until_a_round_fails_and_again_after_one_that_does_not() -> None:
    loop = Loop("settlement")
    assert (loop.state().last_round_at, loop.state().problem) == (None, None)
    loop.passed("chain_unavailable")
    assert problems_of([loop.state()]) == ["settlement: chain_unavailable"]
    loop.passed()
    assert problems_of([loop.state()]) == []
    assert loop.state().last_round_at is not None


def test_a_loop_that_comes_round_no_more_is_a_problem_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop("settlement", stalls_after_s=60)
    loop.passed()
    later_at = SystemClock().now() + timedelta(seconds=90)
    monkeypatch.setattr(SystemClock, "now", lambda _: later_at)
    assert problems_of([loop.state()])[0].startswith("settlement: no round for 9")
    loop.works()  # It is in a long one.
    assert problems_of([loop.state()]) == []
