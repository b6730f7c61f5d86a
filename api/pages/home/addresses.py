"""Addresses of what the prosumer's pages show: everything that is chosen stands in them."""

from dataclasses import dataclass
from urllib.parse import urlencode

from api.pages.home.stretches import Stretch
from ledger.statement_file import statement_file_name
from ledger.statement_reads_store import RunKey
from ledger.units import AccountId, from_unix_s, to_rfc3339

HOME = "/home"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where an account is shown."""

    account: AccountId

    def to(self, stretch: Stretch) -> str:
        """A day, a month or a year."""
        return self._with(view=stretch.view.value, date=stretch.first_day.isoformat())

    def of(self, account: AccountId) -> str:
        """Another account, at what is known of it last."""
        return f"{HOME}?{urlencode({'account': account})}"

    def statements(self, before: RunKey | None = None) -> str:
        """The list of statements, from those before one on."""
        shown = {} if before is None else {"before": f"{before[0]}.{before[1]}"}
        return self._with(**shown) + "#statements"

    def _with(self, **shown: str) -> str:
        return f"{HOME}?{urlencode({'account': self.account, **shown})}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementAddress:
    """Where one statement is: as a page, as a file, as lines."""

    account: AccountId
    period_start_s: int
    period_end_s: int
    run: int

    @property
    def page(self) -> str:
        """The page that prints."""
        return f"{HOME}/statements/{self.account}/{_at(self.period_start_s)}?run={self.run}"

    @property
    def file(self) -> str:
        """The statement file."""
        at = _at(self.period_start_s)
        return f"/v1/accounts/{self.account}/statements/{at}?run={self.run}"

    @property
    def file_name(self) -> str:
        """What the file is called when it is kept."""
        return statement_file_name(self.period_start_s, self.account, self.run)

    @property
    def csv(self) -> str:
        """The period's windows, one a line."""
        asked = {"from": _at(self.period_start_s), "to": _at(self.period_end_s)}
        return f"/v1/accounts/{self.account}/statements.csv?{urlencode(asked)}"

    @property
    def csv_name(self) -> str:
        """What those lines are called when they are kept."""
        return statement_file_name(self.period_start_s, self.account, 0).replace(".json", ".csv")


def _at(unix_s: int) -> str:
    return to_rfc3339(from_unix_s(unix_s))
