"""Logs: a line an event on standard error, as text or JSON, with nobody's data in it.

Code logs through `logging`, as everybody's does; what is written passes here. People's addresses,
ids of sessions, signatures, tokens and keys become marks: the same value has the same mark as long
as the process lives, so that lines about one thing can be found, and nobody can tell which it is.
"""

import hashlib
import logging
import os
import re
import secrets
import sys
import threading
from collections.abc import MutableMapping
from enum import StrEnum
from typing import Any, Final

from api.exchange import request_id

VARIABLE: Final = "WATTLEDGER_LOG_FORMAT"
MARK_KEY: Final = secrets.token_bytes(16)
MARK_BYTES: Final = 4
# Keys, addresses, ids, hashes, signatures: 20 bytes and more in hexadecimal.
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:0x|\\x)?[0-9a-fA-F]{40,}")
# Tokens and what else is random: long, of one piece, with all three kinds of characters.
_RANDOM = re.compile(r"(?<![\w-])(?=[\w-]*[0-9])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{24,}(?![\w-])")
_URL = re.compile(r"\b([a-z][a-z0-9+.-]*://)(?:[^/\s@'\"]*@)?([^/\s'\"?#]*)[^\s'\",)]*")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_NETWORK = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
QUIET: Final = {  # Loggers that would tell of every connection, or repeat addresses of nodes.
    "alembic": logging.WARNING,
    "dsmr_parser": logging.CRITICAL,  # Of each line of a telegram that it cannot read.
    "uvicorn.error": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
    "websockets": logging.WARNING,
    "urllib3": logging.ERROR,
    "httpx": logging.WARNING,
    "web3": logging.WARNING,
    "py.warnings": logging.ERROR,
}

EventDict = MutableMapping[str, Any]


class LogFormat(StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"


def default_format() -> LogFormat:
    """As whoever started us writes; else text where somebody is likely to read along, or JSON."""
    stated = os.environ.get(VARIABLE)
    if stated in set(LogFormat):
        return LogFormat(stated)
    return LogFormat.TEXT if sys.stderr.isatty() else LogFormat.JSON


def write_logs(log_format: LogFormat) -> None:
    """Sends all logs of this process, and of those it starts, to standard error like this."""
    os.environ[VARIABLE] = log_format
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter_of(log_format))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=True)
    threading.excepthook = _on_thread_fault


def formatter_of(log_format: LogFormat) -> logging.Formatter:
    """What turns a record into a line."""
    import structlog  # noqa: PLC0415 (only who serves logs)

    renderer: Any = structlog.processors.JSONRenderer(sort_keys=True)
    if log_format is LogFormat.TEXT:
        # Other ways to show an exception print the values of variables, too.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            _name_request,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _scrub,
            renderer,
        ],
    )


def scrubbed(text: str) -> str:
    """A text without what belongs to somebody."""
    text = _EMAIL.sub("(e-mail)", _URL.sub(r"\1\2/", text))
    text = _NETWORK.sub("(address)", text)
    return _RANDOM.sub(_mark, _HEX.sub(_mark, text))


def _mark(found: re.Match[str]) -> str:
    value = found[0].removeprefix("0x").removeprefix("\\x").lower()
    digest = hashlib.blake2b(value.encode(), key=MARK_KEY, digest_size=MARK_BYTES)
    return f"#{digest.hexdigest()}"


def _name_request(_logger: object, _method: str, event: EventDict) -> EventDict:
    if found := request_id():
        event["request_id"] = found
    return event


def _scrub(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {name: _value(name, value) for name, value in event.items()}


def _value(name: str, value: object) -> object:
    if name == "timestamp" or isinstance(value, int | float | None):
        return value
    return scrubbed(value if isinstance(value, str) else str(value))


def _on_thread_fault(hook: threading.ExceptHookArgs) -> None:
    if hook.exc_value is None or issubclass(hook.exc_type, SystemExit):
        return
    name = hook.thread.name if hook.thread else "a thread"
    logging.getLogger("wattledger").error("%s ended", name, exc_info=hook.exc_value)
