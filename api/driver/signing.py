"""What a driver signs for a charge: order, permit, top-up, and who it is."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from api.driver.answers import Connector, Market
from charging.desk import Permit
from charging.errors import FundsMissing
from charging.escrow_words import order_words, top_up_words
from charging.orders import ChargeOrder, SessionId, TopUp
from charging.receipt_file import typed_json
from ledger.chain.errors import BadAbiValue, ContractReverted
from ledger.chain.protocol import Chain
from ledger.chain.settlement_token import TokenReader, permit_digest
from ledger.chain.wallet import Wallet
from ledger.keccak import checksum_address, domain_separator, personal_digest
from ledger.units import Address, Hash32, to_rfc3339, to_unix_s

VALID_S: Final = 600  # Real seconds in which an order can be opened, and a permit be used.
NONCE_BITS: Final = 256  # Nonces are in no order: a random one was never used.


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitOffer:
    """An ERC-2612 permit that can be signed: the escrow may take exactly this amount."""

    amount_micro: int
    nonce: int  # The token's.
    deadline_s: int
    digest: Hash32

    def signed(self, wallet: Wallet) -> Permit:
        """With the driver's signature."""
        return Permit(deadline_s=self.deadline_s, signature=wallet.sign_digest(self.digest))


def escrow_domain(market: Market) -> Hash32:
    """EIP-712 domain of orders and top-ups."""
    return domain_separator(market.chain_id, market.escrow)


def new_order(
    connector: Connector, driver: Address, *, deposit_micro: int, now_at: datetime, speed: int
) -> ChargeOrder:
    """An order at the tariff that the charger shows; `speed` is the community's clock's."""
    return ChargeOrder(
        driver=driver,
        charger_id=connector.charger_id,
        deposit_micro=deposit_micro,
        tariff=connector.tariff,
        valid_until_s=to_unix_s(now_at) + VALID_S * speed,
        nonce=secrets.randbits(NONCE_BITS),
    )


def new_top_up(session_id: SessionId, add_micro: int) -> TopUp:
    """An addition to a session's deposit."""
    return TopUp(session_id=session_id, add_micro=add_micro, nonce=secrets.randbits(NONCE_BITS))


def permit_offer(
    chain: Chain, market: Market, driver: Address, amount_micro: int, *, now_at: datetime
) -> PermitOffer | None:
    """The permit that the escrow needs to take an amount; None if its allowance suffices.

    Raises:
        FundsMissing: the wallet does not hold it, or the token knows no permits.
    """
    token = TokenReader(chain, market.token)
    held_micro = token.balance_micro_of(driver)
    if held_micro < amount_micro:
        rule = f"the balance of {checksum_address(driver)}"
        raise FundsMissing(needed_micro=amount_micro, available_micro=held_micro, rule=rule)
    allowed_micro = token.allowance_micro(driver, market.escrow)
    if allowed_micro >= amount_micro:
        return None
    deadline_s = to_unix_s(now_at) + VALID_S * market.clock.speed
    try:
        nonce, separator = token.permit_nonce_of(driver), token.domain_separator()
    except (ContractReverted, BadAbiValue) as error:
        rule = "the token has no permits (ERC-2612): approve the escrow first"
        raise FundsMissing(
            needed_micro=amount_micro, available_micro=allowed_micro, rule=rule
        ) from error
    digest = permit_digest(
        separator,
        owner=driver,
        spender=market.escrow,
        amount_micro=amount_micro,
        nonce=nonce,
        deadline_s=deadline_s,
    )
    return PermitOffer(amount_micro=amount_micro, nonce=nonce, deadline_s=deadline_s, digest=digest)


def order_body(order: ChargeOrder, signature: bytes, permit: Permit | None) -> dict[str, Any]:
    """`POST /v1/sessions`."""
    return {"order": typed_json(order_words(order)), **_signed(signature, permit)}


def top_up_body(top_up: TopUp, signature: bytes, permit: Permit | None) -> dict[str, Any]:
    """`POST /v1/sessions/{id}/top-up`."""
    return {"top_up": typed_json(top_up_words(top_up)), **_signed(signature, permit)}


def _signed(signature: bytes, permit: Permit | None) -> dict[str, Any]:
    said: dict[str, Any] = {"signature": "0x" + signature.hex()}
    if permit is not None:
        said["permit"] = {
            "deadline": str(permit.deadline_s),
            "signature": "0x" + permit.signature.hex(),
        }
    return said


def sign_in_body(
    wallet: Wallet, *, url: str, host: str, chain_id: int, nonce: str, now_at: datetime
) -> dict[str, Any]:
    """`POST /v1/auth/login`: an EIP-4361 message, signed."""
    message = (
        f"{host} wants you to sign in with your Ethereum account:\n"
        f"{checksum_address(wallet.address)}\n\nFollow my charges.\n\n"
        f"URI: {url}\nVersion: 1\nChain ID: {chain_id}\n"
        f"Nonce: {nonce}\nIssued At: {to_rfc3339(now_at)}"
    )
    signature = wallet.sign_digest(personal_digest(message))
    return {"message": message, "signature": "0x" + signature.hex()}
