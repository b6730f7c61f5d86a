"""The audit bundle, written as it is read: all that another auditor needs, and never a secret.

It is about all periods, or about those that begin in a stretch of time: then it has the readings
that those were settled from. Charges are always in it whole, with their meters' readings.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from api.errors import BadInput
from api.files import write_pieces
from api.jobs.bundle_fields import hex_of
from api.jobs.charging_bundle import charging_to_json
from api.jobs.charging_evidence import ChargingEvidence, charging_evidence_of
from api.jobs.community import Community, sharing_of
from api.jobs.evidence import FORMAT, FORMAT_WITH_CHARGING, erasure_to_json
from api.jobs.following import Told
from api.jobs.forgetting.erasures_store import erasures
from api.jobs.market.books import Books
from ledger.keccak import checksum_address
from ledger.settlement_store import StoredRun
from ledger.statement_reads_store import RunKey
from ledger.units import from_unix_s, to_rfc3339, to_unix_s
from ledger.words import pack
from metering.meter_reads_store import FIRST, Interval
from metering.readings import MeterId
from metering.readings_json import to_json as reading_to_json
from metering.store import KeptReading

ALL_TIME: Final[Interval] = (0, 2**40)
READINGS_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Periods that begin in `[from_s, until_s)`; both are starts of periods."""

    from_s: int
    until_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """What the chain said when the bundle was begun."""

    block_number: int
    balances_nano: tuple[int, ...]
    final: tuple[RunKey, ...]
    meters: tuple[MeterId, ...]


def cut_of(books: Books, from_s: int | None, until_s: int | None) -> Cut | None:
    """The periods that begin in a stretch of time; None where it has neither beginning nor end.

    Raises:
        BadInput: it ends before it begins.
    """
    if from_s is None and until_s is None:
        return None
    schedule, now_s = books.schedule, books.now_s()
    first_s = schedule.first_period_start_s if from_s is None else from_s
    last_s = now_s if until_s is None else until_s
    if first_s > last_s:
        raise BadInput(field="from", rule="is not after `to`, or now where there is none")
    begins = schedule.first_period_start_s
    ends = max(begins, schedule.period_end(schedule.period_start_of(now_s)))

    def start_from(instant_s: int) -> int:
        """The first start of a period from an instant on, where there are periods."""
        within_s = min(max(instant_s, begins), ends)
        return -(-within_s // schedule.period_s) * schedule.period_s

    return Cut(from_s=start_from(first_s), until_s=start_from(last_s))


def write_bundle(community: Community, path: Path) -> None:
    """Writes a data directory's bundle, whole or not at all."""
    books = Books(community)
    try:
        write_pieces(path, bundle_pieces(books))
    finally:
        books.close()


def bundle_pieces(books: Books, cut: Cut | None = None) -> Iterator[str]:
    """The bundle's JSON in pieces, as they are read."""
    community = books.community
    moment = books.ask(lambda told: _moment_of(told, cut))
    charging = charging_evidence_of(community)
    sharing = sharing_of(community.config)
    head = {
        "format": FORMAT if charging is None else FORMAT_WITH_CHARGING,
        "chain_id": community.config.chain.chain_id,
        "market": checksum_address(community.contracts.market),
        "keys": sharing.keys,
        "priorities": sharing.priorities,
    }
    if cut is not None:
        head |= {"from": _instant(cut.from_s), "until": _instant(cut.until_s)}
    runs = books.reads.runs(moment.final)
    yield json.dumps(head)[:-1]
    yield ', "readings": ['
    yield from _listed(_readings(books, moment, cut, charging, runs))
    yield '], "runs": ['
    yield from _listed(json.dumps(_run(books, runs[key])) for key in sorted(runs))
    yield "], "
    tail: dict[str, Any] = {
        "balances_nano": [str(nano) for nano in moment.balances_nano],
        "balances_at_block": moment.block_number,
    }
    if gone := erasures(community.engine):
        tail["erasures"] = [erasure_to_json(each) for each in gone]
    if charging is not None:
        tail["charging"] = charging_to_json(charging)
    yield json.dumps(tail)[1:] + "\n"


def _moment_of(told: Told, cut: Cut | None) -> _Moment:
    return _Moment(
        block_number=told.block_number,
        balances_nano=tuple(told.market.balances_nano),
        final=tuple(
            key
            for key in told.market.final_order
            if cut is None or cut.from_s <= key[0] < cut.until_s
        ),
        meters=told.book.meters(),
    )


def _readings(
    books: Books,
    moment: _Moment,
    cut: Cut | None,
    charging: ChargingEvidence | None,
    runs: Mapping[RunKey, StoredRun],
) -> Iterator[str]:
    intervals: Mapping[MeterId, Interval] = {}
    whole = set(moment.meters)
    if cut is not None:
        chargers = charging.chargers.values() if charging else ()
        whole = {each.meter_id for each in chargers if each.meter_id is not None}
        intervals = books.meters.around(
            (run.period_start_s, books.schedule.period_end(run.period_start_s), run.cutoff_at_s)
            for run in runs.values()
        )
        whole = (
            {each.meter_id for each in charging.chargers.values() if each.meter_id}
            if charging
            else set()
        )
    for meter_id in moment.meters:
        interval = ALL_TIME if meter_id in whole else intervals.get(meter_id)
        if interval is not None:
            yield from _readings_of(books, meter_id, interval)


def _readings_of(books: Books, meter_id: MeterId, interval: Interval) -> Iterator[str]:
    after = FIRST
    while kept := books.meters.page(meter_id, [interval], after=after, limit=READINGS_AT_ONCE):
        yield ", ".join(json.dumps(_reading(each)) for each in kept)
        last = kept[-1]
        after = to_unix_s(last.signed.reading.taken_at), last.version


def _reading(kept: KeptReading) -> dict[str, object]:
    return {**reading_to_json(kept.signed), "accepted_at": to_rfc3339(kept.accepted_at)}


def _run(books: Books, run: StoredRun) -> dict[str, Any]:
    return {
        "period_start": _instant(run.period_start_s),
        "run": run.run,
        "totals_salt": hex_of(run.totals_salt),
        "prices": hex_of(pack(price.word for price in run.prices)),
        "totals": hex_of(pack(word for total in run.totals for word in total.words)),
        "statements": [
            {
                "account": each.account,
                "salt": hex_of(each.salt),
                "rows": hex_of(each.rows),
                "amount_nano": str(each.amount_nano),
            }
            for each in books.reads.claims((run.period_start_s, run.run))
        ],
    }


def _listed(items: Iterable[str]) -> Iterator[str]:
    for number, item in enumerate(items):
        yield f", {item}" if number else item


def _instant(unix_s: int) -> str:
    return to_rfc3339(from_unix_s(unix_s))
