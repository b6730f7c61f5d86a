"""Follows a community's contracts: what their events say is told once, and again after a reorg."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from sqlalchemy import Engine

from api.jobs.contracts import Contracts
from api.jobs.meter_book import book_of_logs
from charging.escrow_history import EscrowHistory
from ledger.chain import escrow
from ledger.chain.protocol import Block, Chain, Log
from ledger.chain.replay import LogEntry, market_events, read_entries
from ledger.history import MarketEvent, MarketHistory
from ledger.index_store import IndexStore
from ledger.indexer import Indexer
from ledger.units import Address
from metering.meters import MeterBook

Answer = TypeVar("Answer")


@dataclass(kw_only=True)
class Told:
    """All that the contracts' events say, up to a block."""

    block_number: int = -1
    block_hash: bytes = b""
    market: MarketHistory = field(default_factory=MarketHistory)
    charges: EscrowHistory = field(default_factory=EscrowHistory)
    registry_logs: list[Log] = field(default_factory=list)
    _book: MeterBook | None = None

    def tell(self, market: Sequence[MarketEvent], registry: Sequence[Log]) -> None:
        """Further events of market and registry, in chain order."""
        self.market.extend(market)
        if registry:
            self.registry_logs += registry
            self._book = None

    def tell_charges(self, entries: Sequence[LogEntry]) -> None:
        """Further events of the escrow, in chain order."""
        for entry in entries:
            event = escrow.event_of(entry.log)
            if event is not None:
                self.charges.tell(
                    event.name,
                    event.arguments,
                    timestamp_s=entry.timestamp_s,
                    tx_hash=entry.log.tx_hash,
                )

    @property
    def book(self) -> MeterBook:
        """All meters' terms, as the registry's events tell them."""
        if self._book is None:
            self._book = book_of_logs(self.registry_logs)
        return self._book


class Following:
    """One listener to a community's contracts; may be asked from any thread."""

    def __init__(
        self,
        chain: Callable[[], Chain],
        engine: Engine,
        contracts: Callable[[], Contracts],
        *,
        chain_id: int,
        confirmations: int,
        read_only: bool,
    ) -> None:
        """`chain` and `contracts` are asked when they are needed; read-only keeps no index."""
        self._chain = chain
        self._contracts_of = contracts
        self._confirmations = confirmations
        self._read_only = read_only
        self._index = IndexStore(engine, chain_id=chain_id)
        self._told = Told()
        self._guard = threading.Lock()

    def ask(self, question: Callable[[Told], Answer]) -> Answer:
        """Catches up, and lets a question be answered while nobody tells more."""
        with self._guard:
            self._catch_up()
            return question(self._told)

    def last_told(self) -> MarketHistory:
        """The market as it was told last; asks nobody."""
        return self._told.market

    def seen(self) -> tuple[Block | None, int]:
        """The chain's last block as it was seen last, and the last one told; asks nobody."""
        return self._head_seen, self._told.block_number

    @property
    def _head_seen(self) -> Block | None:
        return self._indexer.head_seen if "_indexer" in self.__dict__ else None

    def _catch_up(self) -> None:
        tip, is_same = self._follow()
        told = self._told if is_same else Told()
        contracts, news = self._contracts, told.block_number + 1
        if tip is not None and tip.number > told.block_number:
            # Read all of it before anything is told: what fails half-way was not told at all.
            market = list(market_events(self._entries(contracts.market, news)))
            registry = [entry.log for entry in self._entries(contracts.registry, news)]
            charges = list(self._entries(contracts.escrow, news) if contracts.has_escrow else ())
            told.tell(market, registry)
            told.tell_charges(charges)
        elif is_same:
            return
        told.block_number, told.block_hash = (tip.number, tip.block_hash) if tip else (-1, b"")
        self._told = told

    def _follow(self) -> tuple[Block | None, bool]:
        """The last block that is deep enough, and whether what was told is still of its chain."""
        if self._read_only:
            return self._chain().head(), True
        tip = self._indexer.catch_up()
        if self._told.block_number < 0:
            return tip, True
        block = self._chain().block(self._told.block_number)
        return tip, block is not None and block.block_hash == self._told.block_hash

    def _entries(self, address: Address, from_block: int) -> Sequence[LogEntry]:
        if self._read_only:  # The index belongs to whoever writes to it.
            first = max(from_block, self._contracts.from_block)
            return read_entries(self._chain(), address, from_block=first)
        return self._index.entries(address, from_block)

    @cached_property
    def _contracts(self) -> Contracts:
        return self._contracts_of()

    @cached_property
    def _indexer(self) -> Indexer:
        contracts = self._contracts
        return Indexer(
            self._chain(),
            self._index,
            contracts.followed,
            start_block=contracts.from_block,
            confirmations=self._confirmations,
        )
