"""HTTP as uvicorn speaks it, with an end to patience: for heads that do not come, and for readers
that do not read.

uvicorn waits for a request's head as long as it takes and as large as it gets, and for a client
that takes nothing in. What comes after the head, `guard` limits.
"""

import asyncio
import json
import resource
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.errors import BadInput
from api.problems import MEDIA_TYPE, problem_of

OPEN_FILES: Final = 65_536  # Each connection is one.
STATUS_LINE: Final = b"HTTP/1.1 400 Bad Request\r\n"


class PatientHttp(HttpToolsProtocol):
    """One connection; whoever is too slow or says too much is cut off."""

    head_within_s: ClassVar[float] = 20
    head_bytes_max: ClassVar[int] = 2**15
    read_within_s: ClassVar[float] = 60  # To take something in of what is sent.

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_ends: asyncio.TimerHandle | None = None
        self._read_ends: asyncio.TimerHandle | None = None
        self._head_bytes = 0

    # A head.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first head is awaited from now on."""
        super().connection_made(transport)
        self._await_head()

    def on_message_begin(self) -> None:
        """So is any other one, from its first byte on."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """It is there."""
        self._head_ends = _cancelled(self._head_ends)
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of it."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self.head_bytes_max:
            raise ValueError("the head is too large")  # What the parser makes a bad request of.
        super().on_header(name, value)

    def data_received(self, data: bytes) -> None:
        """What is no whole field yet counts, too."""
        super().data_received(data)
        if self._head_ends is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self.head_bytes_max:
                self.send_400_response("the head is too large")

    def send_400_response(self, msg: str) -> None:
        """In the form that all failures have."""
        problem = problem_of(BadInput(field="request", rule=msg.rstrip("."))) | {"status": 400}
        body = json.dumps(problem).encode()
        self.transport.write(
            STATUS_LINE
            + f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n".encode()
            + b"connection: close\r\n\r\n"
            + body
        )
        self.transport.close()

    def _await_head(self) -> None:
        self._head_bytes = 0
        _cancelled(self._head_ends)
        self._head_ends = self.loop.call_later(self.head_within_s, self.transport.abort)

    # What is sent.

    def pause_writing(self) -> None:
        """The client takes nothing in just now."""
        super().pause_writing()
        self._read_ends = self.loop.call_later(self.read_within_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        self._read_ends = _cancelled(self._read_ends)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._head_ends = _cancelled(self._head_ends)
        self._read_ends = _cancelled(self._read_ends)
        super().connection_lost(exc)


def _cancelled(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """What is left of a timer: none."""
    if timer is not None:
        timer.cancel()
    return None


def lift_open_files() -> None:
    """Takes what the system allows of connections: the usual 1,024 are soon held open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
