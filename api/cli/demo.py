"""`wattledger demo`: runs the job and says what came of it."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.cli.context import Options, Outcome, data_path
from api.cli.money import kwh, per_kwh, tokens, tokens_exact
from api.cli.progress import bars
from api.jobs.demo import DemoResult, demo_file, run_demo_job
from api.jobs.demo_charging import charging_file, shifted
from api.jobs.picture import busiest_day, draw_day
from api.jobs.rejected import by_rule
from api.jobs.summary import Summary, summarize

NO_CHARGING = "none"


def run_demo(
    options: Options, *, registers: Path | None, charging: str | None, days: int
) -> Outcome:
    """Does the demo; passed if nothing is wrong anywhere."""
    started_s = time.monotonic()
    sessions = charging_file() if charging is None else Path(charging)
    with bars(shown=not options.as_json) as progress:
        result = run_demo_job(
            registers or demo_file(),
            data_path(options),
            days=days,
            charging=None if charging == NO_CHARGING else sessions,
            progress=progress,
        )
    try:
        summary = summarize(result, started_s=started_s)
        picture = _draw(result)
        passed = bool(
            result.audit
            and result.audit.verdict == "ok"
            and not result.failed_statements
            and result.alarm is None
            and result.imported.accepted
            and not (result.charging and result.charging.failed)
        )
        return Outcome(
            document={**summary.document, "picture": str(picture) if picture else None},
            text=_text(result, summary, picture),
            passed=passed,
        )
    finally:
        result.community.close()


def _draw(result: DemoResult) -> Path | None:
    day = busiest_day(result.community)
    if day is None:
        return None
    path = result.community.directory.picture_path
    draw_day(day, window_s=result.shape.window_s, path=path)
    return path


def _text(result: DemoResult, summary: Summary, picture: Path | None) -> str:
    document, directory = summary.document, result.community.directory
    saved_nano = sum(home.saved_nano for home in summary.homes)
    tariff = result.community.config.tariff
    run = next(iter(result.community.settlements.runs()), None)
    price = f" for {per_kwh(run.prices[0].local_per_kwh)} per kWh" if run else ""
    lines = [
        (
            f"In {document['periods']} days {document['members']} homes sold "
            f"{kwh(document['traded_wh'])} kWh of their own sun to {_buyers(result)}{price} "
            f"and are {tokens(saved_nano)} EUR better off than with the grid alone."
        ),
        "",
        _table(summary),
        "",
        'How "saved" is computed, for each window: sold × (local − grid export price)',
        (
            "  + bought × (grid import price − local price − local fee), at "
            f"{per_kwh(tariff.grid_export_per_kwh)}, {per_kwh(tariff.grid_import_per_kwh)} "
            f"and {per_kwh(tariff.local_fee_per_kwh)} EUR per kWh."
        ),
        (
            f"Local fees went to the grid operator: {tokens(summary.fee_nano)} EUR. "
            f"The supplier's balance moved by {tokens(summary.supplier_nano)} EUR."
        ),
        "",
        f"readings    {_readings(result)}",
        (
            f"statements  {document['statements_verified']} of {result.statements} verified "
            "against the chain: rows, amount, leaf, proof, prices, delta"
        ),
        *_charges(result, document),
        f"money       all balance changes sum to {document['money_sum_nano']} nano",
        (
            f"gas         {document['gas_per_member']} a member to settle a day "
            f"({result.community.refresh().account_count} accounts; about 1,400 at 1,000 members)"
        ),
        f"audit       {document['audit']}",
        f"time        {document['seconds']} s",
    ]
    if result.alarm is not None:
        lines.append(f"alarm       {result.alarm}")
    lines += _problems(result)
    lines += ["", f"data        {document['data_dir']}"]
    if picture:
        lines.append(f"picture     {picture}")
    lines.append(f"try         wattledger verify {_example(result)}")
    if result.charging and (receipts := sorted(directory.receipts_path.glob("*.json"))):
        lines.append(f"            wattledger verify {receipts[0]}")
    return "\n".join(lines)


def _buyers(result: DemoResult) -> str:
    charging = result.charging
    if charging is None:
        return "each other"
    return f"each other and to {len(charging.plan.chargers)} charge points"


def _charges(result: DemoResult, document: Mapping[str, Any]) -> list[str]:
    """What became of the deposits."""
    charging = result.charging
    if charging is None:
        return []
    plan = charging.plan
    sums = [tokens_exact(int(document[f"{name}_micro"])) for name in ("deposits", "paid")]
    cut = f", {plan.cut_short} stays cut to a day" if plan.cut_short else ""
    return [
        (
            f"charges     {document['sessions']} at {len(plan.chargers)} charge points by OCPP, "
            f"{kwh(document['session_energy_wh'])} kWh, of which {kwh(charging.sun_wh)} kWh are "
            f"neighbours' sun; times moved {shifted(plan)}{cut}"
        ),
        (
            f"deposits    {sums[0]} = {sums[1]} paid to the host + "
            f"{tokens_exact(int(document['refunded_micro']))} refunded, exactly; "
            f"{charging.verified} receipts verified"
        ),
        (
            "refund      in the driver's wallet "
            f"{document['refund_blocks_max']} block after the charger's stop message, "
            f"{document['refund_ms_median']} ms (median)"
        ),
    ]


def _table(summary: Summary) -> str:
    heads = ("home", "took kWh", "fed in", "bought", "sold", "result EUR", "grid only", "saved")
    rows = [
        (
            f"{home.account} {home.name}",
            kwh(home.import_wh),
            kwh(home.export_wh),
            kwh(home.bought_wh),
            kwh(home.sold_wh),
            tokens(home.amount_nano),
            tokens(home.grid_only_nano),
            tokens(home.saved_nano),
        )
        for home in summary.homes
    ]
    homes = summary.homes
    rows.append(
        (
            "total",
            kwh(sum(home.import_wh for home in homes)),
            kwh(sum(home.export_wh for home in homes)),
            kwh(sum(home.bought_wh for home in homes)),
            kwh(sum(home.sold_wh for home in homes)),
            tokens(sum(home.amount_nano for home in homes)),
            tokens(sum(home.grid_only_nano for home in homes)),
            tokens(sum(home.saved_nano for home in homes)),
        )
    )
    widths = [max(len(row[place]) for row in [heads, *rows]) for place in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [heads, *rows]
    )


def _readings(result: DemoResult) -> str:
    imported = result.imported
    return (
        f"{imported.accepted} signed and accepted, {imported.duplicates} duplicates, "
        f"{imported.estimated} gaps to estimate, {len(imported.rejected)} rejected"
    )


def _problems(result: DemoResult) -> list[str]:
    shown = [
        f"rejected    line {each.position}: {each.error}" for each in result.imported.rejected[:10]
    ]
    if len(result.imported.rejected) > len(shown):
        shown.append(f"rejected    and {len(result.imported.rejected) - len(shown)} more")
    if result.charging:
        shown += [
            f"rejected    {each.rows} of the sessions' rows, from line {each.first_line} on: "
            f"{each.code}: {each.rule}"
            for each in by_rule(result.charging.plan.problems)
        ]
        shown += [f"wrong       charge of {failed}" for failed in result.charging.failed[:10]]
    shown += [f"wrong       {name} does not verify" for name in result.failed_statements[:10]]
    if result.audit:
        shown += [f"wrong       {d.where}: {d.detail}" for d in result.audit.discrepancies[:10]]
    return shown


def _example(result: DemoResult) -> str:
    files = sorted(result.community.directory.statements_path.glob("3-*.json"))
    return str(files[0]) if files else "FILE"
