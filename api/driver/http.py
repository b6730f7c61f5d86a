"""Asks a Wattledger service over HTTP, and names every way in which that can fail."""

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from api.clock import SystemClock
from api.errors import BadInput
from ledger.errors import LedgerError
from ledger.json_text import NotJson, parse_json

TIMEOUT_S: Final = 60  # The service sends a sign of life in its event streams more often.
ANSWER_BYTES_MAX: Final = 2**24
LINE_BYTES_MAX: Final = 2**20
SAID_CHARS_MAX: Final = 500
NOTHING_MORE: Final = 204
OVERLOADED: Final = frozenset({429, 502, 503, 504})  # It may go well in a moment.
_SECONDS: Final = re.compile(r"\d{1,9}", re.ASCII)
Json = dict[str, Any]


@dataclass(eq=False, kw_only=True)
class ServiceUnreachable(LedgerError):
    """Nobody answers there, or the connection dropped."""

    code: ClassVar[str] = "service_unreachable"
    url: str
    rule: str


@dataclass(eq=False, kw_only=True)
class BadAnswer(LedgerError):
    """What answers is no Wattledger service, or one that speaks of other things."""

    code: ClassVar[str] = "bad_answer"
    url: str
    rule: str


@dataclass(eq=False, kw_only=True)
class ServiceRefused(LedgerError):
    """The service's own failure, under its own code (RFC 9457)."""

    status: int
    title: str
    said: str

    @property
    def detail(self) -> str:
        """In words."""
        return " ".join(filter(None, [self.title, self.said]))

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in OVERLOADED


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One server-sent event."""

    name: str
    data: str
    event_id: str


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token is for the service that gave it, and for nobody that it points at."""

    def http_error_302(self, *_: Any, **__: Any) -> None:
        """Follows none, wherever it points: the redirect becomes the failure that it is here."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class Service:
    """One service by its address."""

    def __init__(self, url: str, *, option: str = "--url") -> None:
        """
        Args:
            option: where the address was stated.

        Raises:
            BadInput: no address of a service.
        """
        if not _is_address(url):
            raise BadInput(field=option, rule="an address like http://127.0.0.1:8000")
        self.url = url.rstrip("/")
        self._opener = urllib.request.build_opener(_NoRedirects)
        self.host = urlsplit(url).netloc
        self._ahead = timedelta(0)  # Of our clock.
        self.wait_s = 0  # What its last answer asked of us before the next question.

    @property
    def ahead_s(self) -> int:
        """Whole seconds by which its machine's clock was ahead of ours at its last answer."""
        return self._ahead // timedelta(seconds=1)

    def now_at(self) -> datetime:
        """The real time by the service's machine, as of its last answer."""
        return SystemClock().now() + self._ahead

    def ask(
        self, path: str, body: object = None, *, token: str | None = None, method: str = ""
    ) -> Any:
        """The JSON of an answer; a body is posted.

        Raises:
            ServiceUnreachable, BadAnswer, ServiceRefused: it did not come.
        """
        with self._answer(path, body, token=token, method=method, accept="application/json") as got:
            content = got.read(ANSWER_BYTES_MAX)
        return self._json(content)

    def events(self, path: str, *, token: str, last_seen: str | None) -> Iterator[Event]:
        """The events of a stream, until it ends. Raises as `ask`."""
        with self._answer(
            path, token=token, accept="text/event-stream", last_seen=last_seen
        ) as answer:
            if answer.status != NOTHING_MORE:
                yield from _events(answer)

    @contextmanager
    def _answer(
        self,
        path: str,
        body: object = None,
        *,
        token: str | None,
        accept: str,
        method: str = "",
        last_seen: str | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {"Accept": accept, "User-Agent": "wattledger"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if last_seen is not None:
            headers["Last-Event-ID"] = last_seen
        request = urllib.request.Request(  # noqa: S310 (the scheme was checked)
            self.url + path,
            data=None if body is None else json.dumps(body).encode("ascii"),
            headers=headers,
            method=method or ("GET" if body is None else "POST"),
        )
        self.wait_s = 0
        with self._failures_named():
            try:
                with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                    self._set_clock(answer.headers.get("Date"))
                    yield answer
            except urllib.error.HTTPError as error:
                with error:
                    self._set_wait(error.headers.get("Retry-After"))
                    raise self._refusal(error.code, error.read(ANSWER_BYTES_MAX)) from error

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        """Turns what the network refuses, also in the middle of a refusal, into one failure."""
        try:
            yield
        except (OSError, http.client.HTTPException, ssl.SSLError) as error:
            reason = getattr(error, "reason", None) or error
            rule = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise ServiceUnreachable(url=self.url, rule=one_line(rule)) from error

    def _set_clock(self, date: str | None) -> None:
        try:
            said_at = parsedate_to_datetime(date or "")
            if said_at.tzinfo is not None:
                self._ahead = said_at.astimezone(UTC) - SystemClock().now()
        except (ValueError, OverflowError):  # No date, or one that no calendar has.
            return

    def _set_wait(self, seconds: str | None) -> None:
        """Its other form, a date, is none that our service sends."""
        if seconds and _SECONDS.fullmatch(seconds):
            self.wait_s = int(seconds)

    def _json(self, content: bytes) -> Any:
        try:
            return parse_json(content.decode())
        except (NotJson, UnicodeDecodeError) as error:
            raise BadAnswer(url=self.url, rule="the answer is not JSON") from error

    def _refusal(self, status: int, content: bytes) -> LedgerError:
        """The failure that an answer tells of."""
        try:
            problem = self._json(content)
        except BadAnswer:
            problem = None
        if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
            if status in OVERLOADED:  # A proxy says so, while its service starts again.
                return ServiceUnreachable(url=self.url, rule=f"HTTP {status}")
            return BadAnswer(url=self.url, rule=f"HTTP {status}, and no problem of ours")
        return refusal_of(problem)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_host = bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:  # A port, a literal address or a name that is none.
        return False
    is_plain = url.isprintable() and " " not in url and parts.path.isascii()
    return is_host and is_plain and parts.scheme in {"http", "https"} and "@" not in parts.netloc


def refusal_of(problem: Mapping[str, Any]) -> ServiceRefused:
    """A problem's JSON as a failure; its code is the problem's."""
    kind = type("ServiceRefused", (ServiceRefused,), {"code": one_line(problem.get("code"))})
    status = problem.get("status")
    refused: ServiceRefused = kind(
        status=status if isinstance(status, int) else 0,
        title=one_line(problem.get("title", "")),
        said=one_line(problem.get("detail", "")),
    )
    return refused


def one_line(said: object) -> str:
    """What a stranger says, as one line of some length that a terminal shows and does not obey."""
    words = " ".join(str(said)[:SAID_CHARS_MAX].split())
    return "".join(each if each.isprintable() else "?" for each in words)


def _events(lines: http.client.HTTPResponse) -> Iterator[Event]:
    """Events of a stream (HTML, section 9.2.6)."""
    name, data, event_id = "message", list[str](), ""
    while line := lines.readline(LINE_BYTES_MAX):
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        if not text:
            if data:
                yield Event(name=name, data="\n".join(data), event_id=event_id)
            name, data = "message", []
            continue
        field, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            event_id = value
