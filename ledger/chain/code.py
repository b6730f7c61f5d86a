"""Whether a contract on a chain is the one that was compiled here."""

import re
from typing import Final

from contracts import load
from ledger.chain.protocol import Chain
from ledger.units import Address

WORD_BYTES: Final = 32
# An immutable value is pushed as a word: the compiler leaves zeros for it.
_IMMUTABLE: Final = re.compile(b"\x7f" + b"\x00" * WORD_BYTES, re.DOTALL)


def is_contract(chain: Chain, address: Address, name: str) -> bool:
    """Whether this contract of ours is at an address, whatever it was created with."""
    return is_code_of(chain.code(address), load(name).deployed_bytecode)


def is_code_of(found: bytes, compiled: bytes) -> bool:
    """Whether code on a chain is compiled code with its immutable values filled in."""
    if len(found) != len(compiled):
        return False
    filled = bytearray(compiled)
    for place in _IMMUTABLE.finditer(compiled):
        filled[place.start() + 1 : place.end()] = found[place.start() + 1 : place.end()]
    return bytes(filled) == found
