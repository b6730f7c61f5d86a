"""The request that is being answered, for whoever logs or counts something of it."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

UNMATCHED: Final = "unmatched"
GONE: Final = 499  # Whoever asked had left before there was an answer.


@dataclass(slots=True)
class Exchange:
    """One request and what it was answered."""

    request_id: str
    method: str
    route: str = UNMATCHED
    status: int = GONE
    code: str = ""  # Of the problem, if it was one.
    seconds: float = 0.0  # Until the answer began.


CURRENT: Final[ContextVar[Exchange | None]] = ContextVar("exchange", default=None)


def note_problem(code: str) -> None:
    """Remembers the code of the problem that the running request is answered with."""
    exchange = CURRENT.get()
    if exchange is not None:
        exchange.code = code


def request_id() -> str:
    """Id of the running request; empty where there is none."""
    exchange = CURRENT.get()
    return exchange.request_id if exchange else ""
