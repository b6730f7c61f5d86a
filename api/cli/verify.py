"""`wattledger verify`: one file, every check, one verdict."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli.context import Options, Outcome, data_path
from api.datadir import DataDir
from api.errors import NoCommunity
from api.jobs.verify import MarketFacts, Verdict, read_document, verify_statement
from api.jobs.verify_receipt import EscrowFacts, verify_receipt
from api.settings import read_settings
from charging.receipt_file import receipt_from_json
from ledger.chain.protocol import Chain
from ledger.keccak import checksum_address
from ledger.statement_file import statement_from_json
from ledger.units import Address

if TYPE_CHECKING:
    from api.jobs.contracts import Contracts

RECEIPT_FORMATS = "wattledger.receipt/"


def run_verify(options: Options, file: Path, rpc: str | None) -> Outcome:
    """Verifies a statement or receipt file, with a chain where there is one."""
    document = read_document(file)
    said = document.get("format") if isinstance(document, dict) else None
    if isinstance(said, str) and said.startswith(RECEIPT_FORMATS):
        return _verify_receipt(options, file, document, rpc)
    return _verify_statement(options, file, document, rpc)


def _verify_statement(options: Options, file: Path, document: object, rpc: str | None) -> Outcome:
    statement = statement_from_json(document)
    with chain_of(options, rpc) as (chain, market):
        # A forger's own market would agree with a forged file: ours is the one to ask.
        facts = None if chain is None else MarketFacts(chain, market or statement.market)
        verdict = verify_statement(statement, facts)
    address = checksum_address(statement.market)
    about = f"account {statement.account} agrees with the chain, market {address}."
    return _outcome(file, verdict, contract=("market", address), about=about)


def _verify_receipt(options: Options, file: Path, document: object, rpc: str | None) -> Outcome:
    receipt = receipt_from_json(document)
    with _chain_and_contracts(options, rpc) as (chain, contracts):
        ours = receipt.escrow if contracts is None else contracts.escrow
        facts = None if chain is None else EscrowFacts(chain, ours)
        verdict = verify_receipt(receipt, facts)
    address = checksum_address(receipt.escrow)
    session = f"session 0x{receipt.session_id.hex()}"
    about = f"{session} agrees with the chain, escrow {address}."
    return _outcome(file, verdict, contract=("escrow", address), about=about)


def _outcome(file: Path, verdict: Verdict, *, contract: tuple[str, str], about: str) -> Outcome:
    name, address = contract
    return Outcome(
        document={
            "file": str(file),
            "passed": verdict.passed,
            "compared_with_chain": verdict.compared_with_chain,
            name: address,
            "checks": [
                {"name": each.name, "passed": each.passed, "detail": each.detail}
                for each in verdict.checks
            ],
        },
        text=_text(file, verdict, about),
        passed=verdict.passed,
    )


@contextmanager
def chain_of(options: Options, rpc: str | None) -> Iterator[tuple[Chain | None, Address | None]]:
    """The endpoint's chain, else the data directory's with its market; None if there is neither."""
    with _chain_and_contracts(options, rpc) as (chain, contracts):
        yield chain, None if contracts is None else contracts.market


@contextmanager
def _chain_and_contracts(
    options: Options, rpc: str | None
) -> Iterator[tuple[Chain | None, "Contracts | None"]]:
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
        yield community.chain, community.contracts


def _text(file: Path, verdict: Verdict, about: str) -> str:
    lines = []
    for name in dict.fromkeys(check.name for check in verdict.checks):
        own = [check for check in verdict.checks if check.name == name]
        failed = [check for check in own if not check.passed]
        lines.append(f"{'FAIL' if failed else 'ok  '}  {name}")
        lines += [f"      {check.detail}" for check in failed]
    if verdict.passed:
        lines.append(f"{file.name}: {about}")
    elif all(check.passed for check in verdict.checks):
        lines.append(
            f"{file.name} agrees with itself, but was not compared with a chain: "
            "give --rpc or --data-dir."
        )
    else:
        lines.append(f"{file.name} does not verify.")
    return "\n".join(lines)
