"""Looking at pages as people do: at a phone or a desk, by day or night, in their language."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

SHOTS = "WATTLEDGER_SHOTS"  # A directory: with it, `shoot` keeps what it sees there.
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SERIOUS = frozenset({"serious", "critical"})
AN_ANSWER = "Failed to load resource"  # A page may ask for what it is refused; its script copes.
LOCALES = {"en": "en-GB", "fr": "fr-FR"}

DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
}


@dataclass
class Visitor:
    """Somebody with a browser of their own. What the browser complains of fails the test."""

    context: "BrowserContext"
    url: str
    complaints: list[str] = field(default_factory=list)

    def page(self, path: str = "/") -> "Page":
        """A new tab at a path of the service."""
        page = self.context.new_page()
        page.goto(self.url + path)
        return page

    def _listen(self, page: "Page") -> None:
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda said: self._hear(said.type, said.text))
        page.on("request", lambda request: self._follow(request.url))

    def _hear(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not text.startswith(AN_ANSWER):
            self.complaints.append(f"{kind}: {text}")

    def _follow(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {url}")


@contextmanager
def visitor(
    browser: "Browser",
    url: str,
    *,
    phone: bool = False,
    dark: bool = False,
    language: str = "en",
    **options: Any,
) -> Iterator[Visitor]:
    """A visitor with empty pockets: no cookie, no storage.

    Args:
        options: of Playwright's `new_context`.
    """
    context = browser.new_context(
        **{
            **(PHONE if phone else DESKTOP),
            "color_scheme": "dark" if dark else "light",
            "locale": LOCALES[language],
            **options,
        }
    )
    context.set_default_timeout(20_000)
    made = Visitor(context=context, url=url)
    context.on("page", made._listen)
    try:
        yield made
        assert not made.complaints
    finally:
        context.close()


def axe(page: "Page") -> None:
    """Asks axe-core: there is nothing serious that keeps anybody from using this page."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415

    found = Axe().run(page, options={"runOnly": list(RULES)}).response["violations"]
    serious = [
        f"{each['id']} ({each['impact']}): {each['help']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]
    assert not serious, "\n".join(serious)


def fits(page: "Page") -> None:
    """Nothing makes the page wider than the screen."""
    width, inner = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= inner, f"{page.url}: {width} px on a screen of {inner}"


def shoot(page: "Page", name: str) -> None:
    """Keeps a picture of the whole page, where somebody wants to look."""
    if folder := os.environ.get(SHOTS):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
