"""A small contract to test chain access with (`Probe.sol`), and somebody to call it.

`Probe.json` is `Probe.sol` compiled as our own contracts are; recompile it by hand on a change.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.chain.abi import selector_of
from ledger.chain.codec import record_of
from ledger.chain.protocol import Chain, Receipt
from ledger.chain.wallet import SignedTransaction, Wallet
from ledger.units import Address, Hash32

_ARTIFACT = json.loads(Path(__file__).with_name("Probe.json").read_text(encoding="utf-8"))
_FUNCTIONS = {entry["name"]: entry for entry in _ARTIFACT["abi"] if entry["type"] == "function"}
CODE = bytes.fromhex(_ARTIFACT["bytecode"][2:])
GAS = 500_000
NOWHERE = Address(bytes(20))


def probe_call(function: str, *arguments: Any) -> bytes:
    entry = _FUNCTIONS[function]
    return selector_of(entry) + record_of(entry["inputs"]).encode(arguments)


def probe_result(function: str, data: bytes) -> list[Any]:
    return list(record_of(_FUNCTIONS[function]["outputs"]).decode(data, 0).values())


@dataclass
class Caller:
    """A wallet on a chain, with a probe of its own once it has deployed one."""

    chain: Chain
    wallet: Wallet = field(default_factory=lambda: Wallet(b"\x01" * 32))
    probe: Address = NOWHERE

    def sign(
        self, to: Address | None, data: bytes, *, gas: int = GAS, nonce: int | None = None
    ) -> SignedTransaction:
        return self.wallet.sign_transaction(
            chain_id=self.chain.chain_id,
            nonce=self.chain.nonce(self.wallet.address) if nonce is None else nonce,
            to=to,
            data=data,
            gas=gas,
            fees=self.chain.fees(),
        )

    def send(self, to: Address | None, data: bytes, *, gas: int = GAS) -> Receipt:
        return self.mined(self.chain.send_raw(self.sign(to, data, gas=gas).raw))

    def mined(self, tx_hash: Hash32) -> Receipt:
        """Waits for the receipt: a node mines a moment after it has answered."""
        for _ in range(200):
            receipt = self.chain.receipt(tx_hash)
            if receipt is not None:
                return receipt
            time.sleep(0.02)
        raise AssertionError("it is not mined")

    def deploy(self) -> Receipt:
        receipt = self.send(None, CODE, gas=1_000_000)
        assert receipt.contract_address is not None
        self.probe = receipt.contract_address
        return receipt

    def store(self, slot: int, value: int) -> Receipt:
        return self.send(self.probe, probe_call("store", slot, value))

    def value(self, slot: int, *, block: int | None = None) -> int:
        output = self.chain.call(self.probe, probe_call("values", slot), block=block)
        return int(probe_result("values", output)[0])

    def clock(self, *, block: int | None = None) -> tuple[int, int]:
        output = self.chain.call(self.probe, probe_call("clock"), block=block)
        timestamp_s, number = probe_result("clock", output)
        return timestamp_s, number
