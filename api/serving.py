"""A community becomes a service: its desk, its doors and its loops, opened and closed together."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from api.auth_store import AuthStore
from api.jobs.community import Community
from api.jobs.market.desks import market_desks
from api.jobs.market_view import MarketDesk
from api.jobs.oversight.audits import AuditDesk
from api.jobs.oversight.overview import OversightDesk
from api.jobs.people.desks import errands_of, people_of
from api.jobs.people.relaying import Relaying
from api.jobs.running_time import RunningTime
from api.jobs.settling import PACE_S, Settling
from api.jobs.taking.answers import ReadingsDesk
from api.jobs.taking.desk import METER_READINGS_PER_MINUTE, open_desk
from api.loops import LoopState, problems_of
from api.service import Service
from api.sign_in import SignIn
from charging.desk import ChargingDesk

if TYPE_CHECKING:
    from api.jobs.replay.living import Living

AT_HOME: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


@asynccontextmanager
async def serve_community(
    community: Community,
    *,
    known_as: Iterable[str] = AT_HOME,
    settle_every_s: float = PACE_S,
    speed: int = 1,
    workers: int = 0,
    meter_readings_per_minute: int = METER_READINGS_PER_MINUTE,
    replays_at: str | None = None,
) -> AsyncIterator[Service]:
    """A running service over an opened community.

    Args:
        known_as: hosts, with or without port, that people may sign in at.
        settle_every_s: how often it looks for what is due.
        speed: seconds of the community's time in a real one, where that follows data.
        workers: how many processes take readings in; none: threads of this one.
        meter_readings_per_minute: what one meter may send.
        replays_at: where this service can be reached, if a demo's homes and chargers live on.
    """
    from api.jobs.charging.runtime import Runtime  # noqa: PLC0415 (brings OCPP along)

    running_time = RunningTime(community, speed=speed)  # Before anybody asks what time it is.
    async with (
        running_time,
        Runtime(community) as runtime,
        Settling(community, pace_s=settle_every_s) as settling,
        Relaying(community, errands_of(community), pace_s=settle_every_s) as relaying,
        AuditDesk(community, community.system_now) as audits,
        market_desks(community) as books,
        open_desk(
            community, workers=workers, meter_readings_per_minute=meter_readings_per_minute
        ) as readings,
        _living(community, readings, runtime.desk, replays_at) as living,
    ):

        def loops() -> list[LoopState]:
            return [
                *running_time.states(),
                *runtime.states(),
                settling.state(),
                relaying.state(),
                readings.state(),
                *(living.states() if living else ()),
            ]

        def problems() -> list[str]:
            return problems_of(loops())

        async def farewell() -> None:
            books.news.leave()
            if living is not None:
                await living.leave()

        yield Service(
            community=community,
            market=MarketDesk(community),
            books=books,
            readings=readings,
            people=people_of(community, relaying.wake),
            desk=runtime.desk,
            oversight=OversightDesk(community, runtime.desk, problems),
            audits=audits,
            sink=runtime.sink,
            door=runtime.door,
            points=runtime.points,
            sign_in=SignIn(
                store=AuthStore(community.engine),
                chain=community.chain,
                now=community.system_now,
                known_as=frozenset(name.lower() for name in known_as),
            ),
            now=community.system_now,
            problems=problems,
            loops=loops,
            farewell=farewell,
        )


@asynccontextmanager
async def _living(
    community: Community, readings: ReadingsDesk, desk: ChargingDesk, url: str | None
) -> AsyncIterator["Living | None"]:
    if url is None:
        yield None
        return
    from api.jobs.replay.living import Living  # noqa: PLC0415 (only demos are replayed)

    async with Living(community, readings=readings, desk=desk, url=url) as living:
        yield living
