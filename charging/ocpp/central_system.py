"""The central system: who is connected, and what is asked of them (`PointLink`)."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

from charging.ocpp.admission import may_enter
from charging.ocpp.commands import Command, Commands, PowerLimit
from charging.ocpp.connection import Connection
from charging.ocpp.dialects import dialect_of
from charging.ocpp.frames import CallResult
from charging.ocpp.hearing import Terms
from charging.ocpp.sockets import CLOSE_REPLACED, Socket
from charging.points import Answer, PointDoor, PointSink

FORMER_ENDS_WITHIN_S: Final = 10.0

LOG = logging.getLogger(__name__)


class CentralSystem:
    """All chargers that are connected to this process. A `PointLink`."""

    def __init__(
        self,
        *,
        sink: PointSink,
        door: PointDoor,
        now: Callable[[], datetime],
        terms: Terms | None = None,
        interval_s_of: Callable[[str], int] | None = None,
    ) -> None:
        """`interval_s_of` gives a charge point's seconds between two meter values."""
        self._sink = sink
        self._door = door
        self._now = now
        self._terms = terms or Terms()
        self._interval_s_of = interval_s_of
        self._connections: dict[str, Connection] = {}
        self._amperes_only: set[str] = set()
        self._greetings: set[asyncio.Task[None]] = set()

    async def may_connect(
        self, charge_point_id: str, *, authorization: str | None, certificate_name: str | None
    ) -> bool:
        """Whether the handshake may go on; asks the door."""
        return await may_enter(
            self._door,
            charge_point_id,
            authorization=authorization,
            certificate_name=certificate_name,
        )

    async def serve_charge_point(
        self, socket: Socket, charge_point_id: str, subprotocol: str
    ) -> None:
        """Serves one charger until its connection ends; it takes the place of an earlier one.

        Args:
            socket: after its handshake; the charger may be who it says it is.
            subprotocol: one of `dialects.SUBPROTOCOLS`.
        """
        connection = Connection(
            socket,
            charge_point_id,
            dialect_of(subprotocol),
            sink=self._sink,
            now=self._now,
            terms=self._terms,
            booted=self._set_up,
        )
        former = self._connections.get(charge_point_id)
        self._connections[charge_point_id] = connection
        try:
            if former is not None:
                await self._end_former(former)
            self._greet(charge_point_id, subprotocol)
            await connection.serve()
        finally:
            connection.finished.set()
            if self._connections.get(charge_point_id) is connection:
                del self._connections[charge_point_id]
                await self._sink.disconnected(charge_point_id)

    async def _end_former(self, former: Connection) -> None:
        """What was said over it comes first."""
        LOG.info("%s: connected anew", former.charge_point_id)
        await former.close(CLOSE_REPLACED)
        with suppress(TimeoutError):
            async with asyncio.timeout(FORMER_ENDS_WITHIN_S):
                await former.finished.wait()

    def _greet(self, charge_point_id: str, subprotocol: str) -> None:
        """Tells the sink, which may at once ask things of the charger, so not in the way."""
        greeting = asyncio.ensure_future(self._sink.connected(charge_point_id, subprotocol))
        self._greetings.add(greeting)
        greeting.add_done_callback(self._greeted)

    def _greeted(self, greeting: asyncio.Task[None]) -> None:
        self._greetings.discard(greeting)
        if not greeting.cancelled() and (error := greeting.exception()) is not None:
            LOG.error("a charger's connection was not noted", exc_info=error)

    async def _set_up(self, connection: Connection) -> None:
        """After a boot: what is measured how often, and the units of limits. Refusals are fine."""
        commands, within_s = connection.dialect.commands, self._terms.setting_within_s
        terms = self._terms
        if self._interval_s_of is not None:
            terms = replace(terms, sample_s=self._interval_s_of(connection.charge_point_id))
        for alternatives in commands.settings(terms):
            for command in alternatives:
                answer = await connection.ask(command, within_s=within_s)
                if answer in (Answer.NO_ANSWER, Answer.OFFLINE):
                    return
                if answer is Answer.ACCEPTED:
                    break
        outcome = await connection.request(commands.ask_rate_units(), within_s=within_s)
        if isinstance(outcome, CallResult):
            if commands.takes_amperes_only(outcome.payload):
                self._amperes_only.add(connection.charge_point_id)
            else:
                self._amperes_only.discard(connection.charge_point_id)

    # PointLink.

    def is_connected(self, charge_point_id: str) -> bool:
        """Whether there is a connection that has not been seen to end."""
        return charge_point_id in self._connections

    async def start(
        self,
        charge_point_id: str,
        connector_id: int,
        *,
        id_token: str,
        remote_start_id: int,
        limit_w: int | None = None,
    ) -> Answer:
        """Asks for a charge to be started. Raises OutOfRange for a token that is too long."""
        limit = None if limit_w is None else self._limit(charge_point_id, limit_w)
        return await self._ask(
            charge_point_id,
            lambda commands: commands.start(
                connector_id, id_token=id_token, remote_start_id=remote_start_id, limit=limit
            ),
        )

    async def stop(self, charge_point_id: str, transaction_id: str) -> Answer:
        """Asks for a charge to be stopped."""
        return await self._ask(charge_point_id, lambda commands: commands.stop(transaction_id))

    async def limit(
        self, charge_point_id: str, connector_id: int, transaction_id: str, *, limit_w: int
    ) -> Answer:
        """Sets the largest power of a running charge, rounded down if it takes amperes only."""
        limit = self._limit(charge_point_id, limit_w)
        return await self._ask(
            charge_point_id, lambda commands: commands.limit(connector_id, transaction_id, limit)
        )

    async def ask_meter(self, charge_point_id: str, connector_id: int) -> Answer:
        """Asks for meter values now."""
        return await self._ask(charge_point_id, lambda commands: commands.ask_meter(connector_id))

    async def ask_status(self, charge_point_id: str, connector_id: int) -> Answer:
        """Asks for the connector's state now."""
        return await self._ask(charge_point_id, lambda commands: commands.ask_status(connector_id))

    async def unlock(self, charge_point_id: str, connector_id: int) -> Answer:
        """Asks for the plug to be released."""
        return await self._ask(charge_point_id, lambda commands: commands.unlock(connector_id))

    async def reset(self, charge_point_id: str, *, hard: bool = False) -> Answer:
        """Asks it to restart: at once if hard, else after running charges have been ended."""
        return await self._ask(charge_point_id, lambda commands: commands.reset(hard=hard))

    async def set_available(
        self, charge_point_id: str, connector_id: int, *, available: bool
    ) -> Answer:
        """Opens or closes a connector for charges; connector 0 is the whole charge point."""
        return await self._ask(
            charge_point_id,
            lambda commands: commands.set_available(connector_id, available=available),
        )

    def _limit(self, charge_point_id: str, limit_w: int) -> PowerLimit:
        return PowerLimit(limit_w=limit_w, in_amperes=charge_point_id in self._amperes_only)

    async def _ask(
        self, charge_point_id: str, command_of: Callable[[Commands], Command | None]
    ) -> Answer:
        connection = self._connections.get(charge_point_id)
        if connection is None:
            return Answer.OFFLINE
        command = command_of(connection.dialect.commands)
        return Answer.UNKNOWN if command is None else await connection.ask(command)
