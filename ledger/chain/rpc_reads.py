"""The reading methods of the embedded chain's JSON-RPC endpoint; each takes JSON and gives JSON.

What a parameter says wrongly is a ValueError, TypeError or KeyError here; `rpc_server` names it.
"""

from typing import TYPE_CHECKING, Any, Final

from ledger.chain import jsonrpc
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.errors import UnknownBlock
from ledger.chain.protocol import Log
from ledger.chain.rpc_render import (
    Json,
    block_json,
    data_text,
    log_json,
    quantity_text,
    receipt_json,
    transaction_json,
)
from ledger.units import Address, Hash32

if TYPE_CHECKING:
    from eth.abc import BlockHeaderAPI

BLOCKS_MAX: Final = 10_000  # That one question about events may go through.
LOGS_MAX: Final = 10_000
FEE_BLOCKS_MAX: Final = 1_024
TOPICS_MAX: Final = 4
_AT_HEAD: Final = frozenset({"latest", "pending", "safe", "finalized"})


class ChainReads:
    """Reads of one embedded chain."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain

    def block_number(self) -> str:
        """`eth_blockNumber`."""
        return quantity_text(self._chain.head().number)

    def block_by_number(self, at: object, full: object = False) -> Json | None:  # noqa: FBT002
        """`eth_getBlockByNumber`."""
        return self._block(self._number(at), full)

    def block_by_hash(self, block_hash: object, full: object = False) -> Json | None:  # noqa: FBT002
        """`eth_getBlockByHash`."""
        number = self._number_of_hash(jsonrpc.hash32(block_hash))
        return None if number is None else self._block(number, full)

    def transaction_by_hash(self, tx_hash: object) -> Json | None:
        """`eth_getTransactionByHash`."""
        with self._chain.underneath() as backend:
            place = backend.place_of(jsonrpc.hash32(tx_hash))
            if place is None:
                return None
            header, index = place
            return transaction_json(backend.transactions_of(header)[index], header, index)

    def receipt(self, tx_hash: object) -> Json | None:
        """`eth_getTransactionReceipt`."""
        wanted = jsonrpc.hash32(tx_hash)
        with self._chain.underneath() as backend:
            receipt, place = self._chain.receipt(wanted), backend.place_of(wanted)
            if receipt is None or place is None:
                return None
            header, index = place
            return receipt_json(
                receipt,
                backend.transactions_of(header)[index],
                index=index,
                gas_through=backend.receipts_of(header)[index].gas_used,
            )

    def transaction_count(self, address: object, at: object = "latest") -> str:
        """`eth_getTransactionCount`."""
        return quantity_text(self._state(at).get_nonce(jsonrpc.address(address)))

    def balance(self, address: object, at: object = "latest") -> str:
        """`eth_getBalance`."""
        return quantity_text(self._state(at).get_balance(jsonrpc.address(address)))

    def code(self, address: object, at: object = "latest") -> str:
        """`eth_getCode`."""
        return data_text(self._state(at).get_code(jsonrpc.address(address)))

    def fee_history(self, count: object, newest: object, percentiles: object = None) -> Json:
        """`eth_feeHistory`: gas is free, so all of it is zero but how full blocks were."""
        asked = count if type(count) is int else jsonrpc.quantity(count)
        last = self._number(newest)
        blocks = max(0, min(asked, last + 1, FEE_BLOCKS_MAX))
        history: Json = {
            "oldestBlock": quantity_text(last + 1 - blocks),
            "baseFeePerGas": [quantity_text(0)] * (blocks + 1),
            "gasUsedRatio": [0.0] * blocks,
        }
        if isinstance(percentiles, list):
            history["reward"] = [[quantity_text(0)] * len(percentiles)] * blocks
        return history

    def logs(self, wanted: object) -> list[Json]:
        """`eth_getLogs`."""
        if not isinstance(wanted, dict):
            raise TypeError(wanted)
        addresses, topics = _addresses(wanted.get("address")), _topics(wanted.get("topics"))
        first, last = self._range(wanted)
        found: list[Json] = []
        for number in range(first, last + 1):
            # One block at a time, so that nobody waits for all of them.
            logs = self._chain.block_logs(number, addresses)
            found += [log_json(log) for log in logs if _matches(log, topics)]
            if len(found) > LOGS_MAX:
                raise ValueError(LOGS_MAX)
        return found

    def header_to_run_on(self, at: object) -> "BlockHeaderAPI":
        """Where a call runs: at the head, in the block that would be mined now."""
        if isinstance(at, str) and at in _AT_HEAD:
            return self._chain.next_header()
        return self._header(self._number(at))

    def _state(self, at: object) -> Any:
        header = self._header(self._number(at))
        with self._chain.underneath() as backend:
            return backend.state_of(header)

    def _header(self, number: int) -> "BlockHeaderAPI":
        with self._chain.underneath() as backend:
            header = backend.header_at(number)
        if header is None:
            raise UnknownBlock(block_number=number)
        return header

    def _block(self, number: int, full: object) -> Json | None:
        with self._chain.underneath() as backend:
            header = backend.header_at(number)
            if header is None:
                return None
            transactions = backend.transactions_of(header)
            shown: list[Any] = [data_text(each.hash) for each in transactions]
            if full is True:
                shown = [
                    transaction_json(each, header, index) for index, each in enumerate(transactions)
                ]
            return block_json(header, shown)

    def _range(self, wanted: Json) -> tuple[int, int]:
        if wanted.get("blockHash") is not None:
            number = self._number_of_hash(jsonrpc.hash32(wanted["blockHash"]))
            if number is None:
                raise ValueError(wanted["blockHash"])
            return number, number
        first = self._number(wanted.get("fromBlock") or "latest")
        last = min(self._number(wanted.get("toBlock") or "latest"), self._chain.head().number)
        if last - first >= BLOCKS_MAX:
            raise ValueError(BLOCKS_MAX)
        return first, last

    def _number(self, at: object) -> int:
        """A block's number from a tag, a quantity or what EIP-1898 has."""
        if isinstance(at, dict):
            if "blockHash" in at:
                number = self._number_of_hash(jsonrpc.hash32(at["blockHash"]))
                if number is None:
                    raise ValueError(at)
                return number
            at = at["blockNumber"]
        if isinstance(at, str) and at in _AT_HEAD:
            return self._chain.head().number
        return 0 if at == "earliest" else jsonrpc.quantity(at)

    def _number_of_hash(self, block_hash: Hash32) -> int | None:
        with self._chain.underneath() as backend:
            return backend.number_of(block_hash)


def _addresses(value: object) -> frozenset[Address] | None:
    """Whose events are wanted; None: everybody's."""
    if value is None:
        return None
    listed = value if isinstance(value, list) else [value]
    return frozenset(jsonrpc.address(each) for each in listed) or None


def _topics(value: object) -> list[frozenset[Hash32] | None]:
    """What each topic may be; None: anything."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > TOPICS_MAX:
        raise ValueError(value)
    return [_any_of(each) for each in value]


def _any_of(value: object) -> frozenset[Hash32] | None:
    if value is None:
        return None
    listed = value if isinstance(value, list) else [value]
    return frozenset(jsonrpc.hash32(each) for each in listed) or None


def _matches(log: Log, topics: list[frozenset[Hash32] | None]) -> bool:
    return len(log.topics) >= len(topics) and all(
        wanted is None or topic in wanted for topic, wanted in zip(log.topics, topics, strict=False)
    )
