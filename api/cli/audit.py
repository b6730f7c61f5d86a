"""`wattledger audit`: everything again, from the chain and the signed readings."""

from pathlib import Path

from api.cli.context import Options, Outcome, data_path
from api.cli.progress import bars
from api.cli.verify import chain_of
from api.errors import BadInput
from api.jobs.audit import AuditReport, audit
from api.jobs.community import open_community
from api.jobs.evidence import Evidence, evidence_of, read_bundle, write_bundle


def run_audit(
    options: Options, rpc: str | None, bundle: Path | None, export: Path | None
) -> Outcome:
    """Audits a data directory or a bundle, against its own chain or an endpoint's."""
    if export is not None:
        return _export(options, export)
    evidence = read_bundle(bundle) if bundle is not None else _own_evidence(options)
    with chain_of(options, rpc) as (chain, _market), bars(shown=not options.as_json) as progress:
        if chain is None:
            raise BadInput(field="--rpc", rule="there is no chain: give --rpc or --data-dir")
        report = audit(chain, evidence, progress=progress)
    return Outcome(
        document={
            "verdict": report.verdict,
            "runs": report.runs,
            "statements": report.statements,
            "readings": report.readings,
            "discrepancies": [
                {"where": each.where, "detail": each.detail} for each in report.discrepancies
            ],
        },
        text=_text(report),
        passed=report.verdict == "ok",
    )


def _own_evidence(options: Options) -> Evidence:
    with open_community(data_path(options), read_only=True) as community:
        return evidence_of(community)


def _export(options: Options, export: Path) -> Outcome:
    write_bundle(_own_evidence(options), export)
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
    lines += [f"{each.where}: {each.detail}" for each in report.discrepancies]
    return "\n".join(lines)
