"""Where a meter's bytes come from: a serial line, a TCP port, a file, standard input."""

import importlib
import os
import select
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from api.errors import BadInput
from api.gateway.errors import LibraryMissing, MeterLost

OPTION: Final = "--from"
WAIT_S: Final = 1  # So long a line may be waited for: then whoever reads looks around.
CONNECT_S: Final = 5
BYTES_MAX: Final = 4_096
STANDARD_INPUT: Final = "-"
DEVICES: Final = "/dev/"

# What came on an open line; nothing if nothing did for a second, None at the end. Raises MeterLost.
ReadLine = Callable[[], bytes | None]


class Source(Protocol):
    """Where a meter's line is to be had."""

    @property
    def name(self) -> str:
        """As it was stated."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether a meter speaks there now, and will again when the line breaks."""
        ...

    def open(self) -> AbstractContextManager[ReadLine]:
        """The line; raises MeterLost."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPort:
    """A meter at a cable or an optical head."""

    name: str
    baud: int
    is_live: bool = True

    @contextmanager
    def open(self) -> Iterator[ReadLine]:
        """8 bits, no parity, one stop bit; nobody else may read it meanwhile."""
        serial = require_library("serial", "pyserial")
        with _lost(self.name):
            port = serial.Serial(self.name, self.baud, timeout=WAIT_S, exclusive=True)

        def read() -> bytes:
            with _lost(self.name):
                octets: bytes = port.read(max(1, min(port.in_waiting, BYTES_MAX)))
            return octets

        try:
            yield read
        finally:
            port.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpPort:
    """A meter behind a network adapter that passes its bytes on."""

    name: str
    host: str
    port: int
    is_live: bool = True

    @contextmanager
    def open(self) -> Iterator[ReadLine]:
        """A connection over which nothing is sent."""
        try:
            with _lost(self.name):
                connection = socket.create_connection((self.host, self.port), CONNECT_S)
        except TimeoutError as error:
            raise MeterLost(source=self.name, rule=f"no answer in {CONNECT_S} s") from error
        connection.settimeout(WAIT_S)

        def read() -> bytes | None:
            try:
                with _lost(self.name):
                    return connection.recv(BYTES_MAX) or None
            except TimeoutError:
                return b""

        with connection:
            yield read


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Telegrams that were recorded, or that another program passes on; they end."""

    name: str
    is_live: bool = False

    @contextmanager
    def open(self) -> Iterator[ReadLine]:
        """From the beginning."""
        is_input = self.name == STANDARD_INPUT
        with _lost(self.name):
            descriptor = sys.stdin.fileno() if is_input else os.open(self.name, os.O_RDONLY)

        def read() -> bytes | None:
            with _lost(self.name):
                if not select.select([descriptor], [], [], WAIT_S)[0]:
                    return b""
                return os.read(descriptor, BYTES_MAX) or None

        try:
            yield read
        finally:
            if not is_input:
                os.close(descriptor)


def source_of(stated: str, baud: int) -> Source:
    """What `--from` says.

    Raises:
        BadInput: it is no source.
        LibraryMissing: serial lines need one that is not installed.
    """
    if stated == STANDARD_INPUT:
        if sys.stdin is None:
            raise BadInput(field=OPTION, rule="standard input is closed")
        return Stream(name=stated)
    if "://" in stated:
        return _tcp_port(stated)
    try:
        mode = Path(stated).stat().st_mode
    except (OSError, ValueError):  # Not there, not ours to see, or no path at all.
        mode = 0
    if stated.startswith(DEVICES) or stat.S_ISCHR(mode):
        require_library("serial", "pyserial")
        return SerialPort(name=stated, baud=baud)
    if not mode or stat.S_ISDIR(mode):
        raise BadInput(field=OPTION, rule=f"{stated} is neither a device nor a file")
    return Stream(name=stated)


def _tcp_port(stated: str) -> TcpPort:
    rule = "a device, a file, -, or an address like tcp://192.0.2.7:2000"
    try:
        parts = urlsplit(stated)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError as error:  # A port, a literal address or a name that is none.
        raise BadInput(field=OPTION, rule=rule) from error
    if parts.scheme != "tcp" or not host or not port or parts.path not in {"", "/"}:
        raise BadInput(field=OPTION, rule=rule)
    return TcpPort(name=stated, host=host, port=port)


def require_library(module: str, library: str) -> Any:
    """A library of the extra `gateway`; raises LibraryMissing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LibraryMissing(library=library) from error


@contextmanager
def _lost(name: str) -> Iterator[None]:
    """Turns what a system refuses into MeterLost; that nothing came in time stays what it is."""
    try:
        yield
    except TimeoutError as error:
        if error.errno is None:
            raise
        raise MeterLost(source=name, rule=error.strerror or "no answer") from error
    except OSError as error:
        rule = error.strerror or str(error) or type(error).__name__
        raise MeterLost(source=name, rule=rule) from error
