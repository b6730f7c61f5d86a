"""A tiny contract that counts how often each word was sent to it, and a real chain that misbehaves.

The contract is not idempotent on purpose: whatever is executed twice shows.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from ledger.chain.errors import ChainUnavailable
from ledger.chain.protocol import Block, Chain, Fees, Log, Receipt, Transaction
from ledger.units import Address, Hash32

# word = calldata[0:32]; if word == 0: revert; storage[word] += 1; log1(topic = word).
_RUNTIME = bytes.fromhex("5f3580600957" + "5f5ffd" + "5b" + "805460010181555f5fa100")
# return the runtime.
TALLY_CODE = bytes.fromhex(f"60{len(_RUNTIME):02x}8060095f395ff3") + _RUNTIME
# revert at once.
BROKEN_CODE = bytes.fromhex("5f5ffd")
GAS = 200_000

T = TypeVar("T")


def word(number: int) -> bytes:
    return number.to_bytes(32)


def tally(chain: Chain, contract: Address) -> Counter[int]:
    """How often each word was executed, as the chain tells."""
    logs = chain.logs([contract], from_block=0, to_block=chain.head().number)
    return Counter(int.from_bytes(log.topics[0]) for log in logs)


class Killed(BaseException):
    """The process dies here."""


class Fault(StrEnum):
    NONE = "none"
    DOWN_BEFORE = "down_before"  # The question does not arrive.
    DOWN_AFTER = "down_after"  # It arrives and works; the answer is lost.
    KILL_BEFORE = "kill_before"
    KILL_AFTER = "kill_after"


@dataclass
class FlakyChain:
    """A real chain inside; some questions or answers get lost, or we die beside them."""

    inner: Chain
    faults: Iterator[Fault] = field(default_factory=lambda: iter(()))
    calls: Counter[str] = field(default_factory=Counter)
    hidden: set[Hash32] = field(default_factory=set)  # Sent, acknowledged and thrown away.
    swallow: bool = False

    def _do(self, name: str, question: Callable[[], T]) -> T:
        self.calls[name] += 1
        fault = next(self.faults, Fault.NONE)
        if fault is Fault.DOWN_BEFORE:
            raise ChainUnavailable(rule="test: not delivered")
        if fault is Fault.KILL_BEFORE:
            raise Killed
        answer = question()
        if fault is Fault.DOWN_AFTER:
            raise ChainUnavailable(rule="test: the answer is lost")
        if fault is Fault.KILL_AFTER:
            raise Killed
        return answer

    @property
    def chain_id(self) -> int:
        return self.inner.chain_id

    def head(self) -> Block:
        return self._do("head", self.inner.head)

    def block(self, number: int) -> Block | None:
        return self._do("block", lambda: self.inner.block(number))

    def call(
        self, to: Address, data: bytes, *, sender: Address | None = None, block: int | None = None
    ) -> bytes:
        return self._do("call", lambda: self.inner.call(to, data, sender=sender, block=block))

    def send_raw(self, raw: bytes) -> Hash32:
        if self.swallow:
            return Hash32(bytes(32))
        return self._do("send_raw", lambda: self.inner.send_raw(raw))

    def transaction(self, tx_hash: Hash32) -> Transaction | None:
        return self._do("transaction", lambda: self.inner.transaction(tx_hash))

    def receipt(self, tx_hash: Hash32) -> Receipt | None:
        return self._do("receipt", lambda: self.inner.receipt(tx_hash))

    def logs(self, addresses: Sequence[Address], *, from_block: int, to_block: int) -> list[Log]:
        return self._do(
            "logs", lambda: self.inner.logs(addresses, from_block=from_block, to_block=to_block)
        )

    def nonce(self, address: Address) -> int:
        return self._do("nonce", lambda: self.inner.nonce(address))

    def code(self, address: Address) -> bytes:
        return self._do("code", lambda: self.inner.code(address))

    def fees(self) -> Fees:
        return self._do("fees", self.inner.fees)

    def estimate_gas(self, *, sender: Address, to: Address | None, data: bytes) -> int:
        return self._do(
            "estimate_gas", lambda: self.inner.estimate_gas(sender=sender, to=to, data=data)
        )
