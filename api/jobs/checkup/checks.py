"""One thing that was looked at, how it is, and what to do about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from ledger.errors import LedgerError


class Verdict(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"  # It works, and somebody should know.
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at, in words for whoever runs the service."""

    name: str
    verdict: Verdict
    detail: str
    advice: str = ""


def fine(name: str, detail: str) -> Check:
    """All is well."""
    return Check(name=name, verdict=Verdict.OK, detail=detail)


def warning(name: str, detail: str, advice: str) -> Check:
    """It works, and somebody should know."""
    return Check(name=name, verdict=Verdict.WARNING, detail=detail, advice=advice)


def problem(name: str, detail: str, advice: str) -> Check:
    """Something has to be done."""
    return Check(name=name, verdict=Verdict.PROBLEM, detail=detail, advice=advice)


@contextmanager
def failing_as(name: str, advice: str, found: list[Check], **advice_of_code: str) -> Iterator[None]:
    """What cannot be looked at is a problem of its own, and stops nothing else."""
    try:
        yield
    except LedgerError as error:
        found.append(problem(name, str(error), advice_of_code.get(error.code, advice)))


def counted(count: int, word: str) -> str:
    """A number of things: `1 meter`, `3 meters`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
