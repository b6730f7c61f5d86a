"""Models of the market."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field

from api.jobs.market_view import MarketView
from api.schemas.fields import Hex, Instant, Wire, address_text
from ledger.keccak import DOMAIN_NAME, DOMAIN_VERSION
from ledger.units import Address, from_unix_s, to_rfc3339

RPC_PATH = "/rpc"


class DomainOut(Wire):
    """An EIP-712 domain."""

    name: str
    version: str
    chainId: int  # noqa: N815 (EIP-712's name)
    verifyingContract: Hex  # noqa: N815


class ContractsOut(Wire):
    """Where the contracts are."""

    market: Hex
    registry: Hex
    token: Hex
    escrow: Hex


class GridTariffOut(Wire):
    """Micro-tokens per kWh."""

    grid_import_per_kwh: int
    grid_export_per_kwh: int
    local_fee_per_kwh: int
    vat_bps: int | None = Field(description="VAT contained in these prices; null: not said.")


class RulesOut(Wire):
    """How the market clears."""

    volume_rule: str
    price_rule: str
    residual: str
    auction_k_bps: int


class PendingOut(Wire):
    """A proposal that waits, or must be made again."""

    period_start: Instant
    run: int
    state: str


class MarketOut(Wire):
    """The community's market."""

    name: str
    currency: str
    chain_id: int
    contracts: ContractsOut
    rpc: str | None = Field(description="Path of a node of this chain here; null: ask another one.")
    domains: dict[str, DomainOut] = Field(description="By verifying contract.")
    operator: Hex
    supplier: Hex
    grid_operator: Hex
    first_period_start: Instant
    window_s: int
    period_windows: int
    period_s: int
    grace_s: int
    dispute_period_s: int
    finalize_within_s: int
    withdrawal_delay_s: int
    tariff: GridTariffOut
    rules: RulesOut
    accounts: int
    next_period_start: Instant
    pending: PendingOut | None
    now: Instant = Field(description="The community's time: what people sign goes by it.")
    speed: int = Field(description="Seconds of the community's time in a real one.")
    alarms: list[str] = Field(description="What holds the service up, in words.")

    @classmethod
    def of(cls, view: MarketView, alarms: Sequence[str]) -> Self:
        """From what the chain says."""
        config, contracts = view.config, view.contracts
        signed = {
            "market": contracts.market,
            "registry": contracts.registry,
            "escrow": contracts.escrow,
        }
        return cls(
            name=view.name,
            currency=view.currency,
            chain_id=view.chain_id,
            contracts=ContractsOut(
                market=address_text(contracts.market),
                registry=address_text(contracts.registry),
                token=address_text(contracts.token),
                escrow=address_text(contracts.escrow),
            ),
            rpc=RPC_PATH if view.is_embedded else None,
            domains={name: _domain(view.chain_id, each) for name, each in signed.items()},
            operator=address_text(view.operator),
            supplier=address_text(config.supplier),
            grid_operator=address_text(config.grid_operator),
            first_period_start=_instant(config.first_period_start_s),
            window_s=config.window_s,
            period_windows=config.period_windows,
            period_s=config.window_s * config.period_windows,
            grace_s=config.grace_s,
            dispute_period_s=config.dispute_period_s,
            finalize_within_s=config.finalize_within_s,
            withdrawal_delay_s=config.withdrawal_delay_s,
            tariff=GridTariffOut(
                grid_import_per_kwh=view.tariff.grid_import_per_kwh,
                grid_export_per_kwh=view.tariff.grid_export_per_kwh,
                local_fee_per_kwh=view.tariff.local_fee_per_kwh,
                vat_bps=view.vat_bps,
            ),
            rules=RulesOut(
                volume_rule=config.volume_rule,
                price_rule=config.price_rule,
                residual=config.residual,
                auction_k_bps=config.auction_k_bps,
            ),
            accounts=view.account_count,
            next_period_start=_instant(view.next_period_start_s),
            pending=_pending(view),
            now=to_rfc3339(view.now_at),
            speed=view.speed,
            alarms=list(alarms),
        )


def _domain(chain_id: int, contract: Address) -> DomainOut:
    return DomainOut(
        name=DOMAIN_NAME,
        version=DOMAIN_VERSION,
        chainId=chain_id,
        verifyingContract=address_text(contract),
    )


def _pending(view: MarketView) -> PendingOut | None:
    pending = view.pending
    if not pending.proposed_at_s:
        return None
    return PendingOut(
        period_start=_instant(pending.period_start_s),
        run=pending.run,
        state=pending.state.name.lower(),
    )


def _instant(unix_s: int) -> Instant:
    return to_rfc3339(from_unix_s(unix_s))
