"""Readings taken in by the service's own process."""

from collections import Counter
from collections.abc import Mapping

from anyio.to_thread import run_sync

from api.jobs.community import Community
from api.jobs.intake import take_signed
from api.jobs.opening import database_failures_named
from api.jobs.taking.answers import READINGS_MAX, TakenAnswer
from metering.intake import IntakeResult
from metering.readings_json import read_readings


class InProcess:
    """Takes readings in, in threads of this process."""

    def __init__(self, community: Community) -> None:
        self._community = community
        self._counts = Counter[str]()

    async def take(self, body: bytes) -> TakenAnswer:
        """As the protocol says."""
        answer = await run_sync(self._take, body)
        self._counts.update(answer.counts)
        return answer

    def counts(self) -> Mapping[str, int]:
        """As the protocol says."""
        return dict(self._counts)

    def _take(self, body: bytes) -> TakenAnswer:
        signed, indices, problems = read_readings(body, count_max=READINGS_MAX)
        with database_failures_named(self._community.database):
            report = take_signed(self._community, signed, indices, problems, 0)
        return TakenAnswer.of(
            IntakeResult(
                accepted=report.accepted,
                duplicates=report.duplicates,
                rejected=tuple(report.rejected),
            )
        )
