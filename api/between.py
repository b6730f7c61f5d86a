"""Stretches of time in addresses: `?from=&to=`, both optional, no longer than a route can take."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import Query

from api.deps import ServiceDep
from api.errors import BadInput
from api.schemas.fields import InstantIn
from ledger.units import EPOCH, to_unix_s

ALWAYS_S: Final = 2**40  # Later than any calendar.
FromQuery = Annotated[
    InstantIn | None, Query(alias="from", description="The first instant, with offset or Z.")
]
ToQuery = Annotated[InstantIn | None, Query(alias="to", description="The instant it ends before.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """`[from_s, until_s)`."""

    from_s: int
    until_s: int


class BetweenQuery:
    """What `from` and `to` of a route mean. Without `to` it is the community's time."""

    def __init__(self, *, usual: timedelta, longest: timedelta) -> None:
        self._usual = usual
        self._longest = longest

    def __call__(
        self, service: ServiceDep, from_at: FromQuery = None, to_at: ToQuery = None
    ) -> Between:
        """Raises BadInput."""
        until_at = service.community.clock.now() if to_at is None else to_at
        if from_at is None:
            from_at = max(until_at - self._usual, EPOCH)
        if from_at > until_at:
            raise BadInput(field="from", rule="is not after `to`, or now where there is none")
        if until_at - from_at > self._longest:
            raise BadInput(field="to", rule=f"at most {self._longest.days} days after `from`")
        return Between(from_s=to_unix_s(from_at), until_s=to_unix_s(until_at))


def any_between(from_at: FromQuery = None, to_at: ToQuery = None) -> Between:
    """All time by default, where a list comes in pages; raises BadInput."""
    from_s = 0 if from_at is None else to_unix_s(from_at)
    until_s = ALWAYS_S if to_at is None else to_unix_s(to_at)
    if from_s > until_s:
        raise BadInput(field="from", rule="is not after `to`")
    return Between(from_s=from_s, until_s=until_s)
