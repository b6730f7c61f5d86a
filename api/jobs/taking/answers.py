"""What a request with readings is answered, and what is counted of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from api.errors import Internal, StorageFailed
from api.facts import detail_of
from api.loops import LoopState
from ledger.errors import LedgerError
from metering.intake import IntakeResult

READINGS_MAX: Final = 10_000  # Of one request.
ACCEPTED, DUPLICATES = "accepted", "duplicates"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenAnswer:
    """What became of a request's readings."""

    body: bytes  # JSON as INTERFACES §3 has it.
    counts: Counter[str]  # Accepted, duplicates, and refused ones by code.

    @classmethod
    def of(cls, result: IntakeResult) -> "TakenAnswer":
        """From the judgement, its positions being indices into the request."""
        rejected = [
            {"index": each.position, "code": each.code, "detail": detail_of(each.error)}
            for each in result.rejected
        ]
        counts = Counter(each.code for each in result.rejected)
        counts |= {ACCEPTED: result.accepted, DUPLICATES: result.duplicates}
        document = {
            ACCEPTED: result.accepted,
            DUPLICATES: result.duplicates,
            "rejected": rejected,
        }
        return cls(body=msgspec.json.encode(document), counts=counts)

    @property
    def refused(self) -> int:
        """How many readings were refused."""
        return self.counts.total() - self.counts[ACCEPTED] - self.counts[DUPLICATES]


Outcome = TakenAnswer | LedgerError


def problem_in(outcomes: Iterable[Outcome]) -> str | None:
    """The code of what went wrong on our side, if anything did."""
    failures = (each.code for each in outcomes if isinstance(each, StorageFailed | Internal))
    return next(failures, None)


class ReadingsDesk(Protocol):
    """Takes requests with readings in."""

    async def take(self, body: bytes) -> TakenAnswer:
        """What is accepted is kept for good when this returns.

        Raises:
            UnknownFormat, EmptyFile, TooManyReadings: nothing of it can be used.
            ChainUnavailable, StorageFailed, Overloaded: it may work later; send it again.
        """
        ...

    def counts(self) -> Mapping[str, int]:
        """All readings since the service began: accepted, duplicates, refused ones by code."""
        ...

    def state(self) -> LoopState:
        """How the taking in fares."""
        ...
