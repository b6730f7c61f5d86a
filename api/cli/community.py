"""`wattledger init`, `import`, `settle` and `statement`."""

from pathlib import Path

from api.cli.context import Options, Outcome, data_path
from api.cli.progress import bars
from api.config import read_config
from api.errors import BadInput
from api.jobs.checkup.chain import delegate_call, hosts_without_delegate
from api.jobs.community import Community, open_community
from api.jobs.create import create_community
from api.jobs.intake import import_readings
from api.jobs.settle import SettlementLoop
from api.jobs.statements import statements_of_account, write_statement
from ledger.keccak import checksum_address
from ledger.units import from_unix_s, to_rfc3339

REJECTED_SHOWN = 20


def run_init(options: Options, config_file: Path) -> Outcome:
    """Creates a community from a TOML file."""
    config = read_config(config_file)
    path = data_path(options)
    with bars(shown=not options.as_json) as progress:
        community = create_community(
            path, config, progress=progress, password_file=options.password_file
        )
    try:
        contracts, warnings = community.contracts, _warnings(community)
        document = {
            "name": config.name,
            "chain_id": config.chain.chain_id,
            "market": checksum_address(contracts.market),
            "registry": checksum_address(contracts.registry),
            "token": checksum_address(contracts.token),
            "escrow": checksum_address(contracts.escrow),
            "accounts": len(config.accounts),
            "meters": {
                each.label or "": "0x" + each.meter_id.hex() for each in community.readings.meters()
            },
            "data_dir": str(path),
            "warnings": warnings,
        }
    finally:
        community.close()
    counts = f"{_count(len(config.accounts), 'member')}, {_count(len(config.meters), 'meter')}"
    lines = [f"{config.name}: {counts}."]
    lines += [f"{name:<9} {document[name]}" for name in ("market", "registry", "token", "escrow")]
    lines.append(f"next      wattledger import FILE --format registers-csv --data-dir {path}")
    lines += [f"warning   {warning}" for warning in warnings]
    return Outcome(document=document, text="\n".join(lines))


def _warnings(community: Community) -> list[str]:
    warnings = []
    if community.config.market.period_windows == 1:
        warnings.append("with periods of one window the chain betrays the load of each window")
    if hosts := ", ".join(hosts_without_delegate(community)):
        call = delegate_call(community)
        warnings.append(f"nobody can charge at the chargers of {hosts} before it sends {call}")
    password = community.directory.password_path
    if password.exists():
        warnings.append(
            f"the keystore's password lies beside it, in {password}: move it to where only the "
            "service reads it, and name it by --password-file"
        )
    return warnings


def run_import(options: Options, file: Path, format_name: str, meter: str | None) -> Outcome:
    """Imports a file; what is good in it is kept, and any rejected row makes the exit code 1."""
    with open_community(data_path(options), password_file=options.password_file) as community:
        report = import_readings(community, file, format_name=format_name, meter=meter)
    lines = [
        (
            f"{report.accepted} accepted, {report.duplicates} duplicates, "
            f"{report.estimated} to estimate, {len(report.rejected)} rejected"
        )
    ]
    for each in report.rejected[:REJECTED_SHOWN]:
        place = ", ".join(f"{name} {number}" for name, number in report.place(each).items())
        lines.append(f"{place}: {each.error}")
    if len(report.rejected) > REJECTED_SHOWN:
        lines.append(f"and {len(report.rejected) - REJECTED_SHOWN} more: see --json")
    return Outcome(document=report.to_json(), text="\n".join(lines), passed=not report.rejected)


def run_settle(options: Options, until_s: int | None) -> Outcome:
    """Settles what is due; not passed if an alarm holds something back."""
    settled = []
    with open_community(data_path(options), password_file=options.password_file) as community:
        loop = SettlementLoop(community, until_s=until_s)
        expected = loop.first_runs_left()
        with bars(shown=not options.as_json) as progress:
            for each in loop.run():
                settled.append(each)
                progress("runs settled", len(settled), max(expected, len(settled)))
        alarm = loop.alarm
    runs = [
        {
            "period_start": to_rfc3339(from_unix_s(each.period_start_s)),
            "run": each.run,
            "gas_used": each.gas_used,
        }
        for each in settled
    ]
    first = sum(each.run == 0 for each in settled)
    text = f"{_count(first, 'period')} settled, {_count(len(settled) - first, 'revision')}"
    document: dict[str, object] = {"settled": runs, "alarm": None}
    if alarm is not None:
        document["alarm"] = {"code": alarm.code, "detail": alarm.detail}
        text += f"\nalarm: {alarm}"
    return Outcome(document=document, text=text, passed=alarm is None)


def run_statement(
    options: Options, account: int, period_start_s: int | None, out: Path | None
) -> Outcome:
    """Writes statement files of one account."""
    with open_community(data_path(options), read_only=True) as community:
        count = community.refresh().account_count
        if account >= count:
            raise BadInput(field="ACCOUNT", rule=f"there are accounts 0 to {count - 1}")
        directory = out or community.directory.statements_path
        paths = [
            write_statement(statement, directory)
            for statement in statements_of_account(
                community, account, period_start_s=period_start_s
            )
        ]
    if not paths:
        raise BadInput(field="--period", rule="nothing is settled for it yet")
    return Outcome(
        document={"files": [str(path) for path in paths]},
        text="\n".join(str(path) for path in paths),
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
