"""What all pages have in common, as a browser shows it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from api.pages.catalogue import LANGUAGES
from api.pages.words import Words
from ledger.units import to_rfc3339
from tests.browser.conftest import Visit
from tests.browser.looking import axe, fits, shoot

if TYPE_CHECKING:
    from playwright.sync_api import Page

AMOUNTS = [0, 1, -1, 999_999, 1_000_000, 12_500_000, -203_600, 1_234_567_890_123, 2**63 - 1]
ENERGIES = [0, 1, 12, 999, 1_000, 6_200, -1_234, 12_345_678]
INSTANTS = [
    datetime(2016, 6, 1, 12, 30, tzinfo=UTC),
    datetime(2016, 12, 31, 23, 30, tzinfo=UTC),
    datetime(2016, 3, 27, 1, tzinfo=UTC),
]


def test_a_language_is_chosen_once_and_kept(visit: Visit) -> None:
    page = visit(phone=True).page("/")
    assert page.locator("html").get_attribute("lang") == "en"
    page.get_by_role("link", name="Français").click()
    assert page.locator("html").get_attribute("lang") == "fr"
    page.goto(page.url.split("?")[0])
    assert page.locator("html").get_attribute("lang") == "fr"


def test_the_keyboard_finds_the_way_past_the_menu(visit: Visit) -> None:
    page = visit().page("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


@pytest.mark.parametrize("dark", [False, True])
def test_a_page_that_is_not_there_says_so_in_the_frame(visit: Visit, dark: bool) -> None:
    page = visit(phone=True, dark=dark).page("/nothing")
    assert page.get_by_role("heading", level=1).inner_text() == "There is no such page"
    axe(page)
    fits(page)
    shoot(page, f"problem-{'dark' if dark else 'light'}")


def test_scripts_write_figures_as_the_service_does(visit: Visit) -> None:
    """The same digits, signs and gaps in what is rendered here and what is rendered there."""
    for tag in ("en", "fr"):
        page = visit(language=tag).page("/nothing")
        said = Words(language=LANGUAGES[tag], zone=ZoneInfo("Europe/Berlin"), currency="EUR")
        for amount in AMOUNTS:
            assert told(page, "money", str(amount)) == said.money_micro(amount)
            assert told(page, "moneyNano", str(amount)) == said.money_nano(amount)
            assert told(page, "price", str(amount)) == said.price(amount)
        for number in ENERGIES:
            assert told(page, "energy", number) == said.energy(number)
            assert told(page, "kwh", number) == said.kwh(number)
            assert told(page, "power", number) == said.power(number)
            assert told(page, "number", number) == said.number(number)
        for at in INSTANTS:
            assert told(page, "clock", to_rfc3339(at)) == said.clock(at)
            assert told(page, "day", to_rfc3339(at)) == said.day(at)
            assert told(page, "instant", to_rfc3339(at)) == said.instant(at)


def told(page: "Page", name: str, argument: str | int) -> str:
    call = "([name, argument]) => import('/static/js/words.js').then((it) => it[name](argument))"
    said: str = page.evaluate(call, [name, argument])
    return said
