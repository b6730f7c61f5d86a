"""Each account's money against what a period takes, for whoever watches over the grid."""

from collections.abc import Collection
from dataclasses import dataclass

from api.jobs.community import Community
from api.jobs.people.names import Names
from ledger.units import GRID_OPERATOR, SUPPLIER, AccountId, Address


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountWatch:
    """One account now."""

    account: AccountId
    owner: Address
    name: str | None
    balance_nano: int
    cover_nano: int | None  # For the period that runs; None of accounts 0 and 1, who need none.
    requested_micro: int  # Asked to be paid out.
    meters: int
    is_uncovered: bool  # In the last settled period.


def watch_accounts(community: Community, uncovered: Collection[int]) -> list[AccountWatch]:
    """Every account, in order."""
    names = Names(community).all_names(only_shown=False)
    history, book = community.refresh(), community.book()
    schedule = community.schedule
    runs_from_s = schedule.period_start_of(community.now_s())
    watched = []
    for index, owner in enumerate(list(history.owners)):
        account = AccountId(index)
        needs_none = account in {SUPPLIER, GRID_OPERATOR}
        watched.append(
            AccountWatch(
                account=account,
                owner=owner,
                name=names.get(account),
                balance_nano=history.balances_nano[index],
                cover_nano=None if needs_none else history.cover_nano(index, runs_from_s),
                requested_micro=history.request_at(index)[1],
                meters=len({term.meter_id for term in book.terms_of_account(account)}),
                is_uncovered=index in uncovered,
            )
        )
    return watched
