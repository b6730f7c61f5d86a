"""Models of what the market says: windows, periods, accounts, statements, readings."""

from collections.abc import Iterable
from typing import Self

from pydantic import Field

from api.errors import NotFound
from api.jobs.market.views import (
    AccountView,
    Cell,
    LimitsView,
    MeterView,
    PeriodState,
    PeriodView,
    RunView,
    StatementLine,
    WindowView,
)
from api.schemas.fields import (
    Amount,
    Hex,
    Instant,
    Wire,
    address_text,
    hex_if_any,
    hex_of,
    instant_if_any,
    instant_of,
)
from ledger.statements import StatementMeter
from ledger.units import from_unix_s
from ledger.words import WindowPrice
from metering.store import KeptReading


class PriceOut(Wire):
    """Micro-tokens per kWh."""

    local_per_kwh: int = Field(examples=[180_000])
    local_fee_per_kwh: int
    grid_import_per_kwh: int
    grid_export_per_kwh: int

    @classmethod
    def of(cls, price: WindowPrice) -> Self:
        """From a window's price."""
        return cls(
            local_per_kwh=price.local_per_kwh,
            local_fee_per_kwh=price.local_fee_per_kwh,
            grid_import_per_kwh=price.grid_import_per_kwh,
            grid_export_per_kwh=price.grid_export_per_kwh,
        )


class WindowOut(Wire):
    """One window of the community, at its prices."""

    start: Instant
    end: Instant
    period_start: Instant
    run: int | None = Field(description="Whose figures these are; null: provisional.")
    state: PeriodState
    local_per_kwh: int = Field(description="Micro-tokens per kWh, as all prices.")
    local_fee_per_kwh: int
    grid_import_per_kwh: int
    grid_export_per_kwh: int
    import_wh: int | None = Field(description="Null where so few stand behind it: see `hidden`.")
    export_wh: int | None
    traded_wh: int | None
    hidden: bool = Field(description="Some figure is not for everybody, and left out.")
    complete: bool = Field(description="Every meter has been heard since the window's end.")

    @classmethod
    def of(cls, view: WindowView, window_s: int, *, sees_all: bool) -> Self:
        """As everybody may see it, or as members do."""
        cells = (view.imported, view.exported, view.traded)
        shown = [_shown(cell, sees_all=sees_all) for cell in cells]
        return cls(
            start=instant_of(from_unix_s(view.start_s)),
            end=instant_of(from_unix_s(view.start_s + window_s)),
            period_start=instant_of(from_unix_s(view.period_start_s)),
            run=view.run,
            state=view.state,
            **PriceOut.of(view.price).model_dump(),
            import_wh=shown[0],
            export_wh=shown[1],
            traded_wh=shown[2],
            hidden=None in shown,
            complete=view.is_complete,
        )


class WindowsOut(Wire):
    """Windows in order of time."""

    items: list[WindowOut]
    next: str | None
    full: bool = Field(description="Whether they are shown as members and the auditor see them.")


class TransactionsOut(Wire):
    """Hashes, null while there is none; where nothing is disputed both are the same."""

    propose: Hex | None
    finalize: Hex | None


class RunOut(Wire):
    """One run of a period, as the chain has it."""

    run: int
    state: PeriodState
    proposed_at: Instant | None
    final_at: Instant | None
    cutoff_at: Instant
    statements_root: Hex
    windows_hash: Hex
    deltas_root: Hex
    transactions: TransactionsOut
    gas_used: int | None
    shortfall_nano: Amount

    @classmethod
    def of(cls, view: RunView) -> Self:
        """From a run."""
        return cls(
            run=view.run,
            state=view.state,
            proposed_at=instant_if_any(view.proposed_at),
            final_at=instant_if_any(view.final_at),
            cutoff_at=instant_of(view.cutoff_at),
            statements_root=hex_of(view.statements_root),
            windows_hash=hex_of(view.windows_hash),
            deltas_root=hex_of(view.deltas_root),
            transactions=TransactionsOut(
                propose=hex_if_any(view.proposal_tx), finalize=hex_if_any(view.final_tx)
            ),
            gas_used=view.gas_used,
            shortfall_nano=str(view.shortfall_nano),
        )


