"""Whole sentences and exact figures in one reader's language, zone and currency (CLDR).

No figure is rounded unless its name says `about`: a page, a file and the API show the same digits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal, format_percent

from api.pages.catalogue import NO_BREAK, PLACEHOLDER, Language, Sentence, catalogue_of, forms_of
from ledger.units import BPS, MICRO_PER_TOKEN, NANO_PER_MICRO

NANO_PER_TOKEN: Final = MICRO_PER_TOKEN * NANO_PER_MICRO
WH_PER_KWH: Final = 1_000
BPS_PER_CENT: Final = 100
UNKNOWN: Final = "\N{EM DASH}"  # What is not known is no zero.
ISO_CURRENCIES: Final = frozenset(Locale("en").currencies)


@dataclass(frozen=True)  # Has cached properties, so it has no slots.
class Words:
    """Says things to one reader."""

    language: Language
    zone: ZoneInfo
    currency: str

    def __call__(self, key: str, **facts: object) -> str:
        """The sentence of a key, its `{placeholders}` filled in.

        Args:
            facts: whole numbers are written as the language does: give ids as text. `n` chooses
                among a sentence's plural forms.
        """
        filled = {name: self._text(fact) for name, fact in facts.items()}
        return self.sentence(key, facts.get("n")).format_map(filled)

    def sentence(self, key: str, n: object = None) -> str:
        """The sentence of a key, its placeholders open."""
        forms = forms_of(catalogue_of(self.language)[key])
        form = str(self._numbers.plural_form(abs(n))) if isinstance(n, int) else "other"
        return forms.get(form, forms["other"])

    def for_scripts(self) -> dict[str, object]:
        """What `js/words.js` needs to say the same things in the same way."""
        sentences: Mapping[str, Sentence] = {
            key: sentence
            for key, sentence in catalogue_of(self.language).items()
            if key.startswith("js.")
        }
        symbols = self._numbers.number_symbols["latn"]
        before, after = self.money_micro(0).split(self._decimal(Decimal(0), least=2))
        return {
            "language": self.language.tag,
            "locale": self.language.locale.replace("_", "-"),
            "zone": self.zone.key,
            "currency": self.currency,
            "decimal": symbols["decimal"],
            "group": symbols["group"],
            "minus": symbols["minusSign"],
            "money": [before, after],
            "day_format": self("frame.day_format"),
            "instant_format": self("frame.instant_format"),
            "sentences": sentences,
        }

    # Money and prices.

    def money_nano(self, amount_nano: int | None) -> str:
        """An amount, exactly: two digits behind the point, more where they say something."""
        return self._money(amount_nano, NANO_PER_TOKEN)

    def money_micro(self, amount_micro: int | None) -> str:
        """An amount in the token's base units, exactly."""
        return self._money(amount_micro, MICRO_PER_TOKEN)

    def tokens_nano(self, amount_nano: int | None, *, least: int = 2) -> str:
        """An amount's digits alone, for columns whose head names the currency.

        Args:
            least: digits behind the point, so that the points of a column stand below each other.
        """
        return self._tokens(amount_nano, NANO_PER_TOKEN, least)

    def tokens_micro(self, amount_micro: int | None) -> str:
        """The same of base units and of prices; also for fields to fill in."""
        return self._tokens(amount_micro, MICRO_PER_TOKEN, 2)

    def about_nano(self, amount_nano: int | None) -> str:
        """An amount for a headline: to two digits, half to even."""
        if amount_nano is None:
            return UNKNOWN
        cents = (Decimal(amount_nano) / NANO_PER_TOKEN).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        return self._money(int(cents * MICRO_PER_TOKEN), MICRO_PER_TOKEN)

    def price(self, per_kwh: int | None) -> str:
        """A price with its unit."""
        if per_kwh is None:
            return UNKNOWN
        return self("frame.per_kwh", price=self.money_micro(per_kwh))

    # Energy, power and numbers.

    def energy(self, energy_wh: int | None) -> str:
        """kWh, exactly, with their unit."""
        if energy_wh is None:
            return UNKNOWN
        kwh = self._decimal(Decimal(energy_wh) / WH_PER_KWH, least=1)
        return f"{kwh}{NO_BREAK}kWh"

    def kwh(self, energy_wh: int | None) -> str:
        """The number of kWh alone, to the Wh, for columns whose head names the unit."""
        if energy_wh is None:
            return UNKNOWN
        return self._decimal(Decimal(energy_wh) / WH_PER_KWH, least=3)

    def power(self, power_w: int | None) -> str:
        """W, or kW from 1,000 on."""
        if power_w is None:
            return UNKNOWN
        if abs(power_w) < WH_PER_KWH:
            return f"{self.number(power_w)}{NO_BREAK}W"
        return f"{self._decimal(Decimal(power_w) / WH_PER_KWH, least=1)}{NO_BREAK}kW"

    def number(self, number: int) -> str:
        """A whole number."""
        return str(format_decimal(number, locale=self._numbers))

    def per_cent(self, bps: int) -> str:
        """Ten-thousandths as per cent, exactly."""
        shown = format_percent(Decimal(bps) / BPS, locale=self._numbers, decimal_quantization=False)
        return str(shown)

    def about_per_cent(self, bps: int) -> str:
        """Whole per cent, rounded down."""
        return self.per_cent(bps // BPS_PER_CENT * BPS_PER_CENT)

    # Time, local.

    def local(self, at: datetime) -> datetime:
        """An instant by the community's clock on the wall."""
        return at.astimezone(self.zone)

    def day(self, day: date) -> str:
        """A day with its weekday; of an instant, the local day."""
        if isinstance(day, datetime):
            day = self.local(day).date()
        return str(format_date(day, format=self("frame.day_format"), locale=self._numbers))

    def clock(self, at: datetime, *, seconds: bool = False) -> str:
        """The time of day."""
        shape = "HH:mm:ss" if seconds else "HH:mm"
        return str(format_time(self.local(at), format=shape, locale=self._numbers))

    def instant(self, at: datetime | None) -> str:
        """Day and time of day."""
        if at is None:
            return UNKNOWN
        shown = format_datetime(
            at, format=self("frame.instant_format"), tzinfo=self.zone, locale=self._numbers
        )
        return str(shown)

    # Inside.

    @cached_property
    def _numbers(self) -> Locale:
        return self.language.numbers

    def _text(self, fact: object) -> object:
        return self.number(fact) if isinstance(fact, int) and not isinstance(fact, bool) else fact

    def _money(self, amount: int | None, per_token: int) -> str:
        if amount is None:
            return UNKNOWN
        value = Decimal(amount) / per_token
        if self.currency not in ISO_CURRENCIES:
            return f"{self._decimal(value, least=2)}{NO_BREAK}{self.currency}"
        shown = format_currency(
            value,
            self.currency,
            locale=self._numbers,
            currency_digits=False,
            decimal_quantization=False,
        )
        return str(shown)

    def _tokens(self, amount: int | None, per_token: int, least: int) -> str:
        if amount is None:
            return UNKNOWN
        return self._decimal(Decimal(amount) / per_token, least=least)

    def _decimal(self, value: Decimal, *, least: int) -> str:
        """All digits that say something, and at least so many behind the point."""
        pattern = f"#,##0.{'0' * least}"
        shown = format_decimal(
            value, format=pattern, locale=self._numbers, decimal_quantization=False
        )
        return str(shown)


def digits_of(amounts_nano: Iterable[int]) -> int:
    """Digits behind the point with which all of these amounts are exact: at least two."""
    behind = (f"{abs(each) % NANO_PER_TOKEN:09d}".rstrip("0") for each in amounts_nano)
    return max(2, *map(len, behind), 2)


def placeholders_of(sentence: str) -> frozenset[str]:
    """The names that a sentence waits for."""
    return frozenset(PLACEHOLDER.findall(sentence))
