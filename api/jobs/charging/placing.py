"""Whether an order can be opened: what is checked before anything is owed to the escrow.

The escrow checks all of it again; here it gets a name before gas is spent.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime

from api.jobs.charging.chargers import Charger, ChargerBook
from api.jobs.community import CHARGING, Community
from api.jobs.signatures import chain_signed_for, is_signed_by
from charging.desk import Permit
from charging.errors import (
    ChargerBusy,
    ChargerOffline,
    ChargerUnknown,
    DepositTooSmall,
    FundsMissing,
    OrderExpired,
    OrderUsed,
    TariffChanged,
    WrongEscrow,
)
from charging.orders import ChargeOrder, SessionId
from charging.tariffs import ChargeTariff
from ledger.chain import escrow, settlement_token
from ledger.chain.protocol import Chain
from ledger.errors import BadSignature
from ledger.keccak import SIGNATURE_BYTES, domain_separator, recover
from ledger.units import Address, Hash32, from_unix_s, to_unix_s

OPENING_TAKES_S = 30  # An order that ends sooner may expire before its block.


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An order that can be opened, and the charger as the escrow has it."""

    session_id: SessionId
    charger: Charger
    registered: escrow.RegisteredCharger


class OrderDesk:
    """Checks orders against configuration and chain."""

    def __init__(
        self, community: Community, book: ChargerBook, now: Callable[[], datetime]
    ) -> None:
        self._community = community
        self._book = book
        self._now = now

    @property
    def separator(self) -> Hash32:
        """EIP-712 domain of orders."""
        return self._domain(self._community.config.chain.chain_id)

    def _domain(self, chain_id: int) -> Hash32:
        return domain_separator(chain_id, self._community.contracts.escrow)

    @property
    def chain(self) -> Chain:
        """The chain that orders are for."""
        return self._community.chain

    @property
    def reader(self) -> escrow.EscrowReader:
        """The escrow, as it is now."""
        return escrow.EscrowReader(self._community.chain, self._community.contracts.escrow)

    def check(self, order: ChargeOrder, signature: bytes, permit: Permit | None) -> Placed:
        """Whether an order can be opened now.

        Raises:
            LedgerError: the first of the rules that it breaks; see `ChargingDesk.place`.
        """
        charger = self._book.require(order.charger_id)
        self.require_signed(order, signature)
        now_at = self._now()
        if order.valid_until_s < to_unix_s(now_at) + OPENING_TAKES_S:
            valid_until = from_unix_s(min(order.valid_until_s, 2**37))
            raise OrderExpired(valid_until=valid_until, now_at=now_at)
        require_tariff(order.tariff, charger.tariffs.at(now_at))
        minimum_micro = max(charger.section.deposit_micro_min, order.tariff.start_fee)
        if order.deposit_micro < minimum_micro:
            raise DepositTooSmall(
                deposit_micro=order.deposit_micro, deposit_micro_min=minimum_micro
            )
        registered = self._require_free(charger)
        if self.reader.is_nonce_used(order.driver, order.nonce):
            raise OrderUsed(nonce=order.nonce)
        self.require_funds(order.driver, order.deposit_micro, permit)
        return Placed(
            session_id=order.session_id(self.separator), charger=charger, registered=registered
        )

    def require_signed(self, order: ChargeOrder, signature: bytes) -> None:
        """Refuses what the driver did not sign for this escrow on this chain.

        Raises:
            BadSignature, MalleableSignature: it is nobody's, or somebody else's.
            WrongEscrow: the driver signed it for another chain.
        """
        chain, driver = self._community.chain, order.driver
        if is_signed_by(chain, driver, order.session_id(self.separator), signature):
            return
        if len(signature) != SIGNATURE_BYTES:  # A contract wallet's.
            raise BadSignature(rule="the driver's wallet does not stand by this order")
        elsewhere = chain_signed_for(
            lambda chain_id: order.session_id(self._domain(chain_id)),
            driver,
            signature,
            ours=self._community.config.chain.chain_id,
        )
        if elsewhere is not None:
            raise WrongEscrow(rule=f"it was signed for chain {elsewhere}")
        raise BadSignature(rule="the order is not signed by its driver for this escrow and chain")

    def _require_free(self, charger: Charger) -> escrow.RegisteredCharger:
        registered = self.reader.charger_of(charger.charger_id)
        if not registered.is_known:
            raise ChargerUnknown(charger=charger.label)
        if not registered.is_free:
            raise ChargerBusy(charger=charger.label)
        if registered.record_key != charger.record_key.address:
            rule = "the escrow has another record key for it than this service"
            raise ChargerOffline(charger=charger.label, rule=rule)
        service = self._community.keys.wallet(CHARGING).address
        host = registered.host
        if host != service and not self.reader.is_delegate(host, service):
            raise ChargerOffline(
                charger=charger.label, rule="its host has not let this service open sessions"
            )
        return registered

    def require_funds(self, driver: Address, amount_micro: int, permit: Permit | None) -> None:
        """Refuses a driver whose wallet does not hold the amount, or does not let it be taken."""
        token = settlement_token.TokenReader(self._community.chain, self._community.contracts.token)
        held_micro = token.balance_micro_of(driver)
        if held_micro < amount_micro:
            raise FundsMissing(
                needed_micro=amount_micro, available_micro=held_micro, rule="the wallet's balance"
            )
        escrow_address = self._community.contracts.escrow
        allowed_micro = token.allowance_micro(driver, escrow_address)
        if allowed_micro >= amount_micro:
            return
        if permit is None:
            rule = "the escrow's allowance: approve it, or send a permit"
            raise FundsMissing(needed_micro=amount_micro, available_micro=allowed_micro, rule=rule)
        if permit.deadline_s < to_unix_s(self._now()) + OPENING_TAKES_S:
            raise FundsMissing(
                needed_micro=amount_micro, available_micro=allowed_micro, rule="permit expired"
            )
        digest = token.next_permit_digest(
            driver, escrow_address, amount_micro=amount_micro, deadline_s=permit.deadline_s
        )
        if recover(digest, permit.signature) != driver:
            rule = "a permit of exactly the deposit, for the escrow, with the token's next nonce"
            raise FundsMissing(needed_micro=amount_micro, available_micro=allowed_micro, rule=rule)


def require_tariff(stated: ChargeTariff, current: ChargeTariff) -> None:
    """Refuses an order at another tariff than the charger's."""
    for field in fields(ChargeTariff):
        was, now = getattr(stated, field.name), getattr(current, field.name)
        if was != now:
            raise TariffChanged(field=field.name, stated=was, current=now)
