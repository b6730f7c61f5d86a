"""A wire between a client and a service, which a test cuts."""

import socket
import threading
from contextlib import suppress
from enum import Enum
from typing import Final, Self
from urllib.parse import urlsplit

from tests.ports import free_port

BYTES: Final = 65_536


class Wire(Enum):
    """How the wire fares."""

    WHOLE = "whole"
    CUT = "cut"  # Nobody answers there.
    DEAF = "deaf"  # Questions go through, and every answer is lost on its way back.


class CutWire:
    """Passes connections on to a service; at a port of its own that stays the same."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._service = (parts.hostname, parts.port)
        self._port = free_port()
        self._state = Wire.CUT
        self._listener: socket.socket | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.fares(Wire.WHOLE)
        return self

    def __exit__(self, *_: object) -> None:
        self.fares(Wire.CUT)

    def fares(self, state: Wire) -> None:
        """From now on."""
        self._state = state
        if state is Wire.CUT and self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        elif state is not Wire.CUT and self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self._port))
            threading.Thread(target=self._listen, args=(self._listener,), daemon=True).start()

    def _listen(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self._service) as service:
            back = threading.Thread(target=self._pass_on, args=(service, client, True))
            back.start()
            self._pass_on(client, service, is_answer=False)
            back.join()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while octets := source.recv(BYTES):
                if is_answer and self._state is Wire.DEAF:
                    break
                sink.sendall(octets)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
