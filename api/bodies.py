"""Bodies of requests: given on only while they are small, come in time, and fit into memory."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from api.errors import Overloaded, TimedOut, TooLarge, UnsupportedMedia
from api.problems import Refused

LENGTH_DIGITS_MAX: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimit:
    """How large a body may be, and how long it may take to come."""

    bytes_max: int = 2**20
    within_s: int = 20


class Held:
    """How much of something is held at a time, by everybody and by one network address."""

    def __init__(self, *, most: int, host_most: int) -> None:
        self._most = most
        self._host_most = host_most
        self._held = 0
        self._by_host = Counter[str]()

    def hold(self, host: str, size: int) -> None:
        """Raises Overloaded; what is held is given back with `release`."""
        is_too_much = self._held + size > self._most
        if is_too_much or self._by_host[host] + size > self._host_most:
            raise Overloaded
        self._held += size
        self._by_host[host] += size

    def release(self, host: str, size: int) -> None:
        """When a request is over."""
        self._held -= size
        self._by_host[host] -= size
        if self._by_host[host] <= 0:
            del self._by_host[host]


class Body:
    """One request's body."""

    def __init__(
        self, receive: Receive, headers: Headers, limit: BodyLimit, held: Held, host: str
    ) -> None:
        """Raises TooLarge, UnsupportedMedia: before anything of it is read."""
        self._receive = receive
        self._limit = limit
        self._held = held
        self._host = host
        self._ends_s: float | None = None  # By the loop's clock.
        self._bytes = self._bytes_held = 0
        self._is_complete = False
        length = headers.get("content-length", "0")
        is_number = length.isdecimal() and len(length) <= LENGTH_DIGITS_MAX
        if not is_number or int(length) > limit.bytes_max:
            raise TooLarge(bytes_max=limit.bytes_max)
        self._is_there = length != "0" or "transfer-encoding" in headers
        if headers.get("content-encoding", "identity") != "identity":
            rule = "send the body as it is: what is compressed is not unpacked here"
            raise UnsupportedMedia(field="content-encoding", rule=rule)

    @property
    def is_left(self) -> bool:
        """Whether some of it was not read, and will not be."""
        return self._is_there and not self._is_complete

    async def receive(self) -> Message:
        """The next part; raises Refused."""
        if self._is_complete:  # What comes now is the end of the connection.
            return await self._receive()
        if self._ends_s is None:
            self._ends_s = asyncio.get_running_loop().time() + self._limit.within_s
        try:
            async with asyncio.timeout_at(self._ends_s):
                message = await self._receive()
        except TimeoutError as error:
            raise Refused(TimedOut(limit_s=self._limit.within_s)) from error
        self._take(len(message.get("body", b"")))
        self._is_complete = not message.get("more_body", False)
        return message

    def _take(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._limit.bytes_max:
            raise Refused(TooLarge(bytes_max=self._limit.bytes_max))
        try:
            self._held.hold(self._host, size)
        except Overloaded as error:
            raise Refused(error) from error
        self._bytes_held += size

    def release(self) -> None:
        """Nobody needs it any more."""
        self._held.release(self._host, self._bytes_held)
        self._bytes_held = 0
