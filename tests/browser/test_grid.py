"""The grid operator's job in a browser: see what is wrong, look at it, audit it, take it along."""

import json
from pathlib import Path

import pytest

from tests.browser.conftest import Visit
from tests.browser.looking import Visitor, axe, fits, shoot
from tests.browser.people import sign_in

VIEWS = (
    "overview",
    "meters",
    "chargers",
    "settlements",
    "accounts",
    "people",
    "audits",
    "service",
)


@pytest.mark.parametrize("who", ["home-2", "anna"])
def test_the_page_is_for_those_who_watch_over_the_grid(visit: Visit, who: str) -> None:
    visitor = visit()
    page = visitor.page("/grid")
    assert page.get_by_role("heading", level=1).inner_text() == "Please sign in to see this page"
    sign_in(visitor, who)
    page.goto(visitor.url + "/grid")
    heading = page.get_by_role("heading", level=1).inner_text()
    assert heading == "This page is not for your account"


@pytest.mark.parametrize(("phone", "dark", "language"), [(True, True, "fr"), (False, False, "en")])
def test_every_view_fits_and_keeps_nobody_out(
    visit: Visit, phone: bool, dark: bool, language: str
) -> None:
    visitor = visit(phone=phone, dark=dark, language=language)
    sign_in(visitor, "grid")
    for view in VIEWS:
        page = visitor.page(f"/grid?view={view}")
        assert page.locator("h1.answer").inner_text()
        axe(page)
        fits(page)
        shoot(page, f"grid-{view}-{'phone-dark-fr' if phone else 'desktop'}")
        page.close()


def test_an_auditor_finds_what_is_wrong_audits_and_takes_it_along(visit: Visit) -> None:
    visitor = visit(accept_downloads=True)
    sign_in(visitor, "grid")
    page = visitor.page("/grid")
    alarm = page.locator(".alarms li").filter(has_text="charge points are not connected")
    alarm.get_by_role("link").click()
    page.wait_for_url("**view=chargers**")
    assert page.locator("tbody tr").count() == offline_points(visitor)

    page.goto(visitor.url + "/grid?view=audits")
    page.get_by_role("button", name="Audit everything now").click()
    page.locator(".audits .badge", has_text="nothing wrong").wait_for(timeout=60_000)
    page.locator(".audits summary").first.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").first.click()
    report = json.loads(Path(download.value.path()).read_text())
    assert report["verdict"] == "ok"
    assert report["report"]["runs"] > 0

    page.goto(visitor.url + "/grid?view=settlements")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) - 1 == page.locator("tbody > tr").count() >= report["report"]["runs"]


def offline_points(visitor: Visitor) -> int:
    points = visitor.context.request.get(visitor.url + "/v1/chargers?limit=100").json()["items"]
    return sum(point["state"] == "offline" for point in points)
