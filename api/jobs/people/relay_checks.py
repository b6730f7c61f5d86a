"""Whether the market would take what an account's address signed: asked before anything is sent.

The contract checks all of it again; here it gets a name before gas is spent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from api.errors import NotFound
from api.jobs.community import Community
from api.jobs.people.errors import NonceUsed, WrongMarket
from api.jobs.signatures import chain_signed_for, is_signed_for_account
from charging.errors import FundsMissing
from ledger.chain.errors import BadAbiValue, ContractReverted
from ledger.chain.market import MarketReader
from ledger.chain.settlement_token import TokenReader, permit_digest
from ledger.errors import BadSignature, OutOfRange
from ledger.keccak import domain_separator, recover
from ledger.units import DEPOSIT_BALANCE_NANO_MAX, NANO_PER_MICRO, Address, Hash32

RELAYING_TAKES_S: Final = 30  # A permit that ends sooner may expire before its block.
PERMITS_LOOKED_BACK: Final = 16  # Nonces of the token that a permit may have had before now.


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPermit:
    """An ERC-2612 permit of an account's address to the market."""

    owner: Address
    amount_micro: int
    deadline_s: int
    nonce: int  # The token's, which it was signed with.
    next_nonce: int  # The token's, now.
    digest: Hash32


class MarketChecks:
    """Asks market and token as they are now. Its methods wait: call them in a thread."""

    def __init__(self, community: Community) -> None:
        self._community = community

    @property
    def reader(self) -> MarketReader:
        """The market."""
        return MarketReader(self._community.chain, self._community.contracts.market)

    @property
    def separator(self) -> Hash32:
        """EIP-712 domain of what accounts sign."""
        return self._domain(self._community.config.chain.chain_id)

    def _domain(self, chain_id: int) -> Hash32:
        return domain_separator(chain_id, self._community.contracts.market)

    @property
    def _token(self) -> TokenReader:
        return TokenReader(self._community.chain, self._community.contracts.token)

    def owner(self, account: int) -> Address:
        """Whose account it is; raises NotFound."""
        owner = self.reader.address_of(account)
        if not any(owner):
            raise NotFound(rule="no such account")
        return owner

    def signer(
        self, account: int, digest_in: Callable[[bytes], Hash32], signature: bytes
    ) -> Address:
        """The account's address, which has signed this.

        Args:
            digest_in: the message's digest in an EIP-712 domain.

        Raises:
            NotFound: there is no such account.
            BadSignature, MalleableSignature: it is nobody's, or somebody else's.
            WrongMarket: it was signed for another chain.
        """
        owner, chain = self.owner(account), self._community.chain
        if is_signed_for_account(chain, owner, digest_in(self.separator), signature):
            return owner
        ours = self._community.config.chain.chain_id
        elsewhere = chain_signed_for(
            lambda chain_id: digest_in(self._domain(chain_id)), owner, signature, ours=ours
        )
        if elsewhere is not None:
            raise WrongMarket(rule=f"it was signed for chain {elsewhere}, and this is {ours}")
        raise BadSignature(rule="not signed by the account's address for this market and chain")

    @staticmethod
    def require_above(nonce: int, last_nonce: int) -> None:
        """Refuses a nonce that does not rise."""
        if nonce <= last_nonce:
            raise NonceUsed(nonce=nonce, last_nonce=last_nonce, rule="the market's last one")

    # Permits.

    def permit(
        self, account: int, *, amount_micro: int, deadline_s: int, signature: bytes
    ) -> SignedPermit:
        """What the account's address signed: the token's nonce is found, not told.

        Raises:
            NotFound: there is no such account.
            BadSignature, MalleableSignature: it is no permit of this amount for the market.
            FundsMissing: the token knows no permits.
        """
        owner, market = self.owner(account), self._community.contracts.market
        try:
            separator = self._token.domain_separator()
            next_nonce = self._token.permit_nonce_of(owner)
        except (ContractReverted, BadAbiValue) as error:
            rule = "the token has no permits (ERC-2612): approve the market, and call deposit"
            raise FundsMissing(needed_micro=amount_micro, available_micro=0, rule=rule) from error
        for nonce in range(next_nonce, max(-1, next_nonce - PERMITS_LOOKED_BACK), -1):
            digest = permit_digest(
                separator,
                owner=owner,
                spender=market,
                amount_micro=amount_micro,
                nonce=nonce,
                deadline_s=deadline_s,
            )
            if recover(digest, signature) == owner:
                return SignedPermit(
                    owner=owner,
                    amount_micro=amount_micro,
                    deadline_s=deadline_s,
                    nonce=nonce,
                    next_nonce=next_nonce,
                    digest=digest,
                )
        raise BadSignature(
            rule="not a permit by the account's address of exactly this amount and deadline, "
            f"for the market, on this chain, with the token's nonce {next_nonce}"
        )

    def require_deposit(self, account: int, permit: SignedPermit) -> None:
        """Refuses what token or market would not take.

        Raises:
            OutOfRange: nothing, or more than an account may hold.
            NonceUsed: the permit was used.
            FundsMissing: it has expired, or the wallet does not hold or allow the amount.
        """
        reader, amount_micro = self.reader, permit.amount_micro
        room_nano = DEPOSIT_BALANCE_NANO_MAX - reader.balance_nano_of(account)
        room_micro = max(0, room_nano // NANO_PER_MICRO)
        if not 1 <= amount_micro <= room_micro:
            raise OutOfRange(
                field="amount_micro", value=amount_micro, value_min=1, value_max=room_micro
            )
        if reader.permit_used(permit.digest):
            last_nonce = permit.next_nonce - 1
            raise NonceUsed(nonce=permit.nonce, last_nonce=last_nonce, rule="the permit was used")
        if permit.deadline_s < self._community.now_s() + RELAYING_TAKES_S:
            self._missing(amount_micro, 0, "the permit's deadline has passed")
        held_micro = self._token.balance_micro_of(permit.owner)
        if held_micro < amount_micro:
            self._missing(amount_micro, held_micro, "the wallet's balance")
        if permit.nonce < permit.next_nonce:  # Somebody brought it to the token before us.
            market = self._community.contracts.market
            allowed_micro = self._token.allowance_micro(permit.owner, market)
            if allowed_micro < amount_micro:
                rule = "the permit was used, and the market's allowance is not enough: sign anew"
                self._missing(amount_micro, allowed_micro, rule)

    @staticmethod
    def _missing(needed_micro: int, available_micro: int, rule: str) -> None:
        raise FundsMissing(needed_micro=needed_micro, available_micro=available_micro, rule=rule)
