"""Reading and calling the settlement token: any ERC-20 of 6 decimals, or the demo's own."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from ledger.chain.abi import Event, decode_event, decode_result, deploy_data, encode_call
from ledger.chain.protocol import Chain, Log
from ledger.keccak import keccak256, typed_digest
from ledger.units import Address, Hash32

CONTRACT = "SettlementToken"


@dataclass(frozen=True, slots=True)
class TokenReader:
    """One token as it is now, or with `at_block` as a past block left it."""

    chain: Chain
    address: Address
    at_block: int | None = None

    def balance_micro_of(self, owner: Address) -> int:
        """Balance in base units."""
        return int(self._ask("balanceOf", owner))

    def allowance_micro(self, owner: Address, spender: Address) -> int:
        """What the spender may still take, in base units."""
        return int(self._ask("allowance", owner, spender))

    def total_micro(self) -> int:
        """All there is, in base units."""
        return int(self._ask("totalSupply"))

    def decimals(self) -> int:
        """Digits behind the point."""
        return int(self._ask("decimals"))

    def permit_nonce_of(self, owner: Address) -> int:
        """Nonce of the owner's next permit."""
        return int(self._ask("nonces", owner))

    def domain_separator(self) -> Hash32:
        """EIP-712 domain separator of the token's permits."""
        return Hash32(self._ask("DOMAIN_SEPARATOR"))

    def next_permit_digest(
        self, owner: Address, spender: Address, *, amount_micro: int, deadline_s: int
    ) -> Hash32:
        """What the owner's next permit signs."""
        return permit_digest(
            self.domain_separator(),
            owner=owner,
            spender=spender,
            amount_micro=amount_micro,
            nonce=self.permit_nonce_of(owner),
            deadline_s=deadline_s,
        )

    def _ask(self, function: str, *arguments: object) -> Any:
        data = encode_call(CONTRACT, function, arguments)
        answer = self.chain.call(self.address, data, block=self.at_block)
        return decode_result(CONTRACT, function, answer)


def deploy(owner: Address) -> bytes:
    """Data of the transaction that creates the demo's token."""
    return deploy_data(CONTRACT, [owner])


def event_of(log: Log) -> Event | None:
    """The token's event in a log."""
    return decode_event(CONTRACT, log)


def mint(to: Address, amount_micro: int) -> bytes:
    """By the demo token's owner: makes tokens."""
    return encode_call(CONTRACT, "mint", [to, amount_micro])


def approve(spender: Address, amount_micro: int) -> bytes:
    """By a holder: lets the spender take that much."""
    return encode_call(CONTRACT, "approve", [spender, amount_micro])


def transfer(to: Address, amount_micro: int) -> bytes:
    """By a holder: pays."""
    return encode_call(CONTRACT, "transfer", [to, amount_micro])


@cache
def _permit_type_hash() -> Hash32:
    return keccak256(
        b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    )


def permit_digest(
    domain_separator: Hash32,
    *,
    owner: Address,
    spender: Address,
    amount_micro: int,
    nonce: int,
    deadline_s: int,
) -> Hash32:
    """What an ERC-2612 permit signs."""
    struct = (
        _permit_type_hash()
        + bytes(12)
        + owner
        + bytes(12)
        + spender
        + amount_micro.to_bytes(32)
        + nonce.to_bytes(32)
        + deadline_s.to_bytes(32)
    )
    return typed_digest(domain_separator, keccak256(struct))
