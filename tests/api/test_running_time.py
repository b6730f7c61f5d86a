"""Time that follows data goes on by itself while a community is served, and never backwards."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from api.errors import BadInput
from api.jobs.community import Community
from api.jobs.opening import clock_of
from api.jobs.running_time import NOTED_AHEAD_S, RunningTime
from api.serving import serve_community
from ledger.units import from_unix_s
from tests.api.community_worlds import (
    BUYER,
    DAY_S,
    SELLER,
    START_S,
    community_of,
    document,
    take,
)
from tests.api.test_settling import final_runs, findings, street, until

SPEED = 86_400  # A day a second.


def next_start_at(community: Community) -> datetime:
    """What time it will be when the community is opened again."""
    return clock_of(community.config, community.chain, community.engine).now()


def test_periods_of_data_settle_by_themselves_as_time_passes_them(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(["buyer", "seller"])) as community:
        assert not take(community, {"buyer": BUYER * 3, "seller": SELLER * 3}).rejected

        async def run() -> None:
            async with serve_community(community, settle_every_s=0.1, speed=SPEED) as service:
                assert service.market.view().speed == SPEED
                await until(lambda: len(final_runs(community)) == 3)
                assert service.problems() == []

        asyncio.run(run())
        assert final_runs(community) == [(START_S + day * DAY_S, 0) for day in range(3)]
        chain = community.chain
        assert chain.head().timestamp_s >= START_S + 3 * DAY_S
        assert next_start_at(community) >= from_unix_s(chain.head().timestamp_s)
        assert findings(community) == []


def test_a_service_that_is_stopped_goes_on_where_its_time_stood(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(["buyer"])) as community:
        before_at = community.clock.now()

        async def run() -> None:
            async with RunningTime(community, speed=SPEED):
                await asyncio.sleep(0.2)

        asyncio.run(run())
        stopped_at = community.clock.now()
        assert before_at + timedelta(seconds=SPEED // 5) <= next_start_at(community) <= stopped_at


def test_a_service_that_is_killed_never_goes_back_in_time(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(["buyer"])) as community:
        before_at = community.clock.now()

        async def run() -> tuple[datetime, datetime]:
            async with RunningTime(community, speed=SPEED):
                heard_at = community.clock.now()
                return heard_at, next_start_at(community)  # What lies in the database by now.

        heard_at, killed_at = asyncio.run(run())
        assert heard_at <= killed_at
        assert killed_at <= heard_at + timedelta(seconds=NOTED_AHEAD_S * SPEED)
        assert heard_at >= before_at


def test_the_machines_time_cannot_be_sped_up(tmp_path: Path) -> None:
    community = street(tmp_path)
    try:
        assert RunningTime(community).states() == []
        with pytest.raises(BadInput) as refused:
            RunningTime(community, speed=60)
        assert refused.value.field == "--speed"
    finally:
        community.close()
