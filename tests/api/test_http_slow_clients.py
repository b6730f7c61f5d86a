"""Clients that are slow, or never come to an end: each is cut off, and nobody waits for it."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from api.app import create_app
from api.bodies import BodyLimit
from api.guard import HttpLimits
from api.http_transport import PatientHttp
from tests.served import served

WITHIN_S = 0.4
READ_WITHIN_S = 2.0  # A busy machine may pause whoever reads.
LONG_S = 15  # Longer than anything here takes, on however busy a machine.
LARGE = 2**26


class Impatient(PatientHttp):
    """The same, for a test's time."""

    head_within_s = WITHIN_S
    read_within_s = READ_WITHIN_S


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    limits = HttpLimits(body=BodyLimit(within_s=1))
    app: FastAPI = create_app(lambda: pytest.fail("is not opened"), limits=limits)
    app.add_route("/large", lambda _: PlainTextResponse(b"x" * LARGE))
    with served(app, http=Impatient) as url:
        yield url


def connected(url: str) -> socket.socket:
    place = urlsplit(url)
    return socket.create_connection((place.hostname or "", place.port or 0), timeout=LONG_S)


def until_closed(connection: socket.socket) -> bytes:
    """All that still comes, until the other side closes."""
    received = b""
    try:
        while part := connection.recv(65_536):
            received += part
    except ConnectionResetError:
        pass
    return received


def is_cut_off(connection: socket.socket) -> bool:
    """Whether somebody who says a little now and then is, in the end."""
    ends_s = time.monotonic() + LONG_S
    while time.monotonic() < ends_s:
        try:
            connection.sendall(b"x")
        except (BrokenPipeError, ConnectionResetError):
            return True
        time.sleep(WITHIN_S / 4)
    return False


def lives(url: str) -> None:
    assert httpx2.get(url + "/healthz").status_code == 200


@pytest.mark.parametrize("said", [b"", b"GET", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Drip: "])
def test_a_head_that_does_not_come_ends_the_connection(url: str, said: bytes) -> None:
    with closing(connected(url)) as connection:
        connection.sendall(said)
        began_s = time.monotonic()
        assert until_closed(connection) == b""
        assert time.monotonic() - began_s < LONG_S
    lives(url)


def test_a_head_that_drips_ends_the_connection_all_the_same(url: str) -> None:
    with closing(connected(url)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Drip: ")
        assert is_cut_off(connection)
    lives(url)


def test_a_second_head_on_a_connection_has_no_more_time_than_the_first(url: str) -> None:
    with closing(connected(url)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /he")
        until_closed(connection)


@pytest.mark.parametrize(
    "head",
    [
        b"X-Large: " + b"x" * 2**20,
        b"".join(b"X-%d: y\r\n" % number for number in range(100_000)),
        b"Cookie: " + b"a=b; " * 50_000 + b"\r\n\r\n",
    ],
    ids=["one field", "many fields", "a whole one"],
)
def test_a_head_without_end_is_a_bad_request(url: str, head: bytes) -> None:
    with closing(connected(url)) as connection:
        try:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + head)
        except (BrokenPipeError, ConnectionResetError):
            return  # It was cut off before it had said it all.
        received = until_closed(connection)
        assert b"200 OK" not in received
        if received:
            assert received.startswith(b"HTTP/1.1 400")
            assert b"application/problem+json" in received
    lives(url)


def test_what_is_no_http_is_a_bad_request(url: str) -> None:
    for words in (b"\x16\x03\x01\x02\x00\x01\x00", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with closing(connected(url)) as connection:
            connection.sendall(words)
            received = until_closed(connection)
            assert received.startswith(b"HTTP/1.1 400")
            assert b'"code": "bad_input"' in received


def test_a_body_that_drips_is_timed_out_as_a_whole(url: str) -> None:
    with closing(connected(url)) as connection:
        connection.sendall(
            b"POST /v1/auth/nonce HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n"
        )
        began_s = time.monotonic()
        connection.settimeout(0.2)
        while time.monotonic() - began_s < LONG_S:
            try:
                connection.sendall(b" ")
                received = connection.recv(65_536)
                break
            except TimeoutError:
                continue
        assert received.startswith(b"HTTP/1.1 503")
        assert b"timed_out" in received
        assert b"connection: close" in received.lower()
    lives(url)


def test_whoever_does_not_read_the_answer_is_cut_off(url: str) -> None:
    with closing(connected(url)) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(2 * READ_WITHIN_S)
        assert len(until_closed(connection)) < LARGE
    lives(url)


def test_whoever_reads_slowly_but_does_gets_all_of_it(url: str) -> None:
    assert len(httpx2.get(url + "/large").content) == LARGE
