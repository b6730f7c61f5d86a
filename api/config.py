"""A community's rules, tariff, accounts and meters as one TOML file (see README)."""

import tomllib
from collections import Counter
from collections.abc import Hashable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from api.errors import BadConfig
from charging.tariff_tables import tariff_table_of
from ledger.clearing import (
    PriceRule,
    Problem,
    Residual,
    Tariff,
    VolumeRule,
    keys_from_json,
    priorities_from_json,
)
from ledger.errors import LedgerError
from ledger.units import (
    DEPOSIT_BALANCE_NANO_MAX,
    ENERGY_WH_MAX,
    EPOCH,
    FIRST_MEMBER,
    NANO_PER_MICRO,
    PERIOD_WINDOWS_MAX,
    PRICE_PER_KWH_MAX,
    to_unix_s,
)

DAY_S = 86_400
WINDOW_S_DEFAULT = 900
LIMIT_W_DEFAULT = 100_000
LABEL_CHARS_MAX = 200
SUPPLIER_DEBIT_MAX_MICRO = 2**50 // NANO_PER_MICRO
DEPOSIT_MICRO_MAX = DEPOSIT_BALANCE_NANO_MAX // NANO_PER_MICRO
CC_BY_4 = "http://publications.europa.eu/resource/authority/licence/CC_BY_4_0"
UINT32_MAX = 2**32 - 1
RETENTION_DAYS_MIN = 30  # What is younger may still be revised.
UINT64_MAX = 2**64 - 1
FIELD_OF_CODE = {  # What is wrong with rules that no window could be cleared by.
    "tariff_no_margin": "tariff",
    "price_out_of_bounds": "tariff.fixed_per_kwh",
    "rule_combination": "market.volume_rule",
    "bad_keys": "market.keys",
}


def _utc(instant_at: datetime) -> datetime:
    if instant_at.tzinfo is None:
        raise ValueError("a time has an offset or Z")
    if instant_at.year <= EPOCH.year:
        raise ValueError("a time is after 1970")
    return instant_at.astimezone(UTC)


def _time_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("is a time zone of the IANA database, such as Europe/Berlin") from error


def _refuse(field: str, rule: str) -> NoReturn:
    """Refuses what several fields say together, naming one of them."""
    raise PydanticCustomError("refused", "{rule}", {"field": field, "rule": rule})


def _once(field: str, values: Iterable[Hashable]) -> None:
    if twice := [value for value, count in Counter(values).items() if count > 1]:
        _refuse(field, f"{twice[0]} is given twice")


Instant = Annotated[datetime, AfterValidator(_utc)]
TimeZone = Annotated[  # Capitals begin a zone's name; `posix/…` and `localtime` are a machine's.
    str, Field(max_length=64, pattern=r"^[A-Z][A-Za-z0-9_+/-]*$"), AfterValidator(_time_zone)
]
LicenceUrl = Annotated[str, Field(max_length=LABEL_CHARS_MAX, pattern=r"^https?://[!-~]+$")]
AddressText = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
MeterIdText = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{64}$")]
AccountText = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,9}$")]
ByName = Field(strict=False)  # TOML has no enumerations: their names are strings.
Price = Annotated[int, Field(ge=0, le=PRICE_PER_KWH_MAX)]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        serialize_by_alias=True,
        validate_by_name=True,
        validate_by_alias=True,
    )


class ChainSection(_Section):
    """Where the contracts live. Without `rpc` it is the embedded chain of the data directory."""

    chain_id: int = Field(default=1337, ge=1, lt=2**53)
    rpc: str | None = None
    clock: Literal["system", "data"] = "system"  # data: the embedded chain's time follows the data.
    confirmations: int = Field(default=0, ge=0, le=1_000)
    token: AddressText | None = None  # Without one, a demo token is deployed.


