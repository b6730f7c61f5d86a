"""Our contracts' functions, events and errors, read from the artifacts when first used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import contracts
from ledger.chain.codec import AbiType, Record, record_of
from ledger.chain.errors import UnknownAbiName
from ledger.chain.protocol import Log
from ledger.keccak import keccak256
from ledger.units import Address, Hash32

CONTRACTS = ("ChargingEscrow", "EnergyMarket", "MeterRegistry", "SettlementToken")
SELECTOR_BYTES = 4
_PANIC = {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]}
_ERROR = {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function: its selector, and the types of what goes in and comes out."""

    name: str
    selector: bytes
    inputs: Record
    outputs: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorType:
    """One custom error."""

    name: str
    inputs: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One event: indexed values are in the topics, the others in the data."""

    name: str
    names: tuple[str, ...]  # In the order of their declaration.
    indexed: tuple[tuple[str, AbiType], ...]
    rest: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A decoded event, with the log that it was read from."""

    name: str
    arguments: Mapping[str, Any]  # Named as in the ABI.
    log: Log


def encode_call(contract: str, function: str, arguments: Sequence[Any] = ()) -> bytes:
    """Calldata of a function call.

    Raises:
        UnknownAbiName: the contract has no such function.
        BadAbiValue: a value does not fit its type.
    """
    found = function_of(contract, function)
    return found.selector + found.inputs.encode(arguments)


def decode_call(contract: str, data: bytes) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a call, from its calldata.

    Raises:
        UnknownAbiName: the contract has no such function.
        BadAbiValue: the calldata is not of its types.
    """
    function = _functions_by_selector(contract).get(data[:SELECTOR_BYTES])
    if function is None:
        raise UnknownAbiName(contract=contract, name="0x" + data[:SELECTOR_BYTES].hex())
    return function.name, function.inputs.decode(data[SELECTOR_BYTES:], 0)


def decode_result(contract: str, function: str, data: bytes) -> Any:
    """What a call returned: the value, or a tuple if there are several."""
    values = tuple(function_of(contract, function).outputs.decode(data, 0).values())
    return values[0] if len(values) == 1 else values


def decode_event(contract: str, log: Log) -> Event | None:
    """The event of a log; None if this contract has no such event."""
    event = _events_by_topic(contract).get(log.topics[0]) if log.topics else None
    if event is None or len(event.indexed) != len(log.topics) - 1:
        return None
    values = event.rest.decode(log.data, 0)
    for (name, abi_type), topic in zip(event.indexed, log.topics[1:], strict=True):
        values[name] = abi_type.decode(topic, 0)
    return Event(name=event.name, arguments={n: values[n] for n in event.names}, log=log)


def deploy_data(contract: str, arguments: Sequence[Any] = ()) -> bytes:
    """Data of the transaction that creates a contract: its code, then its constructor's values."""
    for entry in contracts.load(contract).abi:
        if entry["type"] == "constructor":
            return _bytecode(contract) + record_of(entry["inputs"]).encode(arguments)
    return _bytecode(contract) + record_of([]).encode(arguments)


def event_topic(contract: str, event: str) -> Hash32:
    """First topic of an event's logs."""
    for topic, found in _events_by_topic(contract).items():
        if found.name == event:
            return topic
    raise UnknownAbiName(contract=contract, name=event)


def contract_address(sender: Address, nonce: int) -> Address:
    """Where the contract that this transaction creates will be."""
    from ledger.chain.rlp import rlp_encode  # noqa: PLC0415

    return Address(keccak256(rlp_encode([sender, nonce]))[-20:])


@cache
def function_of(contract: str, function: str) -> Function:
    """A function by name; our contracts overload none."""
    for found in _functions_by_selector(contract).values():
        if found.name == function:
            return found
    raise UnknownAbiName(contract=contract, name=function)


@cache
def errors_by_selector() -> dict[bytes, ErrorType]:
    """All custom errors of all our contracts, and Solidity's own two."""
    entries: list[Mapping[str, Any]] = [_ERROR, _PANIC]
    for contract in CONTRACTS:
        entries += [e for e in contracts.load(contract).abi if e["type"] == "error"]
    return {
        selector_of(entry): ErrorType(name=entry["name"], inputs=record_of(entry["inputs"]))
        for entry in entries
    }


def selector_of(entry: Mapping[str, Any]) -> bytes:
    """First four bytes of the hash of a function's or error's signature."""
    return _signature_hash(entry)[:SELECTOR_BYTES]


@cache
def _functions_by_selector(contract: str) -> dict[bytes, Function]:
    return {
        selector_of(entry): Function(
            name=entry["name"],
            selector=selector_of(entry),
            inputs=record_of(entry["inputs"]),
            outputs=record_of(entry["outputs"]),
        )
        for entry in contracts.load(contract).abi
        if entry["type"] == "function"
    }


@cache
def _events_by_topic(contract: str) -> dict[Hash32, EventType]:
    return {
        _signature_hash(entry): _event_type(entry)
        for entry in contracts.load(contract).abi
        if entry["type"] == "event"
    }


def _event_type(entry: Mapping[str, Any]) -> EventType:
    parameters = record_of(entry["inputs"])
    indexed = [parameter["indexed"] for parameter in entry["inputs"]]
    return EventType(
        name=entry["name"],
        names=parameters.names,
        indexed=tuple(
            (name, item)
            for name, item, is_indexed in zip(
                parameters.names, parameters.items, indexed, strict=True
            )
            if is_indexed
        ),
        rest=record_of([parameter for parameter in entry["inputs"] if not parameter["indexed"]]),
    )


def _signature_hash(entry: Mapping[str, Any]) -> Hash32:
    return keccak256(f"{entry['name']}{record_of(entry['inputs']).name}".encode())


def _bytecode(contract: str) -> bytes:
    return contracts.load(contract).bytecode
