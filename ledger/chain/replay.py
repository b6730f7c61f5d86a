"""A market's and a registry's events with what their calldata adds, from logs to plain values."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ledger.chain import market_calls
from ledger.chain.errors import BadAbiValue, ChainUnavailable, UnknownAbiName
from ledger.chain.protocol import Chain, Log
from ledger.history import MarketEvent, MarketHistory
from ledger.units import Address, Hash32

_WITH_CALLDATA = frozenset({"Proposed"})


class LogEntry(Protocol):
    """A log with its block's time, and its transaction's input where events need it."""

    @property
    def log(self) -> Log: ...

    @property
    def timestamp_s(self) -> int: ...

    @property
    def tx_input(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEntry:
    """A log that was read from a chain just now."""

    log: Log
    timestamp_s: int
    tx_input: bytes | None


def market_events(entries: Iterable[LogEntry]) -> Iterator[MarketEvent]:
    """Decodes a market's logs, in their order."""
    for entry in entries:
        event = market_calls.event_of(entry.log)
        if event is None:
            continue
        deltas, prices = _words_of(event.name, entry.tx_input)
        yield MarketEvent(
            name=event.name,
            args=event.arguments,
            timestamp_s=entry.timestamp_s,
            block_number=entry.log.block_number,
            tx_hash=entry.log.tx_hash,
            deltas=deltas,
            prices=prices,
        )


def read_entries(
    chain: Chain, address: Address, *, from_block: int = 0, to_block: int | None = None
) -> list[ReadEntry]:
    """Reads a contract's logs from a chain, with times and the calldata of settlements."""
    last = chain.head().number if to_block is None else to_block
    times_s: dict[int, int] = {}
    inputs: dict[Hash32, bytes] = {}
    entries = []
    for log in chain.logs([address], from_block=from_block, to_block=last):
        number = log.block_number
        if number not in times_s:
            block = chain.block(number)
            if block is None:
                raise ChainUnavailable(rule=f"the chain does not show its block {number}")
            times_s[number] = block.timestamp_s
        event = market_calls.event_of(log)
        if event is not None and event.name in _WITH_CALLDATA and log.tx_hash not in inputs:
            transaction = chain.transaction(log.tx_hash)
            inputs[log.tx_hash] = transaction.data if transaction else b""
        entries.append(
            ReadEntry(log=log, timestamp_s=times_s[number], tx_input=inputs.get(log.tx_hash))
        )
    return entries


def read_history(chain: Chain, market: Address, *, from_block: int = 0) -> MarketHistory:
    """A market's history, from the chain alone."""
    history = MarketHistory()
    history.extend(market_events(read_entries(chain, market, from_block=from_block)))
    return history


def _words_of(event_name: str, tx_input: bytes | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Delta and price words of a proposal; none if a contract of the operator wraps the call."""
    if event_name not in _WITH_CALLDATA or not tx_input:
        return (), ()
    try:
        call = market_calls.parse_settlement_input(tx_input)
    except (UnknownAbiName, BadAbiValue):
        return (), ()
    return tuple(call.deltas), tuple(call.prices or ())
