"""What all pages have in common, as a browser shows it."""

import pytest

from tests.browser.conftest import Visit
from tests.browser.looking import axe, fits, shoot


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
