"""What pages say: each sentence in each language, figures exact and as their readers write them."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.catalogue import LANGUAGES, Sentence, catalogue_of, forms_of
from api.pages.words import Words, placeholders_of

API = Path(__file__).parents[2] / "api"
CATALOGUES = {tag: catalogue_of(language) for tag, language in LANGUAGES.items()}
FORMS = {"en": {"one", "other"}, "fr": {"one", "other"}}  # `many` counts millions: as `other`.
USED_IN_TEMPLATES = re.compile(r"""\bt\(\s*["']([a-z0-9_.]+)["']\s*[,)]""")
USED_IN_SCRIPTS = re.compile(r"""\bt\(\s*["'](js\.[a-z0-9_.]+)["']\s*[,)]""")
NO_BREAK, NARROW = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"


def words(tag: str = "en", *, zone: str = "Europe/Berlin", currency: str = "EUR") -> Words:
    return Words(language=LANGUAGES[tag], zone=ZoneInfo(zone), currency=currency)


# The catalogues.


@pytest.mark.parametrize("tag", sorted(LANGUAGES))
def test_each_language_has_each_key(tag: str) -> None:
    assert CATALOGUES[tag].keys() == CATALOGUES["en"].keys()


@pytest.mark.parametrize("tag", sorted(LANGUAGES))
def test_a_sentence_waits_for_the_same_facts_in_each_language(tag: str) -> None:
    for key, english in CATALOGUES["en"].items():
        sentence = CATALOGUES[tag][key]
        assert facts_of(sentence) == facts_of(english), key
        forms = forms_of(sentence)
        if not isinstance(sentence, str):
            assert set(forms) == FORMS[tag], key
        for text in forms.values():
            assert text.strip() == text, key
            assert text, key
            assert not re.search(r"[{}]", re.sub(r"\{[a-z][a-z0-9_]*\}", "", text)), key


def facts_of(sentence: Sentence) -> set[str]:
    return {name for form in forms_of(sentence).values() for name in placeholders_of(form)}


@pytest.mark.parametrize("tag", sorted(LANGUAGES))
def test_a_key_belongs_to_the_file_whose_page_it_is_of_or_to_scripts(tag: str) -> None:
    for path in (API / "locale" / tag).glob("*.json"):
        keys = re.findall(r'^  "([a-z0-9_.]+)":', path.read_text(encoding="utf-8"), re.MULTILINE)
        assert keys
        assert len(keys) == len(set(keys))
        for key in keys:
            assert key.startswith((f"{path.stem}.", "js.")), f"{path}: {key}"


@pytest.mark.parametrize(
    ("path", "pattern"),
    [(path, USED_IN_TEMPLATES) for path in sorted((API / "templates").rglob("*.html"))]
    + [(path, USED_IN_SCRIPTS) for path in sorted((API / "static" / "js").rglob("*.js"))],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_what_a_page_says_stands_in_the_catalogue(path: Path, pattern: re.Pattern[str]) -> None:
    for key in pattern.findall(path.read_text(encoding="utf-8")):
        assert key in CATALOGUES["en"], f"{path.name} says {key}"


def test_sentences_are_typeset() -> None:
    for tag, catalogue in CATALOGUES.items():
        for key, sentence in catalogue.items():
            for text in forms_of(sentence).values():
                assert not re.search(r" [:;!?»]|« ", text), key
                assert not re.search(r"\w'\w", text), key
                if tag == "fr" and not key.endswith("_format"):
                    assert not re.search(r"[\w)}][!?»]", text), key


def test_scripts_are_given_their_sentences_and_no_others() -> None:
    given_words = words().for_scripts()
    sentences = given_words["sentences"]
    assert isinstance(sentences, dict)
    assert "js.problem" in sentences
    assert all(key.startswith("js.") for key in sentences)


# Figures.


@pytest.mark.parametrize(
    ("tag", "nano", "shown"),
    [
        ("en", 12_500_000_000, "€12.50"),
        ("fr", 12_500_000_000, f"12,50{NO_BREAK}€"),
        ("en", -203_600_000, "-€0.2036"),
        ("fr", -203_600_000, f"-0,2036{NO_BREAK}€"),
        ("en", 0, "€0.00"),
        ("en", 1, "€0.000000001"),
        ("en", 1_234_567_000_000_000, "€1,234,567.00"),
        ("fr", 1_234_567_000_000_000, f"1{NARROW}234{NARROW}567,00{NO_BREAK}€"),
        ("en", 2**63 - 1, "€9,223,372,036.854775807"),
        ("en", None, "—"),
    ],
)
def test_an_amount_is_written_to_its_last_digit(tag: str, nano: int | None, shown: str) -> None:
    assert words(tag).money_nano(nano) == shown


@given(nano=st.integers(-(2**63), 2**63 - 1), tag=st.sampled_from(sorted(LANGUAGES)))
def test_an_amount_can_be_read_back_unchanged(nano: int, tag: str) -> None:
    shown = words(tag).money_nano(nano)
    plain = re.sub(rf"[€{NO_BREAK}{NARROW}]", "", shown)
    plain = plain.replace(",", "") if tag == "en" else plain.replace(",", ".")
    assert Decimal(plain) * 10**9 == nano


def test_a_headline_rounds_to_the_cent_and_says_so_by_its_name() -> None:
    assert words().about_nano(1_115_000_000) == "€1.12"
    assert words().about_nano(1_125_000_000) == "€1.12"
    assert words().about_nano(-5_000_001) == "-€0.01"
    assert words().about_nano(None) == "—"


def test_money_that_is_no_currency_of_the_world_is_named_behind() -> None:
    assert words(currency="tokens").money_micro(1_500_000) == f"1.50{NO_BREAK}tokens"
    assert words("fr", currency="EUR2").money_micro(-1) == f"-0,000001{NO_BREAK}EUR2"


def test_a_price_has_its_unit_and_may_be_nothing_or_less() -> None:
    assert words().price(180_000) == "€0.18 per kWh"
    assert words("fr").price(180_000) == f"0,18{NO_BREAK}€ par kWh"
    assert words().price(0) == "€0.00 per kWh"
    assert words().price(-12_300) == "-€0.0123 per kWh"
    assert words().price(None) == "—"


@pytest.mark.parametrize(
    ("energy_wh", "energy", "kwh"),
    [
        (0, "0.0", "0.000"),
        (6_200, "6.2", "6.200"),
        (6_201, "6.201", "6.201"),
        (1, "0.001", "0.001"),
        (12_345_678, "12,345.678", "12,345.678"),
    ],
)
def test_energy_is_kwh_to_the_wh(energy_wh: int, energy: str, kwh: str) -> None:
    assert words().energy(energy_wh) == f"{energy}{NO_BREAK}kWh"
    assert words().kwh(energy_wh) == kwh


def test_what_is_not_known_is_no_zero() -> None:
    said = words()
    for show in (said.energy, said.kwh, said.power, said.price, said.money_micro, said.instant):
        assert show(None) == "—"


def test_power_is_w_then_kw() -> None:
    assert words().power(999) == f"999{NO_BREAK}W"
    assert words().power(11_000) == f"11.0{NO_BREAK}kW"
    assert words("fr").power(-1_234) == f"-1,234{NO_BREAK}kW"


def test_plurals_are_chosen_by_number_as_each_language_does() -> None:
    key, forms = "grid.silent", {"one": "{n} meter", "other": "{n} meters"}
    for tag, zero in (("en", "other"), ("fr", "one")):
        locale = LANGUAGES[tag].numbers
        assert locale.plural_form(0) == zero, key
        assert forms[str(locale.plural_form(1))] == "{n} meter"
        assert forms[str(locale.plural_form(2))] == "{n} meters"


# Time.


def test_times_are_local_through_the_year() -> None:
    said = words()
    summer, winter = (
        datetime(2016, 6, 1, 12, 30, tzinfo=UTC),
        datetime(2016, 12, 1, 12, 30, 5, tzinfo=UTC),
    )
    assert (said.clock(summer), said.clock(winter, seconds=True)) == ("14:30", "13:30:05")
    assert said.instant(summer) == "1 Jun 2016, 14:30"
    assert words("fr").instant(winter) == "1 déc. 2016, 13:30"
    assert words(zone="Asia/Kathmandu").clock(summer) == "18:15"


def test_a_day_is_the_local_one() -> None:
    late = datetime(2016, 5, 31, 22, 30, tzinfo=UTC)
    assert words().day(late) == "Wednesday 1 June 2016"
    assert words("fr").day(date(2016, 6, 1)) == "mercredi 1 juin 2016"
    assert words(zone="UTC").day(late) == "Tuesday 31 May 2016"
