"""A meter's readings as columns: what flows are computed from and intake is judged on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from ledger.errors import OutOfRange
from ledger.units import from_unix_s, to_unix_s
from metering.readings import MeterId, Reading, check_instant

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One version of each instant of one meter, in order of time."""

    meter_id: MeterId
    taken_s: IntArray  # Unix seconds, strictly rising.
    import_wh: IntArray
    export_wh: IntArray

    def __post_init__(self) -> None:
        if not len(self.taken_s) == len(self.import_wh) == len(self.export_wh):
            lengths = (len(self.taken_s), len(self.import_wh), len(self.export_wh))
            raise OutOfRange(
                field="len(column)",
                value=min(lengths),
                value_min=max(lengths),
                value_max=max(lengths),
            )
        steps_s = np.diff(self.taken_s)
        if len(steps_s) and (shortest_s := int(steps_s.min())) < 1:
            raise OutOfRange(field="step_s", value=shortest_s, value_min=1, value_max=2**63 - 1)

    @classmethod
    def of(cls, meter_id: MeterId, readings: Iterable[Reading]) -> "Series":
        """A meter's series from readings in order of arrival: the last of an instant counts."""
        latest = {
            to_unix_s(reading.taken_at): reading
            for reading in readings
            if reading.meter_id == meter_id
        }
        instants_s = sorted(latest)
        return cls(
            meter_id=meter_id,
            taken_s=np.array(instants_s, dtype=np.int64),
            import_wh=np.array([latest[at].import_wh for at in instants_s], dtype=np.int64),
            export_wh=np.array([latest[at].export_wh for at in instants_s], dtype=np.int64),
        )

    def readings(self) -> list[Reading]:
        """The series as domain values."""
        rows = zip(
            self.taken_s.tolist(), self.import_wh.tolist(), self.export_wh.tolist(), strict=True
        )
        return [
            Reading(
                meter_id=self.meter_id,
                taken_at=from_unix_s(taken_s),
                import_wh=import_wh,
                export_wh=export_wh,
            )
            for taken_s, import_wh, export_wh in rows
        ]

    def __len__(self) -> int:
        return len(self.taken_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowGrid:
    """Consecutive windows of one length; a period is one."""

    start_at: datetime
    window_s: int
    count: int
    start_s: int = field(init=False, repr=False, compare=False)  # `start_at` in Unix seconds.

    def __post_init__(self) -> None:
        check_instant(self.start_at)
        for name in ("window_s", "count"):
            if (value := getattr(self, name)) < 1:
                raise OutOfRange(field=name, value=value, value_min=1, value_max=2**31)
        object.__setattr__(self, "start_s", to_unix_s(self.start_at))

    @property
    def end_at(self) -> datetime:
        """The instant at which the last window ends."""
        return from_unix_s(self.start_s + self.window_s * self.count)

    def boundaries_s(self) -> IntArray:
        """All `count + 1` boundaries in Unix seconds."""
        return self.start_s + self.window_s * np.arange(self.count + 1, dtype=np.int64)
