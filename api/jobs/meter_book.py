"""The book of meters, from the registry's events."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Final

from ledger.chain import registry
from ledger.chain.protocol import Log
from ledger.periods import Schedule
from ledger.statements import StatementMeter
from ledger.units import AccountId, Address, from_unix_s, to_unix_s
from metering.meters import MeterBook, MeterClass, MeterTerm
from metering.readings import MeterId

if TYPE_CHECKING:
    from metering.store import Stretch  # It brings the database along.

# In the order of the contract's enum.
CLASSES = (MeterClass.CERTIFIED, MeterClass.GATEWAY, MeterClass.IMPORTED)

# The registry takes any instant below 2^64, so milliseconds too, and forgets none of them.
CALENDAR_ENDS_S: Final = to_unix_s(datetime(9999, 12, 31, tzinfo=UTC))


def book_of_logs(logs: Iterable[Log]) -> MeterBook:
    """Folds `TermBegan` and `TermEnded` into terms; a term that ends as it begins never was.

    What begins beyond the calendar's end begins there, and what would end there stays open.
    """
    terms: dict[MeterId, list[MeterTerm]] = {}
    for log in logs:
        event = registry.event_of(log)
        if event is None:
            continue
        if event.name == "TermBegan":
            meter_id = MeterId(event.arguments["meterId"])
            own = terms.setdefault(meter_id, [])
            valid_from = from_unix_s(min(event.arguments["validFrom"], CALENDAR_ENDS_S))
            if own and (own[-1].valid_until is None or own[-1].valid_until > valid_from):
                last = own.pop()
                if last.valid_from < valid_from:
                    own.append(replace(last, valid_until=valid_from))
            own.append(
                MeterTerm(
                    meter_id=meter_id,
                    key=Address(event.arguments["key"]),
                    account=AccountId(event.arguments["account"]),
                    meter_class=CLASSES[event.arguments["class"]],
                    limit_w=event.arguments["limitW"],
                    valid_from=valid_from,
                )
            )
        elif event.name == "TermEnded" and event.arguments["validUntil"] < CALENDAR_ENDS_S:
            own = terms[MeterId(event.arguments["meterId"])]
            own[-1] = replace(own[-1], valid_until=from_unix_s(event.arguments["validUntil"]))
    return MeterBook(term for own in terms.values() for term in own)


def meters_of(
    book: MeterBook, schedule: Schedule, account: int, period_start_s: int
) -> tuple[StatementMeter, ...]:
    """The meters that an account had in a period, and their classes."""
    end_s = schedule.period_end(period_start_s)
    found = {
        (term.meter_id, term.meter_class.value)
        for term in book.terms_of_account(AccountId(account))
        if to_unix_s(term.valid_from) < end_s
        and (term.valid_until is None or to_unix_s(term.valid_until) > period_start_s)
    }
    return tuple(
        StatementMeter(meter_id=meter_id, meter_class=meter_class)
        for meter_id, meter_class in sorted(found)
    )


def heard_through_s(
    book: MeterBook,
    stretches: Mapping[MeterId, "Stretch"],
    from_s: int,
    until_s: int,
    *,
    account: int | None = None,
) -> int:
    """Up to when every meter that is active in a stretch of time has been heard, or an account's.

    At least `until_s` if each has a reading at or after it, or at or after its term's end.
    """
    terms = (
        chain.from_iterable(map(book.terms_of_meter, book.meters()))
        if account is None
        else book.terms_of_account(AccountId(account))
    )
    through_s = until_s
    for term in terms:
        ends_s = until_s if term.valid_until is None else to_unix_s(term.valid_until)
        if to_unix_s(term.valid_from) >= until_s or ends_s <= from_s:
            continue
        stretch = stretches.get(term.meter_id)
        heard_s = 0 if stretch is None else to_unix_s(stretch.last_at)
        if heard_s < min(until_s, ends_s):
            through_s = min(through_s, heard_s)
    return through_s
