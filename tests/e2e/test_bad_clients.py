"""What no client should send, to the real service over a real socket: answered, and forgotten."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from api.config import config_of
from api.jobs.create import create_community
from tests.api.community_worlds import document, quiet
from tests.e2e.registers import ROOT
from tests.e2e.test_serve import PROGRAM, signed_in

MIB = 2**20
HUGE = 100 * MIB
ANSWERS_WITHIN_S = 60
GROWTH_KB_MAX = 48 * 1_024  # Of what the allocator keeps; a leak of these bodies would be far more.
JSON = {"Content-Type": "application/json"}
BODIES = {
    "nothing": b"",
    "cut": b'{"readings": [',
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"readings":' * 50_000,
    "not UTF-8": b'{"readings": ["\xff\xfe"]}',
    "half a character": b'{"readings": ["\\ud800"]}',
    "no number": b'{"readings": [NaN, Infinity, 1e999]}',
    "many digits": b'{"readings": ' + b"9" * 50_000 + b"}",
    "named twice": b'{"readings": [], "readings": []}',
    "a list": b"[]",
    "null": b"null",
    "a zero byte": b'{"readings": "\\u0000"}\x00',
    "many members": b"{" + b",".join(b'"%d": 0' % each for each in range(20_000)) + b"}",
    "quotes": b'"' * 200_000,
    "escaped quotes": b'{"a": "' + b'\\"' * 200_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A service as a process."""

    url: str
    process_id: int
    headers: dict[str, str]  # Of somebody who has signed in.

    def rss_kb(self) -> int:
        status = Path(f"/proc/{self.process_id}/status").read_text(encoding="ascii")
        [found] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(found.split()[1])

    def connected(self) -> socket.socket:
        place = urlsplit(self.url)
        return socket.create_connection((place.hostname, place.port), timeout=ANSWERS_WITHIN_S)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("bad-clients") / "data"
    complaints = home.with_suffix(".log")
    create_community(home, config_of(document(["one"]), "test"), progress=quiet).close()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REQUESTS", "READINGS_REQUESTS", "REFUSED_READINGS"):
            patch.setenv(f"WATTLEDGER_{name}_PER_MINUTE", str(10**6))
        with complaints.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "serve", "--port", "0", "--json"],
                env={**os.environ, "PYTHONPATH": str(ROOT), "WATTLEDGER_DATA_DIR": str(home)},
                cwd=home,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            try:
                assert process.stdout is not None
                url = json.loads(process.stdout.readline())["url"]
                yield Served(url=url, process_id=process.pid, headers=signed_in(url))
                assert process.poll() is None
            finally:
                process.terminate()
                process.communicate()
    assert "Traceback" not in complaints.read_text(encoding="utf-8")


def sound(response: httpx2.Response) -> str:
    """The code of a problem that is nobody's fault but the client's."""
    assert response.status_code < 500, (response.request.url, response.text)
    if response.status_code < 400:
        return ""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return str(response.json()["code"])


def routes(served: Served) -> list[tuple[str, str]]:
    """Every route that takes a body, its path filled in with what nobody has."""
    described = httpx2.get(served.url + "/openapi.json").json()
    found = []
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                values = {
                    each["name"]: "0x" + "5e" * 32 if "id" in each["name"] else "2"
                    for each in operation.get("parameters", [])
                    if each["in"] == "path"
                }
                found.append((method.upper(), path.format(**values)))
    assert ("POST", "/v1/readings") in found
    assert ("POST", "/rpc") in found
    return found


def test_no_body_is_an_accident_on_any_route(served: Served) -> None:
    with httpx2.Client(base_url=served.url, headers=served.headers, timeout=60) as client:
        for method, path in routes(served):
            for body in BODIES.values():
                sound(client.request(method, path, content=body, headers=JSON))


def test_no_content_type_is_an_accident_on_any_route(served: Served) -> None:
    kinds = ("text/plain", "multipart/form-data; boundary=x", "application/xml", "x", "")
    with httpx2.Client(base_url=served.url, headers=served.headers, timeout=60) as client:
        for method, path in routes(served):
            for kind in kinds:
                response = client.request(
                    method, path, content=b'{"readings": []}', headers={"Content-Type": kind}
                )
                sound(response)


