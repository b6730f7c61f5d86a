"""One community's contracts on the embedded chain: deployed once, and copied for each example."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.chain import market_calls, registry, settlement_token
from ledger.chain.abi import encode_call
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.errors import ContractReverted
from ledger.chain.market import MarketReader
from ledger.chain.market_values import MarketConfig, MarketTariff
from ledger.chain.protocol import Receipt
from ledger.chain.settlement_token import TokenReader, permit_digest
from ledger.chain.wallet import Wallet
from ledger.clearing import PriceRule, Residual, VolumeRule
from ledger.keccak import domain_separator, keccak256, typed_digest
from ledger.units import Address, Hash32, from_unix_s

DAY_S = 86_400
FIRST_S = 1_464_739_200  # 2016-06-01T00:00:00Z
GENESIS_S = FIRST_S - DAY_S
GAS = 16_000_000
NOWHERE = Address(bytes(20))
CONTRACTS_PREFIX = "EnergyMarket_"

OWNER, OPERATOR, SUPPLIER, GRID, *MEMBERS, STRANGER = (
    Wallet(bytes([n]) * 32) for n in range(1, 11)
)
PEOPLE = (OWNER, OPERATOR, SUPPLIER, GRID, *MEMBERS, STRANGER)

TARIFF = MarketTariff(
    grid_import_per_kwh=300_000, grid_export_per_kwh=80_000, local_fee_per_kwh=20_000
)
CONFIG = MarketConfig(
    token=NOWHERE,
    registry=NOWHERE,
    owner=OWNER.address,
    operator=OPERATOR.address,
    supplier=SUPPLIER.address,
    grid_operator=GRID.address,
    first_period_start_s=FIRST_S,
    window_s=900,
    period_windows=2,
    grace_s=0,
    dispute_period_s=300,
    finalize_within_s=600,
    withdrawal_delay_s=2_700,
    volume_rule=VolumeRule.PROPORTIONAL,
    price_rule=PriceRule.MID_MARKET,
    residual=Residual.SETTLED,
    auction_k_bps=5_000,
    keys_hash=Hash32(bytes(32)),
    debit_max_wh=1_000,
    supplier_debit_max_nano=2 * 10**9,
    tariff=TARIFF,
)
LIMITS_TYPE = (
    b"PriceLimits(uint32 account,uint64 validFrom,uint64 maxBuyPerKwh,uint64 minSellPerKwh,"
    b"uint256 nonce)"
)
WITHDRAWAL_TYPE = b"Withdrawal(uint32 account,uint64 amountMicro,uint256 nonce)"


def allowance_micro(funds_micro: int) -> int:
    """What the market may take from somebody, even where there is less."""
    return max(funds_micro, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A data directory with a deployed community that nothing has happened to."""

    directory: Path
    config: MarketConfig
    market: Address

    @classmethod
    def build(
        cls, directory: Path, config: MarketConfig, funds_micro: dict[Address, int]
    ) -> "Template":
        """Deploys token, registry and market; gives everybody money and lets the market have it."""
        with EmbeddedChain.open(directory, genesis_at=from_unix_s(GENESIS_S)) as chain:
            made = MarketOnChain(chain, NOWHERE, config)
            token = made.create(settlement_token.deploy(OPERATOR.address))
            meters = made.create(registry.deploy(GRID.address))
            config = replace(config, token=token, registry=meters)
            made.config, made.market = config, made.create(market_calls.deploy(config))
            for wallet in PEOPLE:
                micro = funds_micro.get(wallet.address, 0)
                made.send(OPERATOR, settlement_token.mint(wallet.address, micro), to=token)
                approval = settlement_token.approve(made.market, allowance_micro(micro))
                made.send(wallet, approval, to=token)
            return cls(directory=directory, config=config, market=made.market)

    def copy(self, directory: Path) -> "MarketOnChain":
        shutil.copytree(self.directory, directory)
        return MarketOnChain(EmbeddedChain.open(directory), self.market, self.config)


class MarketOnChain:
    """A market, its token and its registry; the clock is where the next block will be."""

    def __init__(self, chain: EmbeddedChain, market: Address, config: MarketConfig) -> None:
        self.chain, self.market, self.config = chain, market, config
        self.now_s = chain.head().timestamp_s + 1

    @property
    def reader(self) -> MarketReader:
        return MarketReader(self.chain, self.market)

    @property
    def token(self) -> TokenReader:
        return TokenReader(self.chain, self.config.token)

    def at(self, instant_s: int) -> None:
        """The next block happens then, if that is later than the last one."""
        self.now_s = max(instant_s, self.chain.head().timestamp_s + 1)
        self.chain.set_next_timestamp(from_unix_s(self.now_s))

    def refusal(self, by: Wallet, data: bytes) -> str | None:
        """The error that the market gives this call, without its prefix; None if it takes it."""
        try:
            self.chain.call(self.market, data, sender=by.address)
        except ContractReverted as error:
            return error.name.removeprefix(CONTRACTS_PREFIX)
        return None

    def send(self, by: Wallet, data: bytes, *, to: Address | None = None) -> Receipt:
        """Mines one call, of the market if nothing else is named."""
        return self._mine(by, data, to or self.market)

    def create(self, data: bytes) -> Address:
        created = self._mine(OPERATOR, data, None).contract_address
        assert created is not None
        return created

    def _mine(self, by: Wallet, data: bytes, to: Address | None) -> Receipt:
        signed = by.sign_transaction(
            chain_id=self.chain.chain_id,
            nonce=self.chain.nonce(by.address),
            to=to,
            data=data,
            gas=GAS,
            fees=self.chain.fees(),
        )
        receipt = self.chain.receipt(self.chain.send_raw(signed.raw))
        assert receipt is not None
        assert receipt.succeeded, self.refusal(by, data)
        self.at(0)
        return receipt

    # Signed messages.

    def sign_limits(
        self, key: Wallet, account: int, limits: tuple[int, int, int], nonce: int
    ) -> bytes:
        return self._sign(key, LIMITS_TYPE, account, *limits, nonce)

    def sign_withdrawal(self, key: Wallet, account: int, micro: int, nonce: int) -> bytes:
        return self._sign(key, WITHDRAWAL_TYPE, account, micro, nonce)

    def sign_permit(
        self, key: Wallet, payer: Address, micro: int, nonce: int, deadline_s: int
    ) -> bytes:
        digest = permit_digest(
            self.token.domain_separator(),
            owner=payer,
            spender=self.market,
            amount_micro=micro,
            nonce=nonce,
            deadline_s=deadline_s,
        )
        return key.sign_digest(digest)

    def permit_call(self, permit: tuple[Address, int, int, int], signature: bytes) -> bytes:
        """A permit brought to the token itself."""
        payer, micro, _, deadline_s = permit
        v, r, s = signature[64], signature[:32], signature[32:64]
        arguments = [payer, self.market, micro, deadline_s, v, r, s]
        return encode_call(settlement_token.CONTRACT, "permit", arguments)

    def _sign(self, key: Wallet, kind: bytes, *values: int) -> bytes:
        struct = keccak256(kind) + b"".join(value.to_bytes(32) for value in values)
        separator = domain_separator(self.chain.chain_id, self.market)
        return key.sign_digest(typed_digest(separator, keccak256(struct)))
