"""What a request with readings is answered, and what is counted of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from api.facts import detail_of
from metering.intake import IntakeResult

READINGS_MAX: Final = 10_000  # Of one request.
ACCEPTED, DUPLICATES = "accepted", "duplicates"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenAnswer:
    """What became of a request's readings."""

    body: bytes  # JSON as INTERFACES §3 has it.
    counts: Mapping[str, int]  # Accepted, duplicates, and refused ones by code.

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


class ReadingsDesk(Protocol):
    """Takes requests with readings in."""

    async def take(self, body: bytes) -> TakenAnswer:
        """What is accepted is kept for good when this returns.

        Raises:
            UnknownFormat, EmptyFile, TooManyReadings: nothing of it can be used.
            ChainUnavailable, StorageFailed: it may work later; send it again.
        """
        ...

    def counts(self) -> Mapping[str, int]:
        """All readings since the service began: accepted, duplicates, refused ones by code."""
        ...