class PeriodOut(Wire):
    """A period: the run that was asked for, by default its last, and all of its runs."""

    start: Instant
    end: Instant
    state: PeriodState = Field(description="Of the run that is shown; without one, of the period.")
    run: int | None
    cutoff_at: Instant | None
    statements_root: Hex | None
    windows_hash: Hex | None
    deltas_root: Hex | None
    transactions: TransactionsOut
    prices: list[PriceOut] = Field(description="One a window; none while there is no run.")
    runs: list[RunOut]

    @classmethod
    def of(cls, view: PeriodView, run: int | None = None) -> Self:
        """From a period; raises NotFound where it has no such run."""
        runs = [each for each in view.runs if run in {None, each.run}]
        if run is not None and not runs:
            raise NotFound(rule="the period has no such run")
        shown = runs[-1] if runs else None
        return cls(
            start=instant_of(from_unix_s(view.start_s)),
            end=instant_of(from_unix_s(view.end_s)),
            state=shown.state if shown else view.state,
            run=shown.run if shown else None,
            cutoff_at=instant_of(shown.cutoff_at) if shown else None,
            statements_root=hex_if_any(shown.statements_root if shown else None),
            windows_hash=hex_if_any(shown.windows_hash if shown else None),
            deltas_root=hex_if_any(shown.deltas_root if shown else None),
            transactions=TransactionsOut(
                propose=hex_if_any(shown.proposal_tx if shown else None),
                finalize=hex_if_any(shown.final_tx if shown else None),
            ),
            prices=[PriceOut.of(price) for price in shown.prices] if shown else [],
            runs=[RunOut.of(each) for each in view.runs],
        )


class PeriodsOut(Wire):
    """A page of periods, the latest first."""

    items: list[PeriodOut]
    next: str | None


class LimitsOut(Wire):
    """Price limits, from an instant on."""

    effective_from: Instant
    max_buy_per_kwh: int | None = Field(description="Fee included; null: no limit.")
    min_sell_per_kwh: int

    @classmethod
    def of(cls, view: LimitsView) -> Self:
        """From limits."""
        return cls(
            effective_from=instant_of(view.effective_from),
            max_buy_per_kwh=view.max_buy_per_kwh,
            min_sell_per_kwh=view.min_sell_per_kwh,
        )


class NoncesOut(Wire):
    """The next nonce of each message that the account's owner signs."""

    price_limits: Amount = Field(examples=["1"])
    withdrawal: Amount = Field(examples=["1"])


class AccountMeterOut(Wire):
    """A meter of an account now."""

    meter_id: Hex = Field(examples=["0x" + "3e" * 32])
    label: str | None
    meter_class: str = Field(alias="class", examples=["gateway"])
    limit_w: int
    valid_from: Instant
    valid_until: Instant | None
    last_reading_at: Instant | None
    readings: int = Field(description="Versions that are kept.")

    @classmethod
    def of(cls, view: MeterView) -> Self:
        """From a meter."""
        return cls.model_validate(
            {
                "meter_id": hex_of(view.meter_id),
                "label": view.label,
                "class": view.meter_class,
                "limit_w": view.limit_w,
                "valid_from": instant_of(view.valid_from),
                "valid_until": instant_if_any(view.valid_until),
                "last_reading_at": instant_if_any(view.last_reading_at),
                "readings": view.readings,
            }
        )


