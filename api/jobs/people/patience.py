"""What the chain refused is asked for again, more and more rarely."""

from datetime import datetime, timedelta
from typing import Final

from ledger.outbox_states import Entry, State

WAIT_S_MAX: Final = 600


class Patience:
    """When to ask again. What it knows can be lost at any time."""

    def __init__(self) -> None:
        self._next: dict[str, tuple[datetime, int]] = {}  # By key: when, and the wait after it.

    def is_due(self, key: str, entry: Entry | None, now_at: datetime) -> bool:
        """Whether to ask now: never asked, or refused and waited for long enough since."""
        if entry is None:
            return True
        if entry.state is not State.REVERTED:
            return False
        next_at, wait_s = self._next.get(key, (now_at, 1))
        if now_at < next_at:
            return False
        self._next[key] = (now_at + timedelta(seconds=wait_s), min(2 * wait_s, WAIT_S_MAX))
        return True
