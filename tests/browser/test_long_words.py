"""Pages in a language two fifths longer than English: nothing is cut off or pushed apart."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.looking import fits, shoot, visitor
from tests.browser.people import sign_in
from tests.browser.pseudo import PROGRAM, TAG
from tests.browser.service import Served, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES = [
    ("home-2", "/"),
    ("home-2", "/?day=2016-06-02"),
    (None, "/?day=2016-06-02"),
    (None, "/docs"),
    (None, "/nothing"),
    ("home-2", "/home"),
    ("home-8", "/home"),  # The chargers' host.
    ("home-4", "/home/statements/4/2016-06-02T00:00:00Z"),
    ("joe", "/home"),
    (None, "/verify"),
    (None, "/charge"),
    ("grid", "/grid"),
]
CUT_OFF = """() => [...document.querySelectorAll("a, button, summary, th, dt, dd, h1, h2, p, li")]
  .filter((each) => each.offsetParent !== null && !each.classList.contains("skip"))
  .filter((each) => each.scrollWidth > each.clientWidth + 1
    && ["hidden", "clip"].includes(getComputedStyle(each).overflowX))
  .map((each) => each.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def long_service(
    browser: "Browser", browser_demo: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A service that also speaks the long language."""
    home = tmp_path_factory.mktemp("long") / "home"
    shutil.copytree(browser_demo, home)
    with serving(home, program=PROGRAM) as served:
        yield served


@pytest.mark.parametrize(("who", "path"), PAGES)
def test_a_longer_language_fits(
    browser: "Browser", long_service: Served, who: str | None, path: str
) -> None:
    for phone in (True, False):
        with visitor(browser, long_service.url, phone=phone) as somebody:
            if who:
                sign_in(somebody, who)
            page = somebody.page(f"{path}{'&' if '?' in path else '?'}lang={TAG}")
            assert page.locator("html").get_attribute("lang") == TAG
            fits(page)
            assert cut_off(page) == []
            shoot(page, f"long{path.replace('/', '-')}-{'phone' if phone else 'desktop'}-{who}")


def cut_off(page: "Page") -> list[str]:
    """Elements that hide some of their words."""
    found: list[str] = page.evaluate(CUT_OFF)
    return found
