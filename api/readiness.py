"""What keeps the service from doing its work, in words that name no file, address or key."""

import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.errors import NoMarket
from api.jobs.community import CHARGING, OPERATOR, RELAY
from api.jobs.opening import system_now
from api.service import Service
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.errors import ChainUnavailable, WrongChain
from ledger.chain.protocol import Block
from ledger.chain.rpc import RpcChain
from ledger.units import Address, to_unix_s

DISK_FULL_BYTES: Final = 64 * 2**20  # Below, a write may fail at any time.
DISK_LOW_BYTES: Final = 2**30
AHEAD_S_MAX: Final = 60  # Of the chain's clock.
SILENT_S_MAX: Final = 900  # A chain that others use has blocks more often.
GAS_OF_A_SETTLEMENT: Final = 2_000_000
GAS_LOOK_S: Final = 60  # How long an answer about gas is believed: anybody may ask for readiness.
HOT_ROLES: Final = (OPERATOR, CHARGING, RELAY)
_CODE: Final = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
_WORDS: Final = {
    "chain_unavailable": "the chain does not answer",
    "wrong_chain": "another chain answers, or it lost the market's contracts",
    "wrong_genesis": "another chain answers than the one that was written to before",
    "storage_failed": "the database or the disk refuses",
    "funds_missing": "there is too little to pay gas with",
    "internal_error": "something that nobody foresaw; the log says what",
}
_STALLED: Final = "stalled"
_HELD_UP: Final = "held_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong: where, a stable code, and a sentence for people."""

    part: str  # database, chain, clock, disk, keys, or a loop's name.
    code: str
    detail: str
    stops_work: bool = True


class Readiness:
    """Looks at a service from all sides; its methods wait for database and chain."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gas: list[Finding] = []
        self._gas_until_s = 0.0

    def findings(self) -> list[Finding]:
        """All that is wrong now."""
        return [
            *self._database(),
            *self._chain(),
            *self._disk(),
            *map(finding_of_loop, self._service.problems()),
        ]

    def _database(self) -> Iterator[Finding]:
        try:
            with self._service.community.engine.begin() as connection:
                connection.execute(text("SELECT 1"))
        except DBAPIError:
            detail = "The database does not answer: nothing can be kept."
            yield Finding(part="database", code="storage_failed", detail=detail)

    def _chain(self) -> Iterator[Finding]:
        try:
            head = self._service.community.chain.head()
            self._service.market.require()
            yield from self._clock(head)
            yield from self._gas_findings()
        except ChainUnavailable as error:
            detail = "The chain does not answer: nothing is paid or settled until it does."
            yield Finding(part="chain", code=error.code, detail=detail)
        except (WrongChain, NoMarket) as error:
            detail = "Another chain answers, or it lost the market's contracts."
            yield Finding(part="chain", code=error.code, detail=detail)

    def _clock(self, head: Block) -> Iterator[Finding]:
        chain = self._service.community.chain
        if isinstance(chain, EmbeddedChain):
            ahead_s, silent_s = chain.ahead_s(), 0  # It has a block when somebody needs one.
        else:
            ahead_s = head.timestamp_s - to_unix_s(system_now())
            silent_s = -ahead_s
        if ahead_s > AHEAD_S_MAX:
            detail = f"The chain's clock is {ahead_s} s ahead of this machine's."
            yield Finding(part="clock", code="clock_skew", detail=detail, stops_work=False)
        if silent_s > SILENT_S_MAX:
            detail = f"The chain's last block is {silent_s // 60} minutes old."
            yield Finding(part="chain", code="chain_silent", detail=detail, stops_work=False)

    def _gas_findings(self) -> list[Finding]:
        community = self._service.community
        if not isinstance(community.chain, RpcChain):
            return []
        if time.monotonic() >= self._gas_until_s:
            self._gas = [
                Finding(
                    part="keys",
                    code="gas_missing",
                    detail=f"The key of {role} has too little to pay for a settlement's gas: "
                    "`wattledger doctor` says where to send it.",
                )
                for role in roles_without_gas(community.chain, self._hot_wallets())
            ]
            self._gas_until_s = time.monotonic() + GAS_LOOK_S
        return self._gas

    def _hot_wallets(self) -> dict[str, Address]:
        keys = self._service.community.keys
        return {role: keys.wallet(role).address for role in HOT_ROLES if role in keys}

    def _disk(self) -> Iterator[Finding]:
        try:
            free_bytes = shutil.disk_usage(self._service.community.directory.path).free
        except OSError:
            detail = "The data directory cannot be looked at."
            yield Finding(part="disk", code="storage_failed", detail=detail)
            return
        if free_bytes < DISK_LOW_BYTES:
            is_full = free_bytes < DISK_FULL_BYTES
            yield Finding(
                part="disk",
                code="disk_full" if is_full else "disk_low",
                detail=f"The disk has {free_bytes // 2**20} MiB left.",
                stops_work=is_full,
            )


def roles_without_gas(chain: RpcChain, wallets: Mapping[str, Address]) -> list[str]:
    """Roles whose address cannot pay for the gas of a settlement now; none where gas is free."""
    needed_wei = GAS_OF_A_SETTLEMENT * chain.fees().max_fee_wei
    return [role for role, address in wallets.items() if chain.balance_wei(address) < needed_wei]


def finding_of_loop(line: str) -> Finding:
    """A loop's line, `name: problem`, as a finding."""
    name, _, problem = line.partition(": ")
    codes = _CODE.findall(problem)
    if not codes:
        code = _STALLED if problem.startswith("no round") else _HELD_UP
    else:
        code = codes[-1] if codes[-1] in _WORDS else codes[0]
    return Finding(
        part=name,
        code=code,
        detail=f"The loop {name} is held up: {_WORDS.get(code, problem or 'it does not say why')}.",
    )