def test_a_compressed_body_is_refused_on_every_route(served: Served) -> None:
    headers = {**JSON, "Content-Encoding": "gzip", **served.headers}
    for method, path in routes(served):
        response = httpx2.request(
            method, served.url + path, content=b"\x1f\x8b\x08" + bytes(1_000), headers=headers
        )
        assert (response.status_code, sound(response)) == (415, "unsupported_media_type"), path


def answered(served: Served, path: str, head: bytes, parts: Iterator[bytes]) -> tuple[bytes, int]:
    """What comes back for a body that is sent until somebody stops listening, and how much was."""
    sent = 0
    with closing(served.connected()) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
            + head
            + b"\r\n\r\n"
        )
        received = b""
        try:
            for part in parts:
                connection.sendall(part)
                sent += len(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            while part := connection.recv(65_536):
                received += part
        except ConnectionResetError:
            pass
    return received, sent


@pytest.mark.parametrize("path", ["/v1/readings", "/v1/sessions", "/v1/auth/login", "/rpc"])
def test_a_hundred_megabytes_are_refused_before_they_are_sent(served: Served, path: str) -> None:
    began_s = time.monotonic()
    received, _ = answered(served, path, b"Content-Length: %d" % HUGE, iter(()))
    assert received.startswith(b"HTTP/1.1 413")
    assert b'"code": "too_large"' in received
    assert b"connection: close" in received.lower()
    assert time.monotonic() - began_s < ANSWERS_WITHIN_S


def lots(part: bytes) -> Iterator[bytes]:
    for _ in range(HUGE // len(part)):
        yield part


@pytest.mark.parametrize("path", ["/v1/readings", "/v1/sessions", "/rpc"])
def test_a_hundred_megabytes_that_nobody_announced_are_cut_off(served: Served, path: str) -> None:
    chunk = b"%x\r\n" % 65_536 + b" " * 65_536 + b"\r\n"
    received, sent = answered(served, path, b"Transfer-Encoding: chunked", lots(chunk))
    assert sent < HUGE // 2
    # Where the answer is lost with the connection, that it was cut off is the answer.
    assert received == b"" or received.startswith(b"HTTP/1.1 413")


def test_lengths_that_are_none_are_refused(served: Served) -> None:
    for head in (
        b"Content-Length: -1",
        b"Content-Length: 1e9",
        b"Content-Length: " + b"9" * 5_000,
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Transfer-Encoding: gzip",
    ):
        received, _ = answered(served, "/v1/readings", head, iter((b"{}",)))
        assert b" 500 " not in received.split(b"\r\n")[0], head
        assert received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 503")) or received == b"", received


def hostile(served: Served) -> None:
    """Everything that takes memory, from several at once."""
    junk = b'{"readings": [' + b"{}," * MIB + b"0]}"
    rows = json.dumps({"readings": [{"meter_id": "0x" + "00" * 32}] * 9_999}).encode()

    def one(number: int) -> None:
        try:
            for body in (junk, rows, b"[" * (7 * MIB), b'"' * (7 * MIB)):
                response = httpx2.post(
                    served.url + "/v1/readings", content=body, headers=JSON, timeout=120
                )
                assert response.status_code < 500 or response.json()["code"] == "overloaded"
        except httpx2.TransportError:
            pass
        with closing(served.connected()) as connection:  # Who goes away in the middle of it.
            connection.sendall(
                b"POST /v1/readings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % (8 * MIB) + b" " * (4 * MIB)
            )

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, range(3)))


def test_hostile_bodies_leave_no_memory_behind(served: Served) -> None:
    hostile(served)
    before_kb = served.rss_kb()
    hostile(served)
    assert served.rss_kb() - before_kb < GROWTH_KB_MAX
    found: Any = httpx2.get(served.url + "/readyz", timeout=60).json()
    assert found == {"status": "ok", "problems": []}
