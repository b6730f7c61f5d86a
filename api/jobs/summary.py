"""The demo's result in numbers: as JSON for programs, and per home for people."""

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from api.jobs.community import Community
from api.jobs.demo import DemoResult
from api.jobs.rejected import by_rule
from ledger.bills import WindowBill, member_bill
from ledger.settlement_store import StoredRun, StoredStatement
from ledger.units import FIRST_MEMBER, GRID_OPERATOR, SUPPLIER, to_unix_s
from ledger.words import StatementRow


@dataclass(slots=True, kw_only=True)
class HomeSums:
    """What one account did over all settled periods, by the last run of each."""

    account: int
    name: str
    import_wh: int = 0
    export_wh: int = 0
    bought_wh: int = 0
    sold_wh: int = 0
    amount_nano: int = 0  # What the statements say: received less paid.
    saved_nano: int = 0  # How much better off than with the grid's tariff alone.

    @property
    def grid_only_nano(self) -> int:
        """The same energy at the grid's tariff alone."""
        return self.amount_nano - self.saved_nano

    def add(self, row: StatementRow, bill: WindowBill) -> None:
        """Counts one window."""
        self.import_wh += row.import_wh
        self.export_wh += row.export_wh
        self.bought_wh += row.bought_wh
        self.sold_wh += row.sold_wh
        self.saved_nano += bill.saved_nano


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the demo prints."""

    homes: tuple[HomeSums, ...]
    fee_nano: int
    supplier_nano: int
    document: Mapping[str, Any]


def summarize(result: DemoResult, *, started_s: float) -> Summary:
    """Sums a demo up, from what is final on its chain."""
    community = result.community
    history, residual = community.refresh(), community.rules.residual.value
    names = dict(enumerate(result.shape.labels, start=FIRST_MEMBER))
    homes = {account: HomeSums(account=account, name=name) for account, name in names.items()}
    traded_wh = supplier_nano = fee_nano = 0
    for run, statements in last_runs(community):
        traded_wh += sum(total.traded_wh for total in run.totals)
        for statement in statements:
            if statement.account in homes:
                home = homes[statement.account]
                home.amount_nano += statement.result.amount_nano
                for row, price in zip(statement.result.rows, run.prices, strict=True):
                    home.add(row, member_bill(row, price, residual))
            elif statement.account == SUPPLIER:
                supplier_nano += statement.result.amount_nano
            elif statement.account == GRID_OPERATOR:
                fee_nano += statement.result.amount_nano
    periods = sum(run == 0 for _, run in history.final_order)
    applied_nano = sum(sum(history.runs[key].deltas_nano) for key in history.final_order)
    document = {
        "members": len(homes),
        "meters": len(result.shape.labels),
        "windows": _windows(result),
        "periods": periods,
        "import_wh": sum(home.import_wh for home in homes.values()),
        "export_wh": sum(home.export_wh for home in homes.values()),
        "traded_wh": traded_wh,
        "money_sum_nano": str(applied_nano),
        "gas_per_member": _gas_per_member(result),
        "balances_nano": {
            str(account): str(nano) for account, nano in enumerate(history.balances_nano)
        },
        **_charges(result),
        "audit": result.audit.verdict if result.audit else "failed",
        "statements_verified": result.statements - len(result.failed_statements),
        "readings": _counts(result),
        "saved_nano": {str(home.account): str(home.saved_nano) for home in homes.values()},
        "data_dir": str(community.directory.path),
        "seconds": round(time.monotonic() - started_s, 3),
    }
    return Summary(
        homes=tuple(homes.values()),
        fee_nano=fee_nano,
        supplier_nano=supplier_nano,
        document=document,
    )


def last_runs(community: Community) -> Iterator[tuple[StoredRun, list[StoredStatement]]]:
    """The last final run of each period, with its statements."""
    last: dict[int, StoredRun] = {}
    for run in community.settlements.runs():
        if run.state == "final":
            last[run.period_start_s] = run
    for period_start_s in sorted(last):
        run = last[period_start_s]
        yield run, community.settlements.statements(period_start_s, run.run)


def _charges(result: DemoResult) -> dict[str, Any]:
    """What the escrow's own events say of the charges."""
    sessions = result.community.charges_now().values()
    document: dict[str, Any] = {
        "sessions": len(sessions),
        "session_energy_wh": sum(session.stop_wh - session.start_wh for session in sessions),
        "deposits_micro": str(sum(session.deposit_micro for session in sessions)),
        "paid_micro": str(sum(session.paid_micro for session in sessions)),
        "refunded_micro": str(sum(session.refunded_micro for session in sessions)),
    }
    charging = result.charging
    if charging is not None:
        document |= {
            "session_shift_weeks": charging.plan.shift_weeks,
            "sessions_rejected": len(charging.plan.problems),
            "sessions_rejected_by_rule": [
                each.to_json() for each in by_rule(charging.plan.problems)
            ],
            "sessions_failed": len(charging.failed),
            "refund_blocks_max": max(charging.refund_blocks, default=0),
            "refund_ms_median": statistics.median_low(charging.refund_ms or [0]),
            "receipts_verified": charging.verified,
            "sun_wh": charging.sun_wh,
        }
    return document


def _windows(result: DemoResult) -> int:
    """Windows that lie between the first and last reading of some meter of the file."""
    window_s = result.shape.window_s
    windows: set[int] = set()
    community = result.community
    of_file = {
        meter.meter_id
        for meter in community.readings.meters()
        if meter.label in set(result.shape.labels)
    }
    for meter_id, stretch in community.readings.known_stretches().items():
        if meter_id not in of_file:
            continue
        first = -(-to_unix_s(stretch.first_at) // window_s)
        windows.update(range(first, to_unix_s(stretch.last_at) // window_s))
    return len(windows)


def _gas_per_member(result: DemoResult) -> int:
    accounts = result.community.refresh().account_count
    gas = [settled.gas_used // accounts for settled in result.settled if settled.run == 0]
    return statistics.median_low(gas) if gas else 0


def _counts(result: DemoResult) -> dict[str, int]:
    imported = result.imported
    return {
        "accepted": imported.accepted,
        "duplicates": imported.duplicates,
        "estimated": imported.estimated,
        "rejected": len(imported.rejected),
    }
