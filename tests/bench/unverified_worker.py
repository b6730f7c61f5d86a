"""An intake worker that believes every signature: what is left of the cost without verification."""

from collections.abc import Sequence

from api.jobs.taking import taker, worker
from ledger.units import Hash32
from metering.meters import MeterBook
from metering.readings import SignedReading
from metering.signing import CheckedReadings


def believe(
    candidates: Sequence[SignedReading], _book: MeterBook, _domain: Hash32
) -> CheckedReadings:
    """In place of `verify_many`."""
    return CheckedReadings(signed=candidates, errors=[None] * len(candidates))


if __name__ == "__main__":
    taker.verify_many = believe  # type: ignore[attr-defined]
    worker.main()
