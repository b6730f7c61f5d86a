"""Models of what the market tells whoever listens."""

from typing import Self

from pydantic import Field

from api.jobs.market.news import MarketEvent
from api.jobs.market.views import PeriodState
from api.schemas.fields import Instant, Wire, instant_of
from ledger.units import from_unix_s


class WindowClosedOut(Wire):
    """Event `window`: a window has closed. What it held is for `GET /v1/windows` to say."""

    start: Instant
    end: Instant
    period_start: Instant

    @classmethod
    def of(cls, event: MarketEvent) -> Self:
        """From news of a window."""
        return cls(
            start=instant_of(from_unix_s(event.start_s)),
            end=instant_of(from_unix_s(event.end_s)),
            period_start=instant_of(from_unix_s(event.period_start_s)),
        )


class PeriodMovedOut(Wire):
    """Event `period`: a period has another state, or another run."""

    start: Instant
    end: Instant
    state: PeriodState
    run: int | None = Field(description="Its last one.")

    @classmethod
    def of(cls, event: MarketEvent) -> Self:
        """From news of a period."""
        assert event.standing is not None  # noqa: S101 (news of a period has one)
        return cls(
            start=instant_of(from_unix_s(event.start_s)),
            end=instant_of(from_unix_s(event.end_s)),
            state=event.standing.state,
            run=event.standing.run,
        )
