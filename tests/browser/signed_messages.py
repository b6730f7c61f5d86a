"""Each message that is signed here, in EIP-712's words, with the digest that Python computes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from charging.escrow_words import order_words, record_words, top_up_words
from charging.orders import ChargeOrder, ChargeRecord, ChargerId, SessionId, TopUp
from charging.receipt_file import typed_json
from charging.tariffs import ChargeTariff
from ledger.chain.settlement_token import permit_digest
from ledger.keccak import checksum_address, domain_separator, keccak256
from ledger.market_messages import PriceLimits, Withdrawal
from ledger.units import Address, Hash32, from_unix_s
from metering.readings import MeterId, Reading
from metering.signing import reading_digest

CHAIN_ID = 1337
CONTRACT = Address(b"\xe5" * 20)
DRIVER = Address(bytes(range(100, 120)))
UINT64_MAX, UINT256_MAX = 2**64 - 1, 2**256 - 1
TOKEN_NAME = "Wattledger Demo Token"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedMessage:
    """One message, ready to be signed by a page."""

    type_name: str
    message: dict[str, Any]
    digest: Hash32
    domain_name: str = "Wattledger"

    @property
    def domain(self) -> dict[str, Any]:
        """The domain that it is signed under."""
        return {
            "name": self.domain_name,
            "version": "1",
            "chainId": CHAIN_ID,
            "verifyingContract": checksum_address(CONTRACT),
        }


def signed_messages() -> Iterator[SignedMessage]:
    """One of each type, with numbers that no float holds."""
    ours = domain_separator(CHAIN_ID, CONTRACT)
    order = ChargeOrder(
        driver=DRIVER,
        charger_id=ChargerId(b"\xc4" * 32),
        deposit_micro=UINT64_MAX,
        tariff=ChargeTariff(
            energy_per_kwh=390_001, start_fee=1, time_per_hour=2**39 + 1, idle_per_hour=7
        ),
        valid_until_s=2**53 + 1,
        nonce=UINT256_MAX,
    )
    yield _of("ChargeOrder", order_words(order), order.session_id(ours))
    record = ChargeRecord(
        session_id=SessionId(b"\x5e" * 32),
        start_wh=910_123,
        stop_wh=910_206,
        started_at_s=1_465_363_318,
        stopped_at_s=1_465_366_918,
        idle_s=600,
        evidence_hash=Hash32(b"\xee" * 32),
    )
    yield _of("ChargeRecord", record_words(record), record.digest(ours))
    top_up = TopUp(session_id=SessionId(b"\x5e" * 32), add_micro=1, nonce=0)
    yield _of("TopUp", top_up_words(top_up), top_up.digest(ours))
    limits = PriceLimits(
        account=3,
        valid_from_s=1_465_363_318,
        max_buy_per_kwh=UINT64_MAX,
        min_sell_per_kwh=0,
        nonce=2**64,
    )
    words = {
        "account": 3,
        "validFrom": limits.valid_from_s,
        "maxBuyPerKwh": limits.max_buy_per_kwh,
        "minSellPerKwh": limits.min_sell_per_kwh,
        "nonce": limits.nonce,
    }
    yield _of("PriceLimits", words, limits.digest(ours))
    withdrawal = Withdrawal(account=2**32 - 1, amount_micro=5, nonce=9)
    words = {"account": withdrawal.account, "amountMicro": 5, "nonce": 9}
    yield _of("Withdrawal", words, withdrawal.digest(ours))
    reading = Reading(
        meter_id=MeterId(b"\x0e" * 32),
        taken_at=from_unix_s(1_465_363_318),
        import_wh=10**12,
        export_wh=0,
    )
    words = {
        "meterId": reading.meter_id,
        "takenAt": 1_465_363_318,
        "importWh": reading.import_wh,
        "exportWh": 0,
    }
    yield _of("MeterReading", words, reading_digest(reading, ours))
    yield _permit()


def _permit() -> SignedMessage:
    type_hash = keccak256(
        b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    )
    separator = keccak256(
        type_hash
        + keccak256(TOKEN_NAME.encode())
        + keccak256(b"1")
        + CHAIN_ID.to_bytes(32)
        + bytes(12)
        + CONTRACT
    )
    spender = Address(b"\x52" * 20)
    digest = permit_digest(
        separator,
        owner=DRIVER,
        spender=spender,
        amount_micro=20_000_000,
        nonce=UINT256_MAX,
        deadline_s=1_465_363_318,
    )
    words = {
        "owner": DRIVER,
        "spender": spender,
        "value": 20_000_000,
        "nonce": UINT256_MAX,
        "deadline": 1_465_363_318,
    }
    return _of("Permit", words, digest, domain_name=TOKEN_NAME)


def _of(
    type_name: str, words: dict[str, Any], digest: Hash32, *, domain_name: str = "Wattledger"
) -> SignedMessage:
    message: dict[str, Any] = typed_json(words)
    return SignedMessage(
        type_name=type_name, message=message, digest=digest, domain_name=domain_name
    )
