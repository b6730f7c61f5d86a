"""Fixtures of the browser tests: one browser and one service a module, a visitor a test."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.looking import Visitor, visitor
from tests.browser.service import Served, make_demo, serving
from tests.once import made_once

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium without a window. As long as it is there, its event loop runs in this thread: other
    modules, which run loops of their own, must not meet it."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM HERE: the pages are not tested in a browser")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def browser_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo of three days; nobody may change it."""
    return made_once(tmp_path_factory, "browser-demo", make_demo)


@pytest.fixture(scope="module")
def service(
    browser: "Browser", browser_demo: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """`wattledger serve` over a copy of the demo, for the tests of one module."""
    home = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(browser_demo, home)
    with serving(home) as served:
        yield served


@pytest.fixture
def visit(browser: "Browser", service: Served) -> Iterator[Visit]:
    """Makes visitors: `visit(phone=True, dark=True, language="fr").page("/home")`."""
    with ExitStack() as stack:

        def arrive(**how: Any) -> Visitor:
            return stack.enter_context(visitor(browser, service.url, **how))

        yield arrive
