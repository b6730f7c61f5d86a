"""Revert data becomes `ContractReverted`, in this one place, for both kinds of chain."""

from enum import StrEnum

from ledger.chain.abi import SELECTOR_BYTES, errors_by_selector
from ledger.chain.errors import BadAbiValue, ContractReverted

UNKNOWN = "Unknown"
HALTED = "Halted"


class Halt(StrEnum):
    """Why an execution ended without saying why."""

    NO_REASON = "no_reason"  # A bare revert: a failed call, `require` without words.
    OUT_OF_GAS = "out_of_gas"
    INVALID = "invalid"  # An instruction that is not one, a jump into nowhere, and the like.


def reverted(data: bytes, halt: Halt | None = None) -> ContractReverted:
    """The error that revert data stands for; `halt` where execution was cut short."""
    if halt is not None or not data:
        return ContractReverted(name=HALTED, arguments={"reason": halt or Halt.NO_REASON})
    error = errors_by_selector().get(data[:SELECTOR_BYTES])
    if error is not None:
        try:
            arguments = error.inputs.decode(data[SELECTOR_BYTES:], 0)
        except BadAbiValue:
            pass  # Four bytes may coincide; the data below says what there is.
        else:
            return ContractReverted(name=error.name, arguments=arguments)
    return ContractReverted(name=UNKNOWN, arguments={"data": "0x" + data.hex()})
