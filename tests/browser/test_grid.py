"""The grid operator's job in a browser: see what is wrong, look at it, audit it, take it along."""

import json
from pathlib import Path

import pytest

from ledger.chain.wallet import Wallet, new_wallet
from ledger.keccak import checksum_address, personal_digest
from tests.browser.conftest import Visit
from tests.browser.looking import Visitor, axe, fits, shoot
from tests.browser.people import sign_in, wallet_of

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


def test_whoever_decides_about_a_device_sees_what_it_is_to_be(visit: Visit) -> None:
    home, device = visit(), new_wallet()
    sign_in(home, "home-2")
    asked = home.context.request.post(
        home.url + "/v1/meters", data=pairing_of(home, device, wallet_of("home-2"))
    )
    assert asked.ok, asked.text()
    visitor = visit()
    sign_in(visitor, "grid")
    page = visitor.page("/grid?view=people")
    shown = page.locator(".requests li").filter(has_text="Balcony")
    words = shown.inner_text()
    assert "For account 2: a certified meter, at most 100 W" in words.replace("\xa0", " ")
    assert checksum_address(device.address) in words
    shoot(page, "grid-device")
    shown.get_by_role("button", name="Refuse").click()
    shown.get_by_text("Refused.").wait_for()


def pairing_of(visitor: Visitor, device: Wallet, owner: Wallet) -> dict[str, object]:
    """A device's own word that it is to be a meter of account 2."""
    market = visitor.context.request.get(visitor.url + "/v1/market").json()
    text = (
        f"Wattledger: pair this meter\nChain ID: {market['chain_id']}\n"
        f"Registry: {market['contracts']['registry']}\nAccount: 2\n"
        f"Owner: {checksum_address(owner.address)}\nClass: certified\nLimit: 100 W\n"
        f"Issued At: {market['now']}"
    )
    return {
        "account": 2,
        "label": "Balcony",
        "key": checksum_address(device.address),
        "class": "certified",
        "limit_w": 100,
        "issued_at": market["now"],
        "proof": "0x" + device.sign_digest(personal_digest(text)).hex(),
    }


def offline_points(visitor: Visitor) -> int:
    points = visitor.context.request.get(visitor.url + "/v1/chargers?limit=100").json()["items"]
    return sum(point["state"] == "offline" for point in points)
