"""`/` in a browser: strangers and members, at a desk and on a phone, each see their part."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import Visit
from tests.browser.looking import axe, fits, shoot, visitor
from tests.browser.people import sign_in
from tests.browser.service import Served, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SETTLED_DAY = "/?day=2016-06-02"
VIEWS: list[tuple[str | None, dict[str, Any]]] = [
    (None, {"phone": True, "language": "fr"}),
    (None, {"dark": True, "contrast": "more"}),
    ("home-2", {"phone": True, "dark": True}),
    ("home-2", {"language": "fr"}),
]


def named(how: dict[str, Any]) -> str:
    return "-".join(f"{name}_{value}" for name, value in how.items()) or "plain"


@pytest.mark.parametrize(("who", "how"), VIEWS)
def test_everybody_can_read_it_by_day_and_night(
    visit: Visit, who: str | None, how: dict[str, Any]
) -> None:
    visitor = visit(**how)
    if who:
        sign_in(visitor, who)
    page = visitor.page(SETTLED_DAY)
    page.locator("[data-price-curve] canvas").wait_for()
    fits(page)
    for table in page.locator("summary").all():
        table.click()
    axe(page)
    fits(page)
    shoot(page, f"now-{who or 'stranger'}-{named(how)}")


def test_a_stranger_learns_the_price_and_why_the_rest_is_hidden(visit: Visit) -> None:
    page = visit().page(SETTLED_DAY)
    assert "€0.20 per kWh" in page.get_by_role("heading", level=1).inner_text()
    assert page.locator("[data-flow]").count() == 0
    assert page.get_by_text("hidden: fewer than 5 homes").first.is_visible()
    page.get_by_text("The figures as a table").click()
    rows = page.locator("section[aria-labelledby=day-title] tbody tr")
    assert rows.count() == 24
    assert rows.first.get_by_text("hidden").count() >= 2


def test_a_member_sees_the_same_wh_in_picture_sums_and_table(visit: Visit) -> None:
    visitor = visit()
    sign_in(visitor, "home-2")
    page = visitor.page(SETTLED_DAY)
    drawn = page.locator("[data-flow] svg")
    drawn.wait_for()
    figures = drawn.locator(".figure").all_text_contents()
    sums = page.locator(".sums .num").all_inner_texts()
    numbers = {wh(number) for text in sums for number in text.split("=")[0].split("+")}
    assert {wh(figure.removesuffix("kWh")) for figure in figures} == numbers
    totals = {wh(text.split("=")[1]) for text in sums}
    page.locator("section[aria-labelledby=flow-title] summary").click()
    foot = page.locator("section[aria-labelledby=flow-title] tfoot td").last.inner_text()
    assert totals == {wh(foot)}


def wh(kwh: str) -> int:
    whole, _, rest = kwh.replace(",", "").strip().partition(".")
    return int(whole) * 1000 + int(rest.strip().ljust(3, "0"))


def test_links_of_the_flow_picture_have_one_scale(visit: Visit) -> None:
    visitor = visit()
    sign_in(visitor, "home-2")
    page = visitor.page(SETTLED_DAY)
    page.locator("[data-flow] svg").wait_for()
    heights = page.eval_on_selector_all(
        "[data-flow] rect.node", "all => all.map(bar => bar.height.baseVal.value)"
    )
    figures = page.eval_on_selector_all(
        "[data-flow] .figure", "all => all.map(text => parseFloat(text.textContent))"
    )
    scale = [height / figure for height, figure in zip(heights, figures, strict=True)]
    assert max(scale) - min(scale) < 0.01 * max(scale)


def test_a_newcomer_who_signs_in_as_a_home_sees_what_was_hidden(visit: Visit) -> None:
    page = visit(phone=True).page(SETTLED_DAY)
    page.locator("main [data-sign-in]").click()
    page.locator("dialog #demo-name").fill("home-2")
    page.locator("dialog #demo-name").press("Enter")
    page.locator("[data-flow] svg").wait_for()
    assert "gave away" in page.get_by_role("heading", level=1).inner_text()
    assert page.get_by_text("hidden: fewer than 5 homes").count() == 0


def test_the_days_are_reached_by_links_and_the_keyboard(visit: Visit) -> None:
    page = visit().page(SETTLED_DAY)
    page.get_by_role("link", name="Day before").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**day=2016-06-01")
    assert page.get_by_role("link", name="Day before").count() == 0
    page.get_by_role("link", name="Day after").click()
    page.wait_for_url("**day=2016-06-02")
    page.get_by_role("link", name="Now", exact=True).click()
    page.wait_for_url("**/")
    assert page.get_by_text("The last 24 hours").is_visible()


def test_pictures_follow_the_light_of_the_room(visit: Visit) -> None:
    page = visit().page(SETTLED_DAY)
    canvas = "document.querySelector('[data-price-curve] canvas')"
    page.locator("[data-price-curve] canvas").wait_for()
    drawn = f"{canvas}.getContext('2d').getImageData(0, 0, {canvas}.width, {canvas}.height).data"
    page.wait_for_function(f"{drawn}.some(Boolean)")
    by_day = page.evaluate(f"{canvas}.toDataURL()")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("getComputedStyle(document.body).backgroundColor === 'rgb(15, 21, 29)'")
    page.wait_for_function(f"before => {canvas} && {canvas}.toDataURL() !== before", arg=by_day)


def test_without_scripts_every_figure_is_still_there(visit: Visit) -> None:
    visitor = visit(java_script_enabled=False)
    sign_in(visitor, "home-2")
    page = visitor.page(SETTLED_DAY)
    assert page.locator(".sums").is_visible()
    page.locator("section[aria-labelledby=day-title] summary").click()
    assert page.locator("section[aria-labelledby=day-title] tbody tr").count() == 24


def test_it_prints_without_menus(visit: Visit) -> None:
    page = visit().page(SETTLED_DAY)
    page.emulate_media(media="print")
    assert not page.locator(".places").is_visible()
    assert page.get_by_role("heading", level=1).is_visible()


@pytest.fixture(scope="module")
def living(
    browser: "Browser", browser_demo: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A service whose homes live on, ten minutes a second."""
    home = tmp_path_factory.mktemp("living") / "home"
    shutil.copytree(browser_demo, home)
    with serving(home, "--replay", "--speed", "600") as served:
        yield served


def test_the_page_goes_on_with_time_by_itself(browser: "Browser", living: Served) -> None:
    with visitor(browser, living.url) as member:
        sign_in(member, "home-2")
        page = member.page("/")
        page.locator("[data-flow] svg").wait_for()
        page.locator("section[aria-labelledby=day-title] summary").click()
        status, data = page.locator("[role=status]"), page.locator("#now-data")
        said, told = status.inner_text(), data.text_content()
        page.evaluate("document.activeElement.blur()")
        page.wait_for_function(
            "told => document.querySelector('#now-data').textContent !== told",
            arg=told,
            timeout=60_000,
        )
        # It is drawn anew, what was opened stays open, and nothing is read aloud within a minute.
        page.locator("[data-flow] svg").wait_for()
        page.locator("[data-day-curve] canvas").wait_for()
        assert page.locator("section[aria-labelledby=day-title] tbody").is_visible()
        assert status.inner_text() == said
