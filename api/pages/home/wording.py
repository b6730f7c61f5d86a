"""Times and stretches in a reader's words, and as machines want them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from babel.dates import format_date

from api.pages.home.stretches import Stretch, View
from api.pages.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How one reader is told of stretches of time."""

    words: Words

    def name_of(self, stretch: Stretch) -> str:
        """Such as "Tuesday 7 June 2016", "June 2016", "2016"."""
        match stretch.view:
            case View.DAY:
                return self.words.day(stretch.first_day)
            case View.MONTH:
                return self._date(stretch, "LLLL y")
            case View.YEAR:
                return self._date(stretch, "y")

    def when(self, stretch: Stretch) -> str:
        """The same as a sentence begins with it: "On Tuesday 7 June 2016"."""
        return self.words(f"home.when.{stretch.view}", name=self.name_of(stretch))

    def label_of_part(self, part: Stretch) -> str:
        """A day of a month, a month of a year, short."""
        return self._date(part, "EEE d" if part.view is View.DAY else "LLL")

    def period_name(self, start_at: datetime, end_at: datetime) -> str:
        """A period by the day in which it begins; a shorter one by its instant."""
        if end_at - start_at >= timedelta(days=1):
            return self.words.day(start_at)
        return self.words.instant(start_at)

    def period_hours(self, start_at: datetime, end_at: datetime) -> str:
        """From when to when, by the clock on the wall."""
        return self.words(
            "home.period.hours", start=self.words.instant(start_at), end=self.words.instant(end_at)
        )

    def duration(self, length_s: int) -> str:
        """Days and hours, rounded up."""
        days, hours = divmod(-(-length_s // 3_600), 24)
        in_days = self.words("home.withdraw.days", n=days)
        in_hours = self.words("home.withdraw.hours", n=hours)
        if days and hours:
            return self.words("home.withdraw.both", days=in_days, hours=in_hours)
        return in_days if days else in_hours

    def machine_time(self, at: datetime) -> str:
        """An instant as `<time datetime>` has it, with the offset of the clock on the wall."""
        return self.words.local(at).isoformat()

    def title_of_bar(self, label: str, energies_wh: Mapping[str, int | None]) -> str:
        """All of a bar in words."""
        parts = [
            f"{self.words(f'home.kind.{kind}')} {self.words.energy(energy_wh)}"
            for kind, energy_wh in energies_wh.items()
        ]
        return f"{label}: {', '.join(parts)}"

    def _date(self, stretch: Stretch, pattern: str) -> str:
        locale = self.words.language.numbers
        return str(format_date(stretch.first_day, format=pattern, locale=locale))
