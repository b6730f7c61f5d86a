"""A market's and a registry's events with what their calldata adds, from logs to plain values."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ledger.chain.abi import decode_call, decode_event
from ledger.chain.errors import BadAbiValue, ChainUnavailable, UnknownAbiName
from ledger.chain.protocol import Chain, Log
from ledger.history import MarketEvent, MarketHistory
from ledger.units import Address, Hash32

MARKET = "EnergyMarket"
REGISTRY = "MeterRegistry"
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
        event = decode_event(MARKET, entry.log)
        if event is None:
            continue
        call = _call_of(event.name, entry.tx_input)
        yield MarketEvent(
            name=event.name,
            args=event.arguments,
            timestamp_s=entry.timestamp_s,
            block_number=entry.log.block_number,
            tx_hash=entry.log.tx_hash,
            deltas=tuple(call.get("deltas", ())),
            prices=tuple(call.get("prices", ())),
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
        event = decode_event(MARKET, log)
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


def _call_of(event_name: str, tx_input: bytes | None) -> dict[str, Any]:
    """Arguments of `propose` or `settle`; none if the operator is a contract that wraps the call."""
    if event_name not in _WITH_CALLDATA or not tx_input:
        return {}
    try:
        return decode_call(MARKET, tx_input)[1]
    except (UnknownAbiName, BadAbiValue):
        return {}
