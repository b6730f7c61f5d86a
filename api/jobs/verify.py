"""Checks a statement file by itself and against a chain."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from api.files import read_text
from api.jobs.chain_rules import SharingRules, rules_of
from api.jobs.meter_book import book_of_logs, meters_of
from ledger.chain.errors import BadAbiValue, ContractReverted
from ledger.chain.market import MarketReader
from ledger.chain.market_values import MarketConfig
from ledger.chain.protocol import Chain
from ledger.chain.replay import read_history
from ledger.checks import Check
from ledger.history import MarketHistory
from ledger.json_text import parse_json
from ledger.statement_file import statement_from_json
from ledger.statements import Statement
from ledger.units import Address, Hash32
from ledger.verify import ChainFacts, check_alone, check_with_chain
from metering.meters import MeterBook

NO_SHARING = SharingRules(keys={}, priorities={})
NO_COMMITMENT = Hash32(bytes(32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Every check of one file, and whether a chain was asked."""

    checks: tuple[Check, ...]
    compared_with_chain: bool

    @property
    def passed(self) -> bool:
        """Whether everything agrees, with a chain too."""
        return self.compared_with_chain and all(check.passed for check in self.checks)


def read_document(file: Path) -> object:
    """A file's JSON; raises NotJson, EmptyFile, StorageFailed."""
    return parse_json(read_text(file))


def read_statement(file: Path) -> Statement:
    """Reads a statement file.

    Raises:
        BadStatement: naming the field and the rule that it breaks.
        NotJson: it is not JSON.
    """
    return statement_from_json(read_document(file))


class MarketFacts:
    """What a chain says of one market, read once for any number of statements."""

    def __init__(self, chain: Chain, market: Address) -> None:
        self.chain = chain
        self.market = market
        self._reader = MarketReader(chain, market)
        self._commitments: dict[tuple[int, int], Hash32] = {}

    @cached_property
    def problem(self) -> str | None:
        """Why there is no market here; None if there is one."""
        if not self.chain.code(self.market):
            return "no contract at this address"
        try:
            _ = self.config
        except (ContractReverted, BadAbiValue) as error:
            return f"not an EnergyMarket: {error}"
        return None

    @cached_property
    def config(self) -> MarketConfig:
        """What the contract fixed."""
        return self._reader.config()

    @cached_property
    def history(self) -> MarketHistory:
        """Everything that happened in the market."""
        return read_history(self.chain, self.market)

    @cached_property
    def book(self) -> MeterBook:
        """All meters' terms."""
        head = self.chain.head().number
        return book_of_logs(self.chain.logs([self.config.registry], from_block=0, to_block=head))

    def _commitment(self, period_start_s: int, run: int) -> Hash32:
        key = (period_start_s, run)
        if key not in self._commitments:
            self._commitments[key] = self._reader.commitment_of(*key) or NO_COMMITMENT
        return self._commitments[key]

    def of(self, statement: Statement) -> ChainFacts:
        """The facts that one statement is compared with."""
        start_s, schedule = statement.period_start_s, self.config.schedule
        return ChainFacts(
            chain_id=self.chain.chain_id,
            market=self.market,
            window_s=schedule.window_s,
            period_windows=schedule.period_windows,
            residual=self.config.residual.value,
            rules=rules_of(self.config, NO_SHARING),
            commitment=self._commitment(start_s, statement.run),
            history=self.history,
            meters=meters_of(self.book, schedule, statement.account, start_s),
        )


def verify_statement(statement: Statement, facts: MarketFacts | None) -> Verdict:
    """Runs all checks; those with the chain only if there is one."""
    checks = list(check_alone(statement))
    if facts is not None and facts.problem is not None:
        checks.append(Check(name="market", passed=False, detail=f"market: {facts.problem}"))
    elif facts is not None:
        checks += check_with_chain(statement, facts.of(statement))
    return Verdict(checks=tuple(checks), compared_with_chain=facts is not None)
