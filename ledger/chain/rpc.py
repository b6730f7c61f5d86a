"""Any EVM chain behind a JSON-RPC URL: anvil on a workstation; Besu, Geth or an L2 in production.

JSON-RPC tells failures apart by words alone, and every node has its own. They are read in this
module and nowhere else; words that it does not know mean that the chain is unavailable, which can
be tried again, and never that a transaction failed.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Self, TypeVar

from ledger.chain.errors import (
    ChainUnavailable,
    ContractReverted,
    Refusal,
    TransactionRefused,
    UnknownBlock,
    WrongChain,
)
from ledger.chain.jsonrpc import Endpoint, RpcError, address, hash32, octets, quantity, unavailable
from ledger.chain.protocol import Block, Fees, Log, Receipt, Transaction
from ledger.chain.revert import Halt, reverted
from ledger.keccak import keccak256
from ledger.units import Address, Hash32

T = TypeVar("T")
TIMEOUT_S: Final = 20.0
LOG_BLOCKS_MAX: Final = 2_000  # Asked for at once; fewer when the node finds that too many.
LOG_BLOCKS_SHRINK: Final = 8
GAS_MARGIN: Final = 120  # Per cent of what the node estimates.


def _words(alternatives: str) -> re.Pattern[str]:
    return re.compile(alternatives, re.IGNORECASE)


_KNOWN = _words("already known|already imported|known transaction|already exists")
_REFUSALS: Final = (
    (Refusal.NONCE_TOO_LOW, _words("nonce too low|old nonce|nonce.* below")),
    (Refusal.NONCE_TOO_HIGH, _words("nonce too high|nonce.* gap|nonce.*too distant")),
    (Refusal.WRONG_CHAIN, _words("chain.?id|replay.protect")),
    (Refusal.FUNDS_MISSING, _words("insufficient funds|upfront.cost")),
    (Refusal.UNDERPRICED, _words("underpriced|base fee|gas price|fee cap|fee too low")),
    (Refusal.GAS_OUT_OF_RANGE, _words("intrinsic|gas.?limit|block gas|gas too|floor data")),
    (
        Refusal.BAD_TRANSACTION,
        _words("decode|rlp|invalid sender|signature|type not supported|oversized"),
    ),
)
_UNKNOWN_BLOCK = _words("out.?of.?range|header not found|unknown block|block not found")
_HALTS: Final = (
    (Halt.NO_REASON, _words("revert")),
    (Halt.OUT_OF_GAS, _words("out.?of.?gas|OOG")),
    (Halt.INVALID, _words("evm error|invalid opcode|invalid jump|stack ")),
)


class RpcChain:
    """A chain behind a URL. Close it when done."""

    def __init__(self, endpoint: Endpoint, chain_id: int) -> None:
        self._endpoint = endpoint
        self._chain_id = chain_id

    @classmethod
    def connect(
        cls, url: str, *, expected_chain_id: int | None = None, timeout_s: float = TIMEOUT_S
    ) -> Self:
        """Asks the endpoint for its chain id and holds it to that from then on.

        Raises:
            ChainUnavailable: nobody answers sensibly.
            WrongChain: it is not the expected one.
        """
        endpoint = Endpoint(url, timeout_s)
        try:
            chain = cls(endpoint, expected_chain_id or _ask_chain_id(endpoint))
            chain.require_chain_id()
        except BaseException:
            endpoint.close()
            raise
        return chain

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._endpoint.close()

    @property
    def chain_id(self) -> int:
        """The id that the endpoint was connected with."""
        return self._chain_id

    def head(self) -> Block:
        """The last block.

        Raises:
            WrongChain: another chain answers at this URL now.
        """
        # Whoever follows a chain asks this first: here a node that was replaced is found out.
        self.require_chain_id()
        return self._read("eth_getBlockByNumber", ("latest", False), _block)

    def block(self, number: int) -> Block | None:
        """A block by number."""
        return self._read("eth_getBlockByNumber", (hex(number), False), _if_any(_block))

    def call(
        self, to: Address, data: bytes, *, sender: Address | None = None, block: int | None = None
    ) -> bytes:
        """Runs a read-only call.

        Raises:
            ContractReverted: with the contract's reason.
            UnknownBlock: there is no such block.
        """
        request = _request(sender, to, data)
        at = "latest" if block is None else hex(block)
        try:
            return self._endpoint.read("eth_call", (request, at), octets)
        except RpcError as error:
            if block is not None and error.data is None and _UNKNOWN_BLOCK.search(error.message):
                raise UnknownBlock(block_number=block) from error
            raise _execution_failure(error) from error

    def estimate_gas(self, *, sender: Address, to: Address | None, data: bytes) -> int:
        """Gas that surely suffices now."""
        try:
            request = _request(sender, to, data)
            gas = self._endpoint.read("eth_estimateGas", (request,), quantity)
        except RpcError as error:
            raise _execution_failure(error) from error
        return gas * GAS_MARGIN // 100

    def send_raw(self, raw: bytes) -> Hash32:
        """Hands a signed transaction over, once: whoever calls decides whether to try again.

        Raises:
            TransactionRefused: the node will not take it.
            ChainUnavailable: it may or may not have arrived.
        """
        tx_hash = keccak256(raw)
        try:
            found = self._endpoint.write("eth_sendRawTransaction", ("0x" + raw.hex(),), hash32)
        except RpcError as error:
            if _KNOWN.search(error.message) or self.transaction(tx_hash) is not None:
                return tx_hash
            raise _refusal(error) from error
        if found != tx_hash:
            raise unavailable("eth_sendRawTransaction", "the hash is another transaction's")
        return tx_hash

    def transaction(self, tx_hash: Hash32) -> Transaction | None:
        """A transaction that the node knows."""
        return self._read("eth_getTransactionByHash", (_hex(tx_hash),), _if_any(_transaction))

    def receipt(self, tx_hash: Hash32) -> Receipt | None:
        """What became of a mined transaction."""
        return self._read("eth_getTransactionReceipt", (_hex(tx_hash),), _if_any(_receipt))

    def logs(self, addresses: Sequence[Address], *, from_block: int, to_block: int) -> list[Log]:
        """All events of these contracts in a closed range of blocks, in chain order."""
        last = min(to_block, self._read("eth_blockNumber", (), quantity))
        found: list[Log] = []
        start, step = max(from_block, 0), LOG_BLOCKS_MAX
        while addresses and start <= last:
            end = min(start + step - 1, last)
            try:
                found += self._logs(addresses, start, end)
            except (RpcError, ChainUnavailable) as error:
                if start == end:
                    raise unavailable("eth_getLogs", str(error)) from error
                # Too many blocks, or too many events, or too slow: nodes differ, so ask for less.
                step = max((end - start + 1) // LOG_BLOCKS_SHRINK, 1)
            else:
                start = end + 1
        return sorted(found, key=lambda log: (log.block_number, log.log_index))

    def _logs(self, addresses: Sequence[Address], start: int, end: int) -> list[Log]:
        wanted = {
            "address": [_hex(contract) for contract in addresses],
            "fromBlock": hex(start),
            "toBlock": hex(end),
        }
        # A wide range is not asked for twice: the narrower ones after it are its second try.
        ask = self._endpoint.read if start == end else self._endpoint.write
        return ask("eth_getLogs", (wanted,), _logs)

    def nonce(self, address: Address) -> int:
        """Number of mined transactions of an address."""
        return self._read("eth_getTransactionCount", (_hex(address), "latest"), quantity)

    def code(self, address: Address) -> bytes:
        """A contract's code; empty where there is none."""
        return self._read("eth_getCode", (_hex(address), "latest"), octets)

    def balance_wei(self, address: Address) -> int:
        """What an address has to pay gas with."""
        return self._read("eth_getBalance", (_hex(address), "latest"), quantity)

    def fees(self) -> Fees:
        """Fees that are enough while the base fee at most doubles."""
        base_fee = self._read("eth_getBlockByNumber", ("latest", False), _base_fee_wei)
        if base_fee is None:
            price = self._read("eth_gasPrice", (), quantity)
            return Fees(max_fee_wei=price, priority_fee_wei=price)
        tip = self._read("eth_maxPriorityFeePerGas", (), quantity)
        return Fees(max_fee_wei=2 * base_fee + tip, priority_fee_wei=tip)

    def require_chain_id(self) -> None:
        """Asks whether it is still the same chain that answers.

        Raises:
            WrongChain: it is not.
        """
        found = _ask_chain_id(self._endpoint)
        if found != self._chain_id:
            raise WrongChain(chain_id=found, chain_id_expected=self._chain_id)

    def _read(self, method: str, params: Sequence[object], parse: Callable[[Any], T]) -> T:
        return _read(self._endpoint, method, params, parse)


