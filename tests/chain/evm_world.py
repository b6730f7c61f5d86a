"""An in-process EVM for contract tests: Prague's rules, and a clock that tests set."""

import json
from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.backends.pyevm.main import get_default_genesis_params
from eth_tester.exceptions import TransactionFailed
from web3 import EthereumTesterProvider, Web3
from web3.contract import Contract

import contracts

GAS = 25_000_000
TEST_ARTIFACTS = Path(__file__).parent / "artifacts"
PANIC_SELECTOR = "0x4e487b71"


class Reverted(Exception):
    """A transaction failed: with the name and arguments of its custom error."""

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        super().__init__(name, args)
        self.name, self.facts = name, args


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a transaction did."""

    gas_used: int
    events: list[tuple[str, dict[str, Any]]]  # Of all our contracts, in order.


class World:
    """A chain, people with keys, and the contracts that tests deploy."""

    def __init__(self, start_at: int) -> None:
        genesis = get_default_genesis_params({"gas_limit": 30_000_000, "timestamp": start_at - 100})
        self.tester = EthereumTester(PyEVMBackend(genesis_parameters=genesis))
        self.tester.disable_auto_mine_transactions()
        self.web3 = Web3(EthereumTesterProvider(self.tester))
        self.rich = self.tester.get_accounts()[0]
        self.known: dict[str, Contract] = {}
        self.at(start_at)

    def person(self, seed: int) -> LocalAccount:
        """Somebody with a key, and enough ether for gas."""
        account: LocalAccount = Account.from_key(seed.to_bytes(32))
        if account.address not in self.tester.get_accounts():
            self.tester.add_account(account.key.hex())
        if self.tester.get_balance(account.address) == 0:
            self.tester.send_transaction(
                {"from": self.rich, "to": account.address, "value": 10**20, "gas": 21_000}
            )
            self.tester.mine_block()
        return account

    @property
    def now(self) -> int:
        """Timestamp of the latest block."""
        return int(self.tester.get_block_by_number("latest")["timestamp"])

    def at(self, timestamp: int) -> None:
        """The next transaction happens at this time."""
        self.tester.time_travel(timestamp)

    def later(self, seconds: int) -> None:
        """The next transaction happens so much after the latest block."""
        self.at(self.now + seconds)

    def deploy(self, name: str, *arguments: Any, sender: str | None = None) -> Contract:
        """Deploys one of our contracts, or one that only tests have."""
        abi, bytecode = artifact(name)
        data = bytecode + encoded(item_of(abi, "constructor"), arguments)
        receipt = self._mine({"data": data, "from": sender or self.rich}, abi)
        contract = self.web3.eth.contract(address=receipt["contract_address"], abi=abi)
        self.known[contract.address] = contract
        return contract

    def send(
        self,
        contract: Contract,
        name: str,
        *arguments: Any,
        sender: str,
        slots: Sequence[int] = (),
        gas: int = GAS,
    ) -> Done:
        """Mines one transaction; raises `Reverted` if it fails.

        `slots` of the contract's storage go into an access list (EIP-2930).
        """
        data = calldata(contract.abi, name, arguments)
        transaction = {"from": sender, "to": contract.address, "data": data, "gas": gas}
        if slots:
            keys = [f"0x{slot:064x}" for slot in slots]
            transaction["access_list"] = [{"address": contract.address, "storage_keys": keys}]
        receipt = self._mine(transaction, contract.abi)
        return Done(gas_used=receipt["gas_used"], events=list(self._events(receipt)))

    def send_data(self, contract: Contract, data: bytes, *, sender: str) -> Done:
        """Mines one transaction with calldata as it is given."""
        receipt = self._mine({"from": sender, "to": contract.address, "data": data}, contract.abi)
        return Done(gas_used=receipt["gas_used"], events=list(self._events(receipt)))

    def call(
        self, contract: Contract, name: str, *arguments: Any, sender: str | None = None
    ) -> Any:
        """Runs a view; raises `Reverted` if it fails. One value as itself, several as a tuple."""
        data = calldata(contract.abi, name, arguments)
        raw = self._call(
            {"from": sender or self.rich, "to": contract.address, "data": "0x" + data.hex()},
            contract.abi,
        )
        types = [_type(output) for output in item_of(contract.abi, "function", name)["outputs"]]
        values = _plain(self.web3.codec.decode(types, bytes.fromhex(raw.removeprefix("0x"))))
        return values[0] if len(values) == 1 else values

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Whatever happens inside has not happened afterwards."""
        snapshot, known = self.tester.take_snapshot(), dict(self.known)
        try:
            yield
        finally:
            self.tester.revert_to_snapshot(snapshot)
            self.known = known

    def _mine(self, transaction: dict[str, Any], abi: Any) -> Any:
        full = {"gas": GAS} | transaction
        full |= {
            "data": "0x" + transaction["data"].hex(),
            "max_fee_per_gas": 10**10,
            "max_priority_fee_per_gas": 1,
        }
        before = self.tester.take_snapshot()
        transaction_hash = self.tester.send_transaction(full)
        self.tester.mine_block()
        receipt = self.tester.get_transaction_receipt(transaction_hash)
        if receipt["status"] != 1:
            # Run it again as a call, to learn why; then it has not happened at all.
            at = self.now
            try:
                asked = ("from", "to", "data", "gas")
                self._call({key: full[key] for key in asked if key in full}, abi)
            finally:
                self.tester.revert_to_snapshot(before)
                self.at(at)
            raise AssertionError("a transaction failed, the same call did not")
        return receipt

    def _call(self, call: dict[str, Any], abi: Any) -> str:
        try:
            return str(self.tester.call({"gas": GAS} | call))
        except TransactionFailed as failure:
            errors = [*abi, *(item for known in self.known.values() for item in known.abi)]
            raise _decoded(failure, errors) from failure

    def _events(self, receipt: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        for log in self.web3.eth.get_transaction_receipt(receipt["transaction_hash"])["logs"]:
            contract = self.known.get(log["address"])
            if contract is None:
                continue
            for event in contract.events:
                abi = event.abi
                signature = f"{abi['name']}({','.join(_type(i) for i in abi['inputs'])})"
                if Web3.keccak(text=signature) == log["topics"][0]:
                    yield abi["name"], dict(event().process_log(log)["args"])


def item_of(abi: Any, kind: str, name: str | None = None) -> Any:
    """One entry of an ABI; a contract without a constructor has an empty one."""
    for item in abi:
        if item["type"] == kind and item.get("name") == name:
            return item
    if kind == "constructor":
        return {"inputs": []}
    raise LookupError(name)


def calldata(abi: Any, name: str, arguments: Sequence[Any]) -> bytes:
    """Selector and arguments; structs may be given as mappings."""
    item = item_of(abi, "function", name)
    signature = f"{name}({','.join(_type(i) for i in item['inputs'])})"
    return bytes(Web3.keccak(text=signature)[:4]) + encoded(item, arguments)


def encoded(item: Any, arguments: Sequence[Any]) -> bytes:
    """Arguments as the ABI lays them out."""
    types = [_type(i) for i in item["inputs"]]
    values = [_tuples(i, v) for i, v in zip(item["inputs"], arguments, strict=True)]
    return bytes(Web3().codec.encode(types, values))


def _tuples(item: Any, value: Any) -> Any:
    """Mappings turned into tuples, in the order of their type's fields."""
    if item["type"] == "tuple[]":
        return [_tuples(item | {"type": "tuple"}, one) for one in value]
    if item["type"] == "tuple" and isinstance(value, Mapping):
        return tuple(_tuples(part, value[part["name"]]) for part in item["components"])
    return value


def artifact(name: str) -> tuple[Any, bytes]:
    """ABI and creation code, of the package or of the tests."""
    path = TEST_ARTIFACTS / f"{name}.json"
    if path.exists():
        document = json.loads(path.read_text())
        return document["abi"], bytes.fromhex(document["bytecode"].removeprefix("0x"))
    loaded = contracts.load(name)
    return loaded.abi, loaded.bytecode


@contextmanager
def reverts(name: str, *facts: Any) -> Iterator[None]:
    """Passes if the block fails with this custom error, and with these facts if any are given."""
    with pytest.raises(Reverted) as caught:
        yield
    assert caught.value.name == name, caught.value
    if facts:
        assert caught.value.facts == facts


def _decoded(failure: Exception, abi: Any) -> Reverted:
    message = str(failure.args[0])
    if not message.startswith(("0x", "b'", 'b"')):
        return Reverted(message, ())
    raw = bytes.fromhex(message[2:]) if message.startswith("0x") else bytes(literal_eval(message))
    for item in abi:
        if item["type"] != "error":
            continue
        types = [_type(i) for i in item["inputs"]]
        if Web3.keccak(text=f"{item['name']}({','.join(types)})")[:4] == raw[:4]:
            return Reverted(item["name"], _plain(Web3().codec.decode(types, raw[4:])))
    if raw[:4].hex() == PANIC_SELECTOR[2:]:
        return Reverted("Panic", (int.from_bytes(raw[4:]),))
    return Reverted("0x" + raw.hex(), ())


def _plain(value: Any) -> Any:
    """Addresses as checksum strings, like everywhere else."""
    if isinstance(value, tuple | list):
        return tuple(_plain(one) for one in value)
    if isinstance(value, str) and value.startswith("0x"):
        return Web3.to_checksum_address(value)
    return value


def _type(item: Any) -> str:
    if not item["type"].startswith("tuple"):
        return str(item["type"])
    inner = ",".join(_type(component) for component in item["components"])
    return f"({inner}){item['type'].removeprefix('tuple')}"
