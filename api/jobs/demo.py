"""The demo: a file of cumulative registers becomes a settled, verified, audited community."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from itertools import pairwise
from pathlib import Path

from api.config import (
    DAY_S,
    LABEL_CHARS_MAX,
    AccountSection,
    ChainSection,
    CommunityConfig,
    MarketSection,
    MeterSection,
    TariffSection,
)
from api.datadir import DataDir
from api.errors import BadInput
from api.files import storage
from api.jobs.audit import AuditReport
from api.jobs.audit_directory import audit_directory
from api.jobs.community import Community, stored_config
from api.jobs.create import LEAD_S, create_community
from api.jobs.demo_charging import (
    VAT_BPS,
    ChargingPlan,
    ChargingResult,
    charger_sections,
    plan_of,
    play_sessions,
)
from api.jobs.demo_receipts import write_receipts
from api.jobs.intake import ImportReport, import_registers
from api.jobs.opening import empty_database
from api.jobs.settle import Settled, SettlementLoop
from api.jobs.statements import statements_of_run, write_statement
from api.jobs.verify import MarketFacts, verify_statement
from api.keys import OPERATOR_WALLET, demo_secret
from ledger.chain.embedded import EmbeddedChain
from ledger.errors import LedgerError
from ledger.keccak import address_of, checksum_address
from ledger.units import (
    DEPOSIT_BALANCE_NANO_MAX,
    FIRST_MEMBER,
    MICRO_PER_TOKEN,
    NANO_PER_MICRO,
    from_unix_s,
    to_rfc3339,
    to_unix_s,
)
from metering.registers_csv import read_registers

WINDOW_S_MIN = 900
LIMIT_W = 250_000  # Of each home's connection.
LIMIT_TOLERANCE_WH = 200
DEMO_FILE = "konstanz_registers_60min_2016-06_2016-10.csv"
DEMO_NAME = "Demo"
DEMO_TIME_ZONE = "Europe/Berlin"
HOST_NAME = "Charging"
TOKEN_NANO = MICRO_PER_TOKEN * NANO_PER_MICRO
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistersShape:
    """What a file of registers says of the community that it is about."""

    labels: tuple[str, ...]  # Sorted: accounts from 2 on.
    window_s: int
    first_day_s: int
    until_s: int  # Readings up to here belong to the demo.
    import_wh: dict[str, int]  # Rise of each meter's registers.
    export_wh: dict[str, int]


@dataclass(slots=True, kw_only=True)
class DemoResult:
    """Everything that the summary is made of."""

    community: Community
    shape: RegistersShape
    imported: ImportReport
    settled: list[Settled] = field(default_factory=list)
    statements: int = 0
    failed_statements: list[str] = field(default_factory=list)
    charging: ChargingResult | None = None
    audit: AuditReport | None = None
    alarm: LedgerError | None = None


def demo_file() -> Path:
    """The registers that are shipped with the package."""
    return Path(str(resources.files("api") / "data" / DEMO_FILE))


def shape_of(file: Path, days: int) -> RegistersShape:
    """Reads a file's meters, interval and time span.

    Raises:
        EmptyFile, MissingColumn, UnknownFormat: it is no such file.
        BadInput: its interval does not divide a day, or no row is usable.
    """
    with storage(file), file.open("rb") as source:
        registers = read_registers(source)
    instants: dict[str, list[tuple[int, int, int]]] = {label: [] for label in registers.labels}
    for row in registers.rows():
        instants[row.label].append((to_unix_s(row.taken_at), row.import_wh, row.export_wh))
    rows = {label: sorted(own) for label, own in instants.items()}
    for label in rows:
        if len(label) > LABEL_CHARS_MAX:
            rule = f"a meter_id has at most {LABEL_CHARS_MAX} characters: {label[:20]!r}…"
            raise BadInput(field=str(file), rule=rule)
    starts_s = [own[0][0] for own in rows.values() if own]
    if not starts_s:
        raise BadInput(field=str(file), rule="no row has a reading")
    first_day_s = min(starts_s) // DAY_S * DAY_S
    if first_day_s < LEAD_S:
        rule = f"a reading of {to_rfc3339(from_unix_s(min(starts_s)))}: that is no meter's clock"
        raise BadInput(field=str(file), rule=rule)
    until_s = first_day_s + days * DAY_S
    kept = {label: [row for row in own if row[0] <= until_s] for label, own in rows.items()}
    return RegistersShape(
        labels=tuple(sorted(registers.labels)),
        window_s=_window_s(rows, file),
        first_day_s=first_day_s,
        until_s=until_s,
        import_wh={label: _rise([row[1] for row in own]) for label, own in kept.items()},
        export_wh={label: _rise([row[2] for row in own]) for label, own in kept.items()},
    )


def _window_s(rows: dict[str, list[tuple[int, int, int]]], file: Path) -> int:
    steps_s = [
        later[0] - earlier[0]
        for own in rows.values()
        for earlier, later in pairwise(own)
        if later[0] > earlier[0]
    ]
    window_s = max(WINDOW_S_MIN, min(steps_s, default=WINDOW_S_MIN))
    if DAY_S % window_s:
        rule = f"the smallest step between readings, {window_s} s, must divide a day"
        raise BadInput(field=str(file), rule=rule)
    return window_s


def _rise(registers_wh: list[int]) -> int:
    return max(registers_wh, default=0) - min(registers_wh, default=0)


def config_of_shape(shape: RegistersShape, charging: ChargingPlan | None = None) -> CommunityConfig:
    """A community in which every meter is a home with a deposit that covers its import.

    All charge points are one more account's, which comes after the homes.
    """
    tariff = TariffSection(vat_bps=VAT_BPS)
    host = FIRST_MEMBER + len(shape.labels)
    chargers = charger_sections(charging, host=host) if charging else []
    hosts = []
    if charging:
        needed_nano = charging.energy_wh * tariff.grid_import_per_kwh
        hosts.append(AccountSection(name=HOST_NAME, deposit_micro=_deposit_micro(needed_nano)))
    limit_w = max(LIMIT_W, sum(each.power_w * each.connectors for each in chargers))
    first_at: datetime = from_unix_s(shape.first_day_s)
    exports_nano = sum(shape.export_wh.values()) * tariff.grid_export_per_kwh
    return CommunityConfig(
        name=DEMO_NAME,
        time_zone=DEMO_TIME_ZONE,
        chain=ChainSection(clock="data"),
        market=MarketSection(
            first_period_start=first_at,
            window_s=shape.window_s,
            period_windows=DAY_S // shape.window_s,
            debit_max_wh=limit_w * shape.window_s // 3_600 + LIMIT_TOLERANCE_WH,
        ),
        tariff=tariff,
        supplier=AccountSection(name="Supplier", deposit_micro=_deposit_micro(exports_nano)),
        accounts=[
            AccountSection(
                name=label,
                show_name=True,  # It is a building's, in a file that everybody may read.
                deposit_micro=_deposit_micro(shape.import_wh[label] * tariff.grid_import_per_kwh),
            )
            for label in shape.labels
        ]
        + hosts,
        chargers=chargers,
        operators=[checksum_address(address_of(demo_secret(OPERATOR_WALLET)))],
        meters=[
            MeterSection.model_validate({"label": label, "account": account, "limit_w": LIMIT_W})
            for account, label in enumerate(shape.labels, start=FIRST_MEMBER)
        ],
    )


def _deposit_micro(needed_nano: int) -> int:
    """Whole tokens that cover an amount, and ten more."""
    tokens = -(-needed_nano // TOKEN_NANO) + 10
    return min(tokens * MICRO_PER_TOKEN, DEPOSIT_BALANCE_NANO_MAX // NANO_PER_MICRO)


def run_demo_job(
    file: Path, data_path: Path, *, days: int, progress: Progress, charging: Path | None = None
) -> DemoResult:
    """Does the main job on two files, from nothing to an audited data directory.

    Args:
        charging: sessions at charge points; None for a market of homes alone.
    """
    shape = shape_of(file, days)
    sessions = None
    if charging is not None:
        sessions = plan_of(charging, days=days, first_day_s=shape.first_day_s)
    progress("reading the files", 1, 1)
    config = config_of_shape(shape, sessions)
    remove_earlier_demo(data_path)
    community = create_community(data_path, config, progress=progress, for_demo=True)
    try:
        imported = import_registers(community, file, until_s=shape.until_s)
        progress("readings signed and checked", imported.accepted, imported.accepted)
        result = DemoResult(community=community, shape=shape, imported=imported)
        if sessions is not None and sessions.sessions:
            result.charging = play_sessions(
                community, sessions, until_s=shape.until_s, progress=progress
            )
        _settle(result, progress)
        _verify(result, progress)
        if result.charging is not None:
            write_receipts(community, result.charging, progress)
        result.audit = audit_directory(community, community.chain, progress=progress)
    except BaseException:
        community.close()
        raise
    return result


def remove_earlier_demo(data_path: Path) -> None:
    """Removes what an earlier demo left; anything else stays, and is refused later.

    Raises:
        DataDirectoryInUse: a process works with it.
    """
    directory = DataDir(data_path)
    if not directory.is_demo():
        return
    config = stored_config(directory)
    if directory.chain_path.exists():
        EmbeddedChain.open(
            directory.chain_path, chain_id=config.chain.chain_id, genesis_at=from_unix_s(0)
        ).close()
    empty_database(directory)
    directory.empty()


def _settle(result: DemoResult, progress: Progress) -> None:
    loop = SettlementLoop(result.community)
    expected = loop.first_runs_left()
    schedule, until_s = result.community.schedule, result.shape.until_s
    for settled in loop.run():
        result.settled.append(settled)
        progress("days settled", len(result.settled), max(expected, len(result.settled)))
        if schedule.period_end(settled.period_start_s) >= until_s:
            break  # Charges may go on after the last day that is asked for.
    result.alarm = loop.alarm


def _verify(result: DemoResult, progress: Progress) -> None:
    """Writes every statement, and checks each against the chain as its owner would."""
    community = result.community
    facts = MarketFacts(community.chain, community.contracts.market)
    book = community.book()
    runs = [run for run in community.settlements.runs() if run.state == "final"]
    for place, run in enumerate(runs):
        for statement in statements_of_run(community, book, run):
            path = write_statement(statement, community.directory.statements_path)
            verdict = verify_statement(statement, facts)
            result.statements += 1
            if not verdict.passed:
                result.failed_statements.append(path.name)
        progress("days verified", place + 1, len(runs))
