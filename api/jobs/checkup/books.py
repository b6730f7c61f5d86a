"""The database, and what it says about work that should be done by now."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from sqlalchemy import Engine

from api.jobs.checkup.checks import Check, counted, fine, problem, warning
from api.jobs.community import ROLES, Community
from api.jobs.opening import system_now
from api.jobs.oversight.meters import MeterHealth, watch_meters
from api.jobs.oversight.overview import OVERDUE_S
from api.metrics_store import counting
from ledger.units import from_unix_s, to_rfc3339

STUCK_S: Final = 3_600  # A transaction that is owed for longer is stuck.
WAITS_S: Final = 600
NAMED_MAX: Final = 5


def check_database(engine: Engine) -> Iterator[Check]:
    """Whether the file is sound; a server looks after its own."""
    shown = engine.url.render_as_string(hide_password=True)
    if engine.dialect.name != "sqlite":
        yield fine("database", f"{shown} answers, with this version's tables")
        return
    with engine.connect() as connection:
        faults = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check(5)")]
    if faults != ["ok"]:
        detail = f"the file is damaged: {'; '.join(faults)}"
        yield problem("database", detail, "stop the service, keep a copy, restore a backup")
    else:
        yield fine("database", "sound, with this version's tables")


def check_outbox(community: Community) -> Iterator[Check]:
    """Whether what is owed to the chain gets there."""
    keys = community.keys
    roles = {keys.wallet(role).address: role for role in ROLES if role in keys and role != "salt"}
    with counting(community.engine, chain_id=community.config.chain.chain_id) as counts:
        depths = counts.outbox()
    for owed in depths:
        since = from_unix_s(owed.oldest_s)
        waited = system_now() - since
        role = roles.get(owed.sender, "an account")
        count = counted(owed.count, "transaction")
        detail = f"{role} owes the chain {count}, since {to_rfc3339(since)}"
        advice = "does the service run, does the chain answer, can the key pay gas?"
        if waited > timedelta(seconds=STUCK_S):
            yield problem("outbox", detail, advice)
        elif waited > timedelta(seconds=WAITS_S):
            yield warning("outbox", detail, advice)
    if not depths:
        yield fine("outbox", "nothing is owed to the chain")


def check_meters(community: Community) -> Iterator[Check]:
    """Whether meters are heard."""
    meters = watch_meters(community, community.clock.now())
    active = [m for m in meters if m.health not in {MeterHealth.RETIRED, MeterHealth.TO_COME}]
    quiet = [m for m in active if m.health in {MeterHealth.SILENT, MeterHealth.NEVER}]
    if quiet:
        names = ", ".join(m.label or "0x" + m.meter_id.hex()[:8] for m in quiet[:NAMED_MAX])
        more = f" and {len(quiet) - NAMED_MAX} more" if len(quiet) > NAMED_MAX else ""
        detail = f"{counted(len(quiet), 'meter')} not heard for too long: {names}{more}"
        yield warning("meters", detail, "look at the gateways; their periods wait for the grace")
    else:
        yield fine("meters", f"{counted(len(active), 'meter')} heard in time")


def check_periods(community: Community) -> Iterator[Check]:
    """Whether periods are settled in time, and known here as the chain has them."""
    history, schedule = community.refresh(), community.schedule
    final = sum(run == 0 for _, run in history.final_order)
    next_s = schedule.first_period_start_s + final * schedule.period_s
    late_s = community.now_s() - schedule.due_at(next_s, None) - OVERDUE_S
    unknown = [key for key in history.final_order if community.settlements.run(*key) is None]
    if unknown:
        starts = ", ".join(to_rfc3339(from_unix_s(start_s)) for start_s, _ in unknown[:NAMED_MAX])
        detail = f"the chain has {counted(len(unknown), 'run')} that the database lacks: {starts}"
        advice = "an older backup was restored: restore the newest, or ask members for their files"
        yield problem("periods", detail, advice)
    if late_s > 0:
        count = 1 + late_s // schedule.period_s
        since = to_rfc3339(from_unix_s(schedule.due_at(next_s, None)))
        detail = f"{counted(count, 'period')} overdue, the first since {since}"
        yield problem("periods", detail, "GET /readyz says what holds the settlement up")
    if not unknown and late_s <= 0:
        yield fine("periods", f"{counted(final, 'period')} final, none overdue")
