"""What an audit goes by besides the chain: signed readings, salts, and what the service claims.

It comes from the data directory, or from a bundle file that an auditor was given.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.errors import BadInput
from api.files import read_text
from api.jobs.bundle_fields import bytes_of
from api.jobs.chain_rules import SharingRules
from api.jobs.charging_bundle import charging_from_json
from api.jobs.charging_evidence import ChargingEvidence, charging_evidence_of
from api.jobs.community import Community, sharing_of
from api.jobs.forgetting.erasures_store import Erasure, erasures
from ledger.errors import LedgerError
from ledger.json_text import parse_json
from ledger.settlement import RunSalts
from ledger.units import AccountId, Address, Hash32, from_unix_s, to_rfc3339, to_unix_s
from ledger.words import StatementRow, WindowPrice, WindowTotals, unpack
from metering.instants import parse_instant
from metering.readings import SignedReading
from metering.readings_json import parse_signed_reading

FORMAT = "wattledger.bundle/1"  # Of a community without an escrow.
FORMAT_WITH_CHARGING = "wattledger.bundle/2"
LATEST_S = 253_402_300_799  # The last second of the year 9999.


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownReading:
    """A signed reading, and since when the service has known it."""

    signed: SignedReading
    accepted_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedRun:
    """What the service says of a final run; an audit derives it again."""

    period_start_s: int
    run: int
    salts: RunSalts
    prices: Sequence[WindowPrice]
    totals: Sequence[WindowTotals]
    rows: Sequence[Sequence[StatementRow]]  # Dense from account 0.
    amounts_nano: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that an audit is given."""

    chain_id: int
    market: Address
    sharing: SharingRules
    readings: Sequence[KnownReading]  # By meter and instant, versions in order.
    runs: Mapping[tuple[int, int], ClaimedRun]
    balances_nano: Sequence[int]  # As the service last knew them.
    balances_at_block: int  # What happened later it says nothing of.
    from_s: int | None = None  # Of the first period that it is about; None: of all there are.
    until_s: int | None = None  # The end of the last one.
    erasures: Sequence[Erasure] = ()  # What is not there any more, on request or by age.
    charging: ChargingEvidence | None = None  # None: there is no escrow, or no word of it.


def evidence_of(community: Community) -> Evidence:
    """Collects the evidence of a data directory."""
    balances_at_block, balances_nano, final = community.ask(
        lambda told: (
            told.block_number,
            tuple(told.market.balances_nano),
            frozenset(told.market.final_order),
        )
    )
    kept = community.readings.versions(
        community.book().meters(), from_at=from_unix_s(0), until_at=from_unix_s(LATEST_S)
    )
    runs = {}
    for run in community.settlements.runs():
        if run.state == "final" or (run.period_start_s, run.run) in final:
            stored = community.settlements.statements(run.period_start_s, run.run)
            runs[(run.period_start_s, run.run)] = ClaimedRun(
                period_start_s=run.period_start_s,
                run=run.run,
                salts=RunSalts(
                    accounts=[each.result.salt for each in stored], totals=run.totals_salt
                ),
                prices=run.prices,
                totals=run.totals,
                rows=[each.result.rows for each in stored],
                amounts_nano=[each.result.amount_nano for each in stored],
            )
    return Evidence(
        chain_id=community.config.chain.chain_id,
        market=community.contracts.market,
        sharing=sharing_of(community.config),
        readings=[
            KnownReading(signed=each.signed, accepted_at_s=to_unix_s(each.accepted_at))
            for each in kept
        ],
        runs=runs,
        balances_nano=balances_nano,
        balances_at_block=balances_at_block,
        erasures=erasures(community.engine),
        charging=charging_evidence_of(community),
    )


