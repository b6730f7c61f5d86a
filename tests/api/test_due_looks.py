"""What comes in while a revision is under way is looked at the next time."""

import time
from contextlib import closing
from pathlib import Path

from api.jobs.community import Community
from api.jobs.due import REVISED_THROUGH, DueRuns
from api.jobs.intake import import_registers
from api.jobs.settle import SettlementLoop
from tests.api.test_settling import PATIENCE_S, PERIOD_S, WINDOW_S, final_runs, findings, street
from tests.e2e.registers import line, write


def take_late(community: Community, place: Path, second: int, import_wh: int) -> None:
    """A reading between two that are there, which moves what lies between them."""
    at_s = community.schedule.first_period_start_s + second
    file = write(place / "late.csv", [line("a", at_s, import_wh, 2_000)])
    assert import_registers(community, file).accepted == 1
    time.sleep(1.1)  # What is accepted in a second is known at a cutoff after it.


def settle(community: Community) -> None:
    list(SettlementLoop(community, may_move_time=False).run())


def settle_after(community: Community, cutoff_s: int) -> None:
    """Settles when the next period is over, which takes a later cutoff than all before."""
    ends_at = time.monotonic() + PATIENCE_S
    while community.settlements.latest_cutoff_s() <= cutoff_s:
        assert time.monotonic() < ends_at
        time.sleep(0.2)
        settle(community)


def test_what_came_in_after_a_look_is_not_noted_as_settled_by_it(tmp_path: Path) -> None:
    assert (WINDOW_S, PERIOD_S) == (2, 8)
    with closing(street(tmp_path)) as community:
        settle(community)
        assert len(final_runs(community)) >= 2
        take_late(community, tmp_path, 3, 1_025)
        looks = DueRuns(community, until_s=None, moves_time=False)
        history, book = community.refresh(), community.book()
        due = {(each.period_start_s, each.run) for each in looks.find(history, book)}
        first_s = community.schedule.first_period_start_s
        assert (first_s, 1) in due
        seen_s = community.settlements.latest_cutoff_s()

        take_late(community, tmp_path, 5, 1_045)
        settle_after(community, seen_s)  # By a run that this look knows nothing of.
        for period_start_s, _ in due:
            looks.settled(period_start_s)
        looks.note_nothing_left()
        assert int(community.settlements.facts()[REVISED_THROUGH]) == seen_s
        assert findings(community) == []