def _read(
    endpoint: Endpoint, method: str, params: Sequence[object], parse: Callable[[Any], T]
) -> T:
    try:
        return endpoint.read(method, params, parse)
    except RpcError as error:
        raise unavailable(method, error.message) from error


def _ask_chain_id(endpoint: Endpoint) -> int:
    return _read(endpoint, "eth_chainId", (), quantity)


def _execution_failure(error: RpcError) -> ContractReverted | ChainUnavailable:
    if error.data:
        return reverted(error.data)
    for halt, words in _HALTS:
        if words.search(error.message):
            return reverted(b"", halt)
    return unavailable(error.method, error.message)


def _refusal(error: RpcError) -> TransactionRefused | ChainUnavailable:
    for reason, words in _REFUSALS:
        if words.search(error.message):
            return TransactionRefused(reason=reason, rule=error.message)
    return unavailable(error.method, error.message)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _request(sender: Address | None, to: Address | None, data: bytes) -> dict[str, str]:
    request = {"data": _hex(data)}
    if sender is not None:
        request["from"] = _hex(sender)
    if to is not None:
        request["to"] = _hex(to)
    return request


def _if_any(parse: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None else parse(value)


def _block(value: Any) -> Block:
    return Block(
        number=quantity(value["number"]),
        block_hash=hash32(value["hash"]),
        parent_hash=hash32(value["parentHash"]),
        timestamp_s=quantity(value["timestamp"]),
    )


def _base_fee_wei(value: Any) -> int | None:
    base_fee = value.get("baseFeePerGas")
    return None if base_fee is None else quantity(base_fee)


def _transaction(value: Any) -> Transaction:
    return Transaction(
        tx_hash=hash32(value["hash"]),
        sender=address(value["from"]),
        to=_if_any(address)(value["to"]),
        nonce=quantity(value["nonce"]),
        data=octets(value["input"]),
        block_number=_if_any(quantity)(value["blockNumber"]),
    )


def _receipt(value: Any) -> Receipt:
    return Receipt(
        tx_hash=hash32(value["transactionHash"]),
        block_number=quantity(value["blockNumber"]),
        block_hash=hash32(value["blockHash"]),
        succeeded=quantity(value["status"]) == 1,
        gas_used=quantity(value["gasUsed"]),
        contract_address=_if_any(address)(value.get("contractAddress")),
        logs=tuple(_logs(value["logs"])),
    )


def _logs(values: Any) -> list[Log]:
    return [
        Log(
            address=address(value["address"]),
            topics=tuple(hash32(topic) for topic in value["topics"]),
            data=octets(value["data"]),
            block_number=quantity(value["blockNumber"]),
            block_hash=hash32(value["blockHash"]),
            tx_hash=hash32(value["transactionHash"]),
            tx_index=quantity(value["transactionIndex"]),
            log_index=quantity(value["logIndex"]),
        )
        for value in values
        if not value.get("removed", False)
    ]
