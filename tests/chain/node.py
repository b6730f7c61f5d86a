"""A running anvil with its cheats: blocks on demand, forgetting, reorgs."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from ledger.chain.jsonrpc import Endpoint
from ledger.chain.protocol import Fees, Receipt
from ledger.chain.rpc import RpcChain
from ledger.units import Address, Hash32
from tests.chain.anvil import CHAIN_ID, RICH, anvil, url_of
from tests.chain.tally import GAS, TALLY_CODE, word
from tests.ports import free_port

WAIT_S = 10


@dataclass
class Node:
    """What the tests do to a node behind the outbox's and the indexer's back."""

    chain: RpcChain
    endpoint: Endpoint

    def ask(self, method: str, *params: object) -> Any:
        return self.endpoint.write(method, params, lambda answer: answer)

    def mine(self, blocks: int = 1) -> None:
        self.ask("anvil_mine", hex(blocks))

    def mine_by_hand(self) -> None:
        self.ask("evm_setAutomine", False)

    def forget(self, tx_hash: Hash32) -> None:
        self.ask("anvil_dropTransaction", "0x" + tx_hash.hex())

    def reorg(self, depth: int) -> None:
        """Replaces the last blocks by empty ones."""
        self.ask("anvil_reorg", depth, [])

    def snapshot(self) -> str:
        return str(self.ask("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        assert self.ask("evm_revert", snapshot)

    def send(self, to: Address | None, data: bytes) -> Hash32:
        """Sends as the rich account, past the outbox."""
        signed = RICH.sign_transaction(
            chain_id=CHAIN_ID,
            nonce=self.chain.nonce(RICH.address),
            to=to,
            data=data,
            gas=GAS,
            fees=Fees(max_fee_wei=10**11, priority_fee_wei=10**9),
        )
        return self.chain.send_raw(signed.raw)

    def receipt(self, tx_hash: Hash32) -> Receipt:
        """Waits for a receipt, which a node may show a moment after it took the transaction."""
        ends_at = time.monotonic() + WAIT_S
        while (receipt := self.chain.receipt(tx_hash)) is None:
            assert time.monotonic() < ends_at, "not mined"
            time.sleep(0.02)
        return receipt

    def deploy(self) -> Address:
        address = self.receipt(self.send(None, TALLY_CODE)).contract_address
        assert address is not None
        return address

    def count(self, contract: Address, number: int) -> None:
        """Adds one to a word's tally, in a block of its own."""
        self.receipt(self.send(contract, word(number)))


@contextmanager
def running_node() -> Iterator[Node]:
    port = free_port()
    with (
        anvil(port),
        closing(RpcChain.connect(url_of(port), expected_chain_id=CHAIN_ID)) as chain,
        closing(Endpoint(url_of(port), 20.0)) as endpoint,
    ):
        yield Node(chain=chain, endpoint=endpoint)
