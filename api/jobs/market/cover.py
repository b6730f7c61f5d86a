"""How long a deposit lasts: what a period is expected to need, and when to warn (pure).

Cover is lost when it is less than a period's import at the grid's price (DESIGN §2). Expected of
the period that runs is the most that any period of the last days imported, or what it has imported
already; and of its cover, what the periods before it will have changed when it is settled.

What is paid in or asked for within a period counts from the next one on: it is that one which a
warning is about, because something can still be done for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

DAYS_LOOKED_AT: Final = 7
DAYS_WARNED: Final = 3  # Before cover is lost at the rate of those days.
DAY_S: Final = 86_400
COVER_LOW: Final = "cover_low"
COVER_LOST: Final = "cover_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What an account can expect of its cover."""

    needed_nano: int
    spent_per_day_nano: int
    lasts_days: int | None
    is_covered: bool
    warning: str | None


def outlook_of(
    *,
    cover_nano: int,
    next_cover_nano: int,
    imports_wh: Mapping[int, int],
    amount_nano: int,
    seconds: int,
    grid_import_per_kwh: int,
) -> Outlook:
    """An account's outlook.

    Args:
        cover_nano: of the period that runs, as it will be when that is settled.
        next_cover_nano: of the period after it, the same.
        imports_wh: of each period that was looked at, and of the one that runs.
        amount_nano: what the windows that were looked at moved.
        seconds: how long they lasted.
    """
    needed_nano = max(imports_wh.values(), default=0) * grid_import_per_kwh
    spent_per_day_nano = -amount_nano * DAY_S // seconds if seconds else 0
    warning = None if next_cover_nano >= needed_nano else COVER_LOST
    if warning is None and next_cover_nano - needed_nano < DAYS_WARNED * spent_per_day_nano:
        warning = COVER_LOW
    lasts_days = None
    if spent_per_day_nano > 0:
        lasts_days = max(0, next_cover_nano) // spent_per_day_nano
    return Outlook(
        needed_nano=needed_nano,
        spent_per_day_nano=spent_per_day_nano,
        lasts_days=lasts_days,
        is_covered=cover_nano >= needed_nano,
        warning=warning,
    )
