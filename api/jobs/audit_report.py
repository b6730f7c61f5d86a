"""What an audit found."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ledger.units import from_unix_s, to_rfc3339

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """Something that is not what it was derived to be."""

    where: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something that is worth knowing, and not wrong."""

    where: str
    detail: str


@dataclass(slots=True, kw_only=True)
class ChargingSums:
    """What all sessions came to, by the chain."""

    sessions: int = 0
    energy_wh: int = 0
    deposits_micro: int = 0
    paid_micro: int = 0
    refunded_micro: int = 0


@dataclass(slots=True, kw_only=True)
class AuditReport:
    """What an audit looked at, and everything that it found wrong."""

    runs: int = 0
    statements: int = 0
    readings: int = 0
    charging: ChargingSums = field(default_factory=ChargingSums)
    discrepancies: list[Discrepancy] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """`ok`, or `failed` if there is any discrepancy."""
        return "failed" if self.discrepancies else "ok"

    def to_json(self) -> dict[str, Any]:
        """As `wattledger audit --json` prints it."""
        return {
            "verdict": self.verdict,
            "runs": self.runs,
            "statements": self.statements,
            "readings": self.readings,
            "sessions": self.charging.sessions,
            "session_energy_wh": self.charging.energy_wh,
            "deposits_micro": str(self.charging.deposits_micro),
            "paid_micro": str(self.charging.paid_micro),
            "refunded_micro": str(self.charging.refunded_micro),
            "remarks": [{"where": each.where, "detail": each.detail} for each in self.remarks],
            "discrepancies": [
                {"where": each.where, "detail": each.detail} for each in self.discrepancies
            ],
        }

    def note(self, where: str, detail: str) -> None:
        """Adds a discrepancy."""
        self.discrepancies.append(Discrepancy(where=where, detail=detail))

    def remark(self, where: str, detail: str) -> None:
        """Adds what is worth knowing and no discrepancy."""
        self.remarks.append(Remark(where=where, detail=detail))

    def compare(self, where: str, what: str, stated: object, derived: object) -> None:
        """Notes a difference."""
        if stated != derived:
            self.note(where, f"{what}: stated {_show(stated)}, derived {_show(derived)}")


def run_name(period_start_s: int, run: int) -> str:
    """How a run is called in a report."""
    return f"period {to_rfc3339(from_unix_s(period_start_s))} run {run}"


def _show(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
