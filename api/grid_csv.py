"""Tables for whoever watches over the grid: comma-separated, one header line (RFC 4180)."""

import csv
import io
from collections.abc import Iterable, Sequence

from api.jobs.oversight.meters import MeterWatch
from api.jobs.oversight.runs import SettledRun
from ledger.units import to_rfc3339

METER_COLUMNS = (
    "meter_id",
    "label",
    "account",
    "class",
    "limit_w",
    "state",
    "last_reading_at",
    "estimated_windows",
    "awaited_windows",
)
RUN_COLUMNS = (
    "period_start",
    "run",
    "state",
    "cutoff_at",
    "proposed_at",
    "final_at",
    "shortfall_nano",
    "gas_used",
    "statements_root",
    "windows_hash",
    "deltas_root",
    "proposal_tx",
    "final_tx",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # A spreadsheet would compute them.


def meters_csv(meters: Iterable[MeterWatch]) -> str:
    """One line a meter."""
    return _table(
        METER_COLUMNS,
        (
            (
                "0x" + meter.meter_id.hex(),
                safe_text(meter.label or ""),
                meter.account,
                meter.meter_class.value,
                meter.limit_w,
                meter.health.value,
                to_rfc3339(meter.last_reading_at) if meter.last_reading_at else "",
                meter.estimated_windows,
                meter.awaited_windows,
            )
            for meter in meters
        ),
    )


def settlements_csv(runs: Iterable[SettledRun]) -> str:
    """One line a run."""
    return _table(
        RUN_COLUMNS,
        (
            (
                to_rfc3339(run.period_start),
                run.run,
                run.state,
                to_rfc3339(run.cutoff_at),
                to_rfc3339(run.proposed_at),
                to_rfc3339(run.final_at) if run.final_at else "",
                run.shortfall_nano,
                "" if run.gas_used is None else run.gas_used,
                "0x" + run.statements_root.hex(),
                "0x" + run.windows_hash.hex(),
                "0x" + run.deltas_root.hex(),
                "0x" + run.proposal_tx.hex(),
                "0x" + run.final_tx.hex() if run.final_tx else "",
            )
            for run in runs
        ),
    )


def safe_text(text: str) -> str:
    """Text of a person's choice, which no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(FORMULA_STARTS) else text


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()