class MarketSection(_Section):
    """What the market contract fixes for good."""

    first_period_start: Instant
    window_s: int = Field(default=WINDOW_S_DEFAULT, ge=1, le=DAY_S)
    period_windows: int = Field(default=PERIOD_WINDOWS_MAX, ge=1, le=PERIOD_WINDOWS_MAX)
    grace_s: int = Field(default=3 * DAY_S, ge=0)
    dispute_period_s: int = Field(default=DAY_S // 4, ge=0)
    finalize_within_s: int = Field(default=DAY_S // 4, ge=0)
    withdrawal_delay_s: int | None = Field(default=None, ge=0)
    volume_rule: Annotated[VolumeRule, ByName] = VolumeRule.PROPORTIONAL
    price_rule: Annotated[PriceRule, ByName] = PriceRule.MID_MARKET
    residual: Annotated[Residual, ByName] = Residual.SETTLED
    auction_k_bps: int = Field(default=5_000, ge=0, le=10_000)
    keys: dict[AccountText | Literal["pool"], dict[AccountText, int]] = {}
    priorities: dict[AccountText, list[int]] = {}
    debit_max_wh: int = Field(default=100_000, ge=1, le=ENERGY_WH_MAX)
    supplier_debit_max_micro: int = Field(
        default=SUPPLIER_DEBIT_MAX_MICRO, ge=1, le=UINT64_MAX // NANO_PER_MICRO
    )

    @property
    def period_s(self) -> int:
        """Length of a period in seconds."""
        return self.window_s * self.period_windows

    @property
    def delay_least_s(self) -> int:
        """The shortest withdrawal delay that the contract allows."""
        return self.period_s + self.grace_s + self.dispute_period_s + self.finalize_within_s

    @property
    def delay_s(self) -> int:
        """The withdrawal delay: as given, else the least."""
        return self.delay_least_s if self.withdrawal_delay_s is None else self.withdrawal_delay_s

    @model_validator(mode="after")
    def _times_fit(self) -> "MarketSection":
        """What the contract would refuse, when half of the community has been made."""
        if to_unix_s(self.first_period_start) % self.period_s:
            _refuse("first_period_start", "must be aligned to window_s * period_windows")
        if self.dispute_period_s + self.finalize_within_s > self.period_s // 2:
            _refuse(
                "dispute_period_s",
                f"with finalize_within_s at most {self.period_s // 2}: "
                "a revision fits between two periods",
            )
        if self.dispute_period_s and not self.finalize_within_s:
            _refuse("finalize_within_s", "what is disputed for a time is finalized within some")
        if not self.delay_least_s <= self.delay_s <= UINT32_MAX:
            _refuse("withdrawal_delay_s", f"must lie in [{self.delay_least_s}, {UINT32_MAX}]")
        return self


class TariffSection(_Section):
    """Prices in micro-tokens per kWh, VAT included."""

    grid_import_per_kwh: Price = 300_000
    grid_export_per_kwh: Price = 80_000
    local_fee_per_kwh: Price = 20_000
    fixed_per_kwh: Price = 0
    vat_bps: int | None = Field(default=None, ge=0, le=10_000)  # Contained in them; None: not said.


class AccountSection(_Section):
    """A member. Without an address a trial key is made and kept in the data directory."""

    name: str = Field(min_length=1, max_length=LABEL_CHARS_MAX)
    show_name: bool = False  # Whether other members may see it; until its owner says otherwise.
    address: AddressText | None = None
    deposit_micro: int = Field(
        default=0, ge=0, le=DEPOSIT_MICRO_MAX
    )  # Trial accounts only: minted and paid in.


class MeterSection(_Section):
    """A meter. Without a key its readings are signed by a key in the data directory."""

    label: str = Field(min_length=1, max_length=LABEL_CHARS_MAX)
    account: int = Field(ge=FIRST_MEMBER)
    meter_class: Literal["certified", "gateway", "imported"] = Field(
        default="imported", alias="class"
    )
    key: AddressText | None = None
    meter_id: MeterIdText | None = None  # Random if absent.
    limit_w: int = Field(default=LIMIT_W_DEFAULT, ge=1, le=10**9)
    valid_from: Instant | None = None  # The first period's start if absent.


class PlaceSection(_Section):
    """Where a charge point is, as far as drivers are told."""

    name: str = Field(default="", max_length=LABEL_CHARS_MAX)
    address: str = Field(default="", max_length=LABEL_CHARS_MAX)
    latitude: str = Field(default="", pattern=r"^(-?[0-9]{1,2}\.[0-9]{1,8})?$")
    longitude: str = Field(default="", pattern=r"^(-?[0-9]{1,3}\.[0-9]{1,8})?$")


class ChargerSection(_Section):
    """A charge point. Its connectors are chargers of the escrow and meters of the market."""

    charge_point_id: str = Field(alias="id", pattern=r"^[A-Za-z0-9*+=|@._-]{1,36}$")
    host: int = Field(ge=FIRST_MEMBER)  # Whose it is: an account, which is also its meters'.
    connectors: int = Field(default=1, ge=1, le=99)
    power_w: int = Field(default=11_000, ge=1, le=10**7)  # The most that one connector gives.
    register_wh: int = Field(default=0, ge=0, le=10**12)  # Of each connector's meter, now.
    interval_s: int = Field(default=10, ge=1, le=3_600)  # Between two meter values.
    place: PlaceSection = PlaceSection()
    tariff: dict[str, Any] = {"energy_per_kwh": 390_000}  # See charging/tariff_tables.py.
    vat_bps: int = Field(default=0, ge=0, le=10_000)
    deposit_micro_min: int = Field(default=1_000_000, ge=1, le=UINT64_MAX)
    password: str | None = Field(default=None, min_length=8, max_length=40)
    public_key: str | None = None  # Of its meter's signed values (OCMF): hex, SPKI or a point.

    def connector_ids(self) -> range:
        """Connectors are counted from 1."""
        return range(1, self.connectors + 1)


class CommunityConfig(_Section):
    """One community, complete."""

    name: str = Field(default="Community", max_length=100)
    currency: str = Field(default="EUR", max_length=10)
    time_zone: TimeZone = "UTC"  # In which days begin and end, for people.
    open_data_licence: LicenceUrl = CC_BY_4  # Under which the anonymised windows are published.
    retention_days: int = Field(default=3_650, ge=RETENTION_DAYS_MIN, le=36_500)  # See `forget`.
    chain: ChainSection = ChainSection()
    market: MarketSection
    tariff: TariffSection = TariffSection()
    supplier: AccountSection = AccountSection(name="Supplier")
    grid_operator: AccountSection = AccountSection(name="Grid operator")
    accounts: list[AccountSection] = []
    meters: list[MeterSection] = []
    chargers: list[ChargerSection] = []
    operators: list[AddressText] = []  # People with that role, besides the market's operator.

    @model_validator(mode="after")
    def _consistent(self) -> "CommunityConfig":
        for place, meter in enumerate(self.meters):
            if meter.account >= FIRST_MEMBER + len(self.accounts):
                _refuse(f"meters.{place}.account", f"there is no account {meter.account}")
        for place, charger in enumerate(self.chargers):
            if charger.host >= FIRST_MEMBER + len(self.accounts):
                _refuse(f"chargers.{place}.host", f"there is no account {charger.host}")
            try:
                tariff_table_of(charger.tariff)
            except LedgerError as error:
                _refuse(f"chargers.{place}.tariff", error.detail)
        meters = self.all_meters()
        for account in {meter.account for meter in meters}:
            limit_w = sum(meter.limit_w for meter in meters if meter.account == account)
            largest_wh = limit_w * self.market.window_s // 3_600
            if largest_wh > self.market.debit_max_wh:
                _refuse(
                    "market.debit_max_wh",
                    f"account {account} can draw {largest_wh} Wh in a window, "
                    "and a settlement above the cap would never be accepted",
                )
        self._require_clearable()
        _once("operators", (address.lower() for address in self.operators))
        _once("chargers.id", (charger.charge_point_id for charger in self.chargers))
        _once("meters.label", (meter.label for meter in meters))
        _once(
            "meters.meter_id", (meter.meter_id.lower() for meter in self.meters if meter.meter_id)
        )
        return self

    def all_meters(self) -> list[MeterSection]:
        """The meters that are given, and one for each connector of a charge point."""
        return self.meters + [
            MeterSection.model_validate(
                {
                    "label": f"{charger.charge_point_id}/{connector_id}",
                    "account": charger.host,
                    "class": "gateway",
                    "limit_w": charger.power_w,
                }
            )
            for charger in self.chargers
            for connector_id in charger.connector_ids()
        ]

    def _require_clearable(self) -> None:
        """Rules are for good: a market in which no window can be cleared is never deployed."""
        market, tariff = self.market, self.tariff
        is_fixed = market.price_rule is PriceRule.FIXED
        try:
            Problem(
                flows=(),
                tariff=Tariff(
                    grid_import_per_kwh=tariff.grid_import_per_kwh,
                    grid_export_per_kwh=tariff.grid_export_per_kwh,
                    local_fee_per_kwh=tariff.local_fee_per_kwh,
                ),
                volume_rule=market.volume_rule,
                price_rule=market.price_rule,
                keys=keys_from_json(market.keys),
                priorities=priorities_from_json(market.priorities),
                price_per_kwh=tariff.fixed_per_kwh if is_fixed else None,
            )
        except LedgerError as error:
            _refuse(FIELD_OF_CODE.get(error.code, "market"), str(error))


def read_config(path: Path) -> CommunityConfig:
    """Reads and checks a community's TOML file; raises BadConfig naming the field and the rule."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfig(
            file=str(path), field="file", rule=error.strerror or "unreadable"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(file=str(path), field="file", rule=f"not TOML: {error}") from error
    return config_of(document, str(path))


def config_of(document: dict[str, object], source: str) -> CommunityConfig:
    """Checks a configuration that was read already."""
    try:
        return CommunityConfig.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = [*first["loc"], *filter(None, [first.get("ctx", {}).get("field")])]
        field = ".".join(map(str, place)) or "file"
        raise BadConfig(file=source, field=field, rule=first["msg"]) from error