def read_bundle(path: Path) -> Evidence:
    """Reads a bundle.

    Raises:
        BadInput: naming the field that does not have its form.
        EmptyFile, StorageFailed: there is nothing in it, or it cannot be read.
    """
    text = read_text(path)
    try:
        document: Any = parse_json(text)
        with_charging = document["format"] == FORMAT_WITH_CHARGING
        if not with_charging and document["format"] != FORMAT:
            rule = f"must be {FORMAT_WITH_CHARGING!r} or {FORMAT!r}"
            raise BadInput(field="format", rule=rule)
        if not with_charging and "charging" in document:
            raise BadInput(field="format", rule=f"with charging it is {FORMAT_WITH_CHARGING!r}")
        return Evidence(
            chain_id=int(document["chain_id"]),
            market=Address(bytes_of(document["market"], 20)),
            sharing=SharingRules(keys=document["keys"], priorities=document["priorities"]),
            readings=list(_readings(document["readings"])),
            runs=_by_period_and_run(_runs(document["runs"])),
            balances_nano=[int(nano) for nano in document["balances_nano"]],
            balances_at_block=int(document["balances_at_block"]),
            from_s=_instant_if_any(document.get("from")),
            until_s=_instant_if_any(document.get("until")),
            erasures=[_erasure(item) for item in document.get("erasures", ())],
            charging=charging_from_json(document["charging"]) if with_charging else None,
        )
    except KeyError as error:
        raise BadInput(field=str(error.args[0]), rule="is missing from the bundle") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise BadInput(field="bundle", rule=f"does not have its form: {error}") from error


def erasure_to_json(erasure: Erasure) -> dict[str, Any]:
    """As a bundle says it."""
    return {
        "account": erasure.account,
        "from": to_rfc3339(from_unix_s(erasure.from_s)),
        "until": to_rfc3339(from_unix_s(erasure.until_s)),
        "erased_at": to_rfc3339(from_unix_s(erasure.erased_at_s)),
    }


def _erasure(item: Mapping[str, Any]) -> Erasure:
    account = item["account"]
    return Erasure(
        account=None if account is None else AccountId(int(account)),
        from_s=to_unix_s(parse_instant(item["from"])),
        until_s=to_unix_s(parse_instant(item["until"])),
        erased_at_s=to_unix_s(parse_instant(item["erased_at"])),
    )


def _instant_if_any(text: str | None) -> int | None:
    return None if text is None else to_unix_s(parse_instant(text))


def _readings(items: list[dict[str, Any]]) -> Iterator[KnownReading]:
    for place, item in enumerate(items):
        fields = dict(item)
        accepted_at = parse_instant(fields.pop("accepted_at"))
        try:
            signed = parse_signed_reading(fields)
        except LedgerError as error:
            raise BadInput(field=f"readings[{place}]", rule=str(error)) from error
        yield KnownReading(signed=signed, accepted_at_s=to_unix_s(accepted_at))


def _by_period_and_run(runs: Iterator[ClaimedRun]) -> dict[tuple[int, int], ClaimedRun]:
    found: dict[tuple[int, int], ClaimedRun] = {}
    for run in runs:
        if found.setdefault((run.period_start_s, run.run), run) is not run:
            raise BadInput(field="runs", rule="one run is there twice")
    return found


def _runs(items: list[dict[str, Any]]) -> Iterator[ClaimedRun]:
    for item in items:
        accounts = [each["account"] for each in item["statements"]]
        if accounts != list(range(len(accounts))):
            raise BadInput(field="statements", rule="has not one for each account, in order")
        if [each["account"] for each in item["statements"]] != [*range(len(item["statements"]))]:
            raise BadInput(field="statements", rule="are not one for each account, in order")
        totals = unpack(bytes_of(item["totals"]))
        yield ClaimedRun(
            period_start_s=to_unix_s(parse_instant(item["period_start"])),
            run=int(item["run"]),
            salts=RunSalts(
                accounts=[Hash32(bytes_of(each["salt"], 32)) for each in item["statements"]],
                totals=Hash32(bytes_of(item["totals_salt"], 32)),
            ),
            prices=[WindowPrice.of_word(word) for word in unpack(bytes_of(item["prices"]))],
            totals=[
                WindowTotals.of_words(first, second)
                for first, second in zip(totals[::2], totals[1::2], strict=True)
            ],
            rows=[
                [StatementRow.of_word(word) for word in unpack(bytes_of(each["rows"]))]
                for each in item["statements"]
            ],
            amounts_nano=[int(each["amount_nano"]) for each in item["statements"]],
        )
