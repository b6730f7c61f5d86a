"""`wattledger verify`: one file, every check, one verdict."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.cli.context import Options, Outcome, data_path
from api.datadir import DataDir
from api.errors import NoCommunity
from api.jobs.verify import MarketFacts, Verdict, read_statement, verify_statement
from api.settings import read_settings
from ledger.chain.protocol import Chain
from ledger.keccak import checksum_address
from ledger.statements import Statement
from ledger.units import Address


def run_verify(options: Options, file: Path, rpc: str | None) -> Outcome:
    """Verifies a statement file, with a chain where there is one."""
    statement = read_statement(file)
    with chain_of(options, rpc) as (chain, market):
        # A forger's own market would agree with a forged file: ours is the one to ask.
        facts = None if chain is None else MarketFacts(chain, market or statement.market)
        verdict = verify_statement(statement, facts)
    return Outcome(
        document={
            "file": str(file),
            "passed": verdict.passed,
            "compared_with_chain": verdict.compared_with_chain,
            "market": checksum_address(statement.market),
            "checks": [
                {"name": each.name, "passed": each.passed, "detail": each.detail}
                for each in verdict.checks
            ],
        },
        text=_text(file, statement, verdict),
        passed=verdict.passed,
    )


@contextmanager
def chain_of(options: Options, rpc: str | None) -> Iterator[tuple[Chain | None, Address | None]]:
    """The endpoint's chain, else the data directory's with its market; None if there is neither."""
    if rpc is not None:
        from ledger.chain.rpc import RpcChain  # noqa: PLC0415 (imports web3)

        with RpcChain.connect(rpc, timeout_s=read_settings().rpc_timeout_s) as chain:
            yield chain, None
        return
    directory = DataDir(data_path(options))
    try:
        directory.require()
    except NoCommunity:
        yield None, None
        return
    from api.jobs.community import open_community  # noqa: PLC0415 (imports the EVM)

    with open_community(directory.path, read_only=True) as community:
        yield community.chain, community.contracts.market


def _text(file: Path, statement: Statement, verdict: Verdict) -> str:
    lines = []
    for name in dict.fromkeys(check.name for check in verdict.checks):
        own = [check for check in verdict.checks if check.name == name]
        failed = [check for check in own if not check.passed]
        lines.append(f"{'FAIL' if failed else 'ok  '}  {name}")
        lines += [f"      {check.detail}" for check in failed]
    if verdict.passed:
        lines.append(
            f"{file.name}: account {statement.account} agrees with the chain, "
            f"market {checksum_address(statement.market)}."
        )
    elif all(check.passed for check in verdict.checks):
        lines.append(
            f"{file.name} agrees with itself, but was not compared with a chain: "
            "give --rpc or --data-dir."
        )
    else:
        lines.append(f"{file.name} does not verify.")
    return "\n".join(lines)
