"""Everything of a demo that lives on while it is served, switched on and off together."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Self

from api.errors import BadInput
from api.jobs.community import Community
from api.jobs.replay.drivers import Drivers
from api.jobs.replay.garage import Garage
from api.jobs.replay.homes import Homes
from api.jobs.replay.purse import Purse
from api.jobs.replay.stays import shipped_stays
from api.jobs.taking.answers import ReadingsDesk
from api.loops import Loop, LoopState, code_of
from charging.desk import ChargingDesk

PURSE_EVERY_S: Final = 10.0  # Real seconds.
log = logging.getLogger(__name__)


class Living:
    """Homes, chargers and drivers of a demo."""

    def __init__(
        self, community: Community, *, readings: ReadingsDesk, desk: ChargingDesk, url: str
    ) -> None:
        """
        Args:
            url: of the service itself, where chargers connect.

        Raises:
            BadInput: no demo made this community, and nobody may live in its people's names.
        """
        if not community.is_demo:
            rule = "only what `wattledger demo` made can be replayed"
            raise BadInput(field="--replay", rule=rule)
        self._purse = Purse(community)
        self._purse_loop = Loop("deposits")
        self._homes = Homes(community, readings)
        self._garage = Garage(community, url)
        self._drivers = Drivers(community, desk, self._garage, self._purse, shipped_stays())
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._garage.open()
        runs = (self._homes.run(), self._drivers.run(), self._fill())
        self._tasks = [asyncio.create_task(run) for run in runs]
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Ends all charges while somebody still hears it; again, it does nothing."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._garage.close()

    def states(self) -> Sequence[LoopState]:
        """How its loops are."""
        loops = (self._homes, self._garage, self._drivers, self._purse_loop)
        return [loop.state() for loop in loops]

    async def _fill(self) -> None:
        while True:
            try:
                for account in await asyncio.to_thread(self._purse.look):
                    log.info("deposits: account %d has paid in", account)
            except Exception as error:  # noqa: BLE001 (whatever it is, it is tried again)
                code = code_of(error)
                if self._purse_loop.problem != code:
                    log.warning("deposits: %s", error)
                self._purse_loop.passed(code)
            else:
                self._purse_loop.passed()
            await asyncio.sleep(PURSE_EVERY_S)
