"""`wattledger audit`: everything again, from the chain and the signed readings."""

from pathlib import Path

from api.cli.context import Options, Outcome, data_path
from api.cli.money import kwh, tokens
from api.cli.progress import bars
from api.cli.verify import chain_of
from api.errors import BadInput
from api.jobs.audit import AuditReport, Progress, audit
from api.jobs.audit_directory import audit_directory
from api.jobs.bundle import write_bundle
from api.jobs.community import open_community
from api.jobs.evidence import read_bundle
from ledger.units import NANO_PER_MICRO


def run_audit(
    options: Options, rpc: str | None, bundle: Path | None, export: Path | None
) -> Outcome:
    """Audits a data directory or a bundle, against its own chain or an endpoint's."""
    if export is not None:
        return _export(options, export)
    with bars(shown=not options.as_json) as progress:
        report = (
            _audit_bundle(options, rpc, bundle, progress)
            if bundle is not None
            else _audit_directory(options, rpc, progress)
        )
    return Outcome(
        document=report.to_json(),
        text=_text(report),
        passed=report.verdict == "ok",
    )


def _audit_directory(options: Options, rpc: str | None, progress: Progress) -> AuditReport:
    with open_community(data_path(options), read_only=True) as community:
        if rpc is None:
            return audit_directory(community, community.chain, progress=progress)
        with chain_of(options, rpc) as (chain, _market):
            return audit_directory(community, chain or community.chain, progress=progress)


def _audit_bundle(
    options: Options, rpc: str | None, bundle: Path, progress: Progress
) -> AuditReport:
    evidence = read_bundle(bundle)
    with chain_of(options, rpc) as (chain, market):
        if chain is None:
            raise BadInput(field="--rpc", rule="there is no chain: give --rpc or --data-dir")
        report = audit(chain, evidence, progress=progress)
        if market is not None:
            report.compare("bundle", "market", evidence.market, market)
        return report


def _export(options: Options, export: Path) -> Outcome:
    with open_community(data_path(options), read_only=True) as community:
        write_bundle(community, export)
    return Outcome(
        document={"bundle": str(export)},
        text=f"{export}: readings and salts, no keys. Whoever has it sees every home's load.",
    )


def _text(report: AuditReport) -> str:
    lines = [
        (
            f"{report.runs} runs and {report.statements} statements derived again "
            f"from {report.readings} signed readings: {report.verdict}"
        )
    ]
    sums = report.charging
    if sums.sessions:
        lines.append(
            f"{sums.sessions} charging sessions derived again: {kwh(sums.energy_wh)} kWh, of "
            f"{tokens(sums.deposits_micro * NANO_PER_MICRO)} deposited "
            f"{tokens(sums.paid_micro * NANO_PER_MICRO)} paid and "
            f"{tokens(sums.refunded_micro * NANO_PER_MICRO)} refunded"
        )
    lines += [f"{each.where}: {each.detail}" for each in report.discrepancies]
    lines += [f"remark: {each.where}: {each.detail}" for each in report.remarks]
    return "\n".join(lines)