class AccountOut(Wire):
    """An account's money and meters now."""

    account: int
    owner: Hex
    name: str | None
    balance_nano: Amount
    pending_nano: Amount = Field(description="What a proposal that waits would change.")
    unsettled_nano: Amount = Field(
        description="What the periods before this one will change, by readings so far."
    )
    requested_micro: Amount
    requested_at: Instant | None
    withdrawable_at: Instant | None
    cover_nano: Amount = Field(description="For the period that runs.")
    next_cover_nano: Amount = Field(
        description="For the period after it: what is paid in or asked for now counts from there."
    )
    needed_nano: Amount = Field(
        description="What that period is expected to need: the most of any of the last 7 days."
    )
    covered: bool
    spent_per_day_nano: Amount = Field(description="Of the last 7 days; negative: received.")
    lasts_days: int | None = Field(
        description="The next cover, at that rate; null: it does not shrink."
    )
    warning: str | None = Field(description="`cover_low` or `cover_lost`.", examples=["cover_low"])
    limits: list[LimitsOut] = Field(description="In force first, then those to come.")
    next_nonces: NoncesOut
    meters: list[AccountMeterOut]

    @classmethod
    def of(cls, view: AccountView) -> Self:
        """From an account."""
        return cls(
            account=view.account,
            owner=address_text(view.owner),
            name=view.name,
            balance_nano=str(view.balance_nano),
            pending_nano=str(view.pending_nano),
            unsettled_nano=str(view.unsettled_nano),
            requested_micro=str(view.requested_micro),
            requested_at=instant_if_any(view.requested_at),
            withdrawable_at=instant_if_any(view.withdrawable_at),
            cover_nano=str(view.cover_nano),
            next_cover_nano=str(view.next_cover_nano),
            needed_nano=str(view.needed_nano),
            covered=view.is_covered,
            spent_per_day_nano=str(view.spent_per_day_nano),
            lasts_days=view.lasts_days,
            warning=view.warning,
            limits=[LimitsOut.of(each) for each in view.limits],
            next_nonces=NoncesOut(price_limits=str(view.nonces[0]), withdrawal=str(view.nonces[1])),
            meters=[AccountMeterOut.of(each) for each in view.meters],
        )


class StatementMeterOut(Wire):
    """A meter whose energy a statement counts."""

    meter_id: Hex
    meter_class: str = Field(alias="class", examples=["imported"])


class StatementLineOut(Wire):
    """One statement in a list: its figures without its windows."""

    period_start: Instant
    run: int
    final_at: Instant | None
    amount_nano: Amount
    applied_before_nano: Amount
    shortfall_nano: Amount
    delta_nano: Amount = Field(description="What the run moved on the account.")
    meters: list[StatementMeterOut]
    transaction: Hex | None

    @classmethod
    def of(cls, line: StatementLine) -> Self:
        """From a statement's figures."""
        delta_nano = line.amount_nano - line.applied_before_nano + line.shortfall_nano
        return cls(
            period_start=instant_of(from_unix_s(line.period_start_s)),
            run=line.run,
            final_at=instant_if_any(line.final_at),
            amount_nano=str(line.amount_nano),
            applied_before_nano=str(line.applied_before_nano),
            shortfall_nano=str(line.shortfall_nano),
            delta_nano=str(delta_nano),
            meters=_meters(line.meters),
            transaction=hex_if_any(line.transaction),
        )


class StatementsOut(Wire):
    """A page of an account's statements, the latest first."""

    items: list[StatementLineOut]
    next: str | None


class KeptReadingOut(Wire):
    """One version of a reading, as it was signed, and since when it has been known."""

    meter_id: Hex = Field(examples=["0x" + "3e" * 32])
    taken_at: Instant
    import_wh: int
    export_wh: int
    signature: Hex
    version: int = Field(description="From 1 for each instant; the highest counts.")
    accepted_at: Instant

    @classmethod
    def of(cls, kept: KeptReading) -> Self:
        """From what is kept."""
        reading = kept.signed.reading
        return cls(
            meter_id=hex_of(reading.meter_id),
            taken_at=instant_of(reading.taken_at),
            import_wh=reading.import_wh,
            export_wh=reading.export_wh,
            signature=hex_of(kept.signed.signature),
            version=kept.version,
            accepted_at=instant_of(kept.accepted_at),
        )


class KeptReadingsOut(Wire):
    """A page of a meter's readings by instant, all versions."""

    items: list[KeptReadingOut]
    next: str | None


def _shown(cell: Cell, *, sees_all: bool) -> int | None:
    return cell.energy_wh if sees_all or cell.is_open else None


def _meters(meters: Iterable[StatementMeter]) -> list[StatementMeterOut]:
    return [
        StatementMeterOut.model_validate(
            {"meter_id": hex_of(meter.meter_id), "class": meter.meter_class}
        )
        for meter in meters
    ]
