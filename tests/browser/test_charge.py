"""The driver's whole job in a browser: from the sign on the charger to refund and receipt."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.keccak import checksum_address
from tests.browser.chargers import charge_points, fetch
from tests.browser.conftest import Visit
from tests.browser.driving import (
    DIGEST,
    ENDS_WITHIN_MS,
    POCKET_MICRO,
    SHOW_AGED,
    balance_micro,
    be,
    fill,
    is_order,
    leaves,
    look,
    reviewed,
    sessions_of,
    sign,
    stand_before,
    stop,
    until_charging,
    until_measured,
)
from tests.browser.looking import axe, shoot
from tests.browser.people import wallet_of
from tests.browser.service import Served
from tests.browser.signed_messages import signed_messages
from tests.browser.wallets import wallet_named

NEWCOMER_S = 60
POINTS = 9  # More than there are tests that charge: a car that was charged takes a while to leave.


@pytest.fixture(scope="module")
def points(service: Served) -> Iterator[list[str]]:
    """Charge points with cars; the first one refuses to start."""
    names = [point["id"] for point in fetch(service, "/v1/chargers")["items"][:POINTS]]
    with charge_points(service, names, refusing=names[:1]):
        yield names


@pytest.fixture
def charger(points: list[str]) -> str:
    """A charge point at which nobody has charged yet."""
    return points.pop()


@pytest.fixture
def anywhere(points: list[str]) -> str:
    """A charge point that can be looked at."""
    return points[0]


# The whole job.


def test_a_newcomer_charges_in_under_a_minute_with_the_demo_wallet(
    visit: Visit, service: Served, charger: str
) -> None:
    visitor = visit(phone=True)
    sheet = visitor.page(f"/charge/{charger}/sign")
    assert sheet.locator(".charger-sign svg.qr").count() == 1
    url = sheet.locator(".charger-sign .code").inner_text()
    assert url == f"{service.url}/charge/{charger}?connector=1"
    began_at = time.monotonic()

    page = stand_before(visitor, charger, "?connector=1")
    assert page.get_by_role("heading", level=1).inner_text() == (
        "€0.39 per kWh: 30 kWh cost about €12.05"
    )
    assert page.locator(".prices tr").all_inner_texts() == ["€0.39\tper kWh", "€0.35\tper start"]
    look(page, "charge-1-offer-phone")
    page.get_by_role("button", name="Start charging").click()
    page.get_by_role("button", name="anna, a driver").wait_for()
    look(page, "charge-2-who-phone")
    be(page, "nina")
    page.locator("dialog.review").wait_for()
    look(page, "charge-3-review-phone")
    sign(page)
    until_measured(page)
    look(page, "charge-4-live-phone")
    stop(page)
    assert time.monotonic() - began_at < NEWCOMER_S

    (session,) = sessions_of(visitor)
    assert session["driver"] == checksum_address(wallet_of("nina").address)
    assert session["state"] == "closed"
    deposit, paid = int(session["deposit_micro"]), int(session["paid_micro"])
    assert deposit == 20_000_000 == paid + int(session["refunded_micro"])
    assert paid == 350_000 + session["energy_wh"] * 390
    assert balance_micro(service, session["driver"]) == POCKET_MICRO - paid
    answer = page.get_by_role("heading", level=1).inner_text()
    assert answer.startswith(f"{session['energy_wh'] / 1000:.3f}".rstrip("0"))
    assert answer.endswith("came back to your wallet.")

    page.get_by_role("button", name="Check this receipt here").click()
    page.locator("#checked .ticks").wait_for()
    assert page.locator("[data-tick][data-passed=true]").count() == 4
    look(page, "charge-5-outcome-phone")
    page.get_by_role("link", name="Receipt", exact=True).click()
    assert page.get_by_text(session["session_id"]).count()
    look(page, "charge-6-receipt-phone")


def test_a_charge_outlives_a_reload_and_takes_more_deposit(visit: Visit, charger: str) -> None:
    visitor = visit(dark=True)
    page = stand_before(visitor, charger)
    look(page, "charge-1-offer-dark")
    page.get_by_label("Another amount").last.fill("7,50")
    page.get_by_role("button", name="Start charging").click()
    be(page, "omar")
    sign(page)
    until_charging(page)
    page.reload()
    until_charging(page)
    page.get_by_role("button", name="Add to the deposit").click()
    page.get_by_role("button", name="€5.00").click()
    page.locator("dialog.review").wait_for()
    axe(page)
    sign(page)
    page.wait_for_function(
        "() => document.querySelector('[data-live=limit]').textContent.includes('€12.50')"
    )
    look(page, "charge-4-live-dark")
    stop(page)
    (session,) = sessions_of(visitor)
    assert session["deposit_micro"] == "12500000"
    assert int(session["paid_micro"]) + int(session["refunded_micro"]) == 12_500_000

    def refused(route: Any) -> None:
        """As if the money's contract had not taken part of the refund."""
        route.fulfill(json={**route.fetch().json(), "claimable_micro": "750000"})

    page.route("**/v1/income", refused)
    page.reload()
    page.locator("#outcome").wait_for()
    waits = page.locator("#waits", has_text="€0.75 could not be sent to your wallet")
    link = waits.get_by_role("link", name="Have it paid out")
    assert link.get_attribute("href") == "/home#charged"
    page.get_by_role("link", name="Charge again").click()
    page.wait_for_function("() => !document.getElementById('start').disabled")


def test_a_charge_goes_the_same_way_in_french(visit: Visit, charger: str) -> None:
    visitor = visit(phone=True, dark=True, language="fr")
    page = stand_before(visitor, charger)
    assert "par kWh" in page.get_by_role("heading", level=1).inner_text()
    shoot(page, "charge-1-offer-phone-dark-fr")
    page.get_by_role("button", name="Recharger").click()
    page.get_by_role("button", name="anna, en voiture").wait_for()
    shoot(page, "charge-2-who-phone-dark-fr")
    be(page, "lea")
    page.locator("dialog.review").wait_for()
    look(page, "charge-3-review-phone-dark-fr")
    sign(page)
    until_measured(page)
    look(page, "charge-4-live-phone-dark-fr")
    stop(page)
    answer = page.get_by_role("heading", level=1).inner_text()
    assert answer.endswith("sont revenus dans votre portefeuille.")
    page.get_by_role("button", name="Vérifier ce reçu ici").click()
    page.locator("#checked .ticks").wait_for()
    look(page, "charge-5-outcome-phone-dark-fr")


# Wallets.


def test_the_browser_signs_the_digests_that_python_and_the_contracts_compute(visit: Visit) -> None:
    page = visit().page("/charge")
    for each in signed_messages():
        found = page.evaluate(DIGEST, [each.type_name, each.domain, each.message])
        assert found == "0x" + each.digest.hex(), each.type_name


def test_a_browser_wallet_is_shown_what_the_page_has_shown(
    visit: Visit, service: Served, charger: str
) -> None:
    visitor = visit()
    wallet = wallet_named("vera", service.url, 1337)
    wallet.live_in(visitor.context)
    fill(service, wallet)
    page = stand_before(visitor, charger)
    page.get_by_role("button", name="Start charging").click()
    page.get_by_role("button", name="Wallet of the test").click()
    page.locator("dialog.review").wait_for()
    look(page, "charge-3-review-desktop")
    shown = reviewed(page)
    assert wallet.typed == []  # Nothing was asked before it was shown.
    sign(page)
    until_charging(page)
    assert [document["primaryType"] for document in wallet.typed] == ["ChargeOrder", "Permit"]
    for document, digest in zip(wallet.typed, wallet.digests, strict=True):
        fields, said_digest = shown[document["primaryType"]]
        assert fields == list(leaves(document, document["primaryType"], document["message"]))
        assert said_digest == digest
    assert wallet.asked.count("personal_sign") == 1  # Three signatures, no more.
    stop(page)
    (session,) = sessions_of(visitor)
    assert session["session_id"] == wallet.digests[0]
    assert session["driver"] == wallet.address
    assert balance_micro(service, wallet.address) == POCKET_MICRO - int(session["paid_micro"])


def test_a_wallet_on_another_chain_is_not_asked_to_sign(
    visit: Visit, service: Served, anywhere: str
) -> None:
    visitor = visit(phone=True)
    wallet = wallet_named("walt", service.url, 1)
    wallet.live_in(visitor.context)
    page = stand_before(visitor, anywhere)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Wallet of the test").click()
    alert = page.locator("dialog [role=alert]")
    alert.get_by_text("The wallet is on chain 1, and this community on chain 1337.").wait_for()
    look(page, "charge-wrong-chain-phone")
    assert set(wallet.asked) == {"eth_requestAccounts", "eth_chainId"}
    # The chain is the service's own: the wallet is told where it is.
    page.get_by_role("button", name="Switch the wallet to chain 1337").click()
    signed_in = page.get_by_role("button", name=f"Signed in as {wallet.address}: account")
    signed_in.wait_for()
    assert wallet.chain_id == 1337
    assert wallet.asked.count("wallet_addEthereumChain") == 1
    # One that goes elsewhere later is refused, too, before anything is signed.
    fill(service, wallet)
    page.get_by_role("button", name="Start charging").click()
    page.locator("dialog.review").wait_for()
    wallet.chain_id = 10
    sign(page)
    page.locator("dialog [role=alert]").get_by_text("The wallet is on chain 10").wait_for()
    assert wallet.typed == []
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Nothing was signed, and nothing was taken.").wait_for()
    signed_in.click()
    look(page, "charge-account-phone")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    assert visitor.context.request.get(visitor.url + "/v1/me").status == 401


def test_who_does_not_sign_has_nothing_taken(visit: Visit, service: Served, anywhere: str) -> None:
    visitor = visit()
    wallet = wallet_named("nora", service.url, 1337)
    wallet.live_in(visitor.context)
    page = stand_before(visitor, anywhere)
    page.get_by_role("button", name="Start charging").click()
    wallet.refuses = True
    page.get_by_role("button", name="Wallet of the test").click()
    page.get_by_text("The wallet did not sign. Nothing has happened.").wait_for()
    wallet.refuses = False
    page.get_by_role("button", name="Wallet of the test").click()
    # Its own money is missing, and no faucet fills a wallet of one's own.
    page.get_by_text("The deposit is €20.00, and your wallet holds €0.00.").wait_for()
    assert sessions_of(visitor) == []


# One deposit, whatever happens.


def test_a_start_that_fails_shows_its_refund_at_once(
    visit: Visit, service: Served, anywhere: str
) -> None:
    visitor = visit(phone=True)
    page = stand_before(visitor, anywhere)
    page.get_by_role("button", name="Start charging").click()
    be(page, "paul")
    sign(page)
    page.locator("#outcome").wait_for(timeout=ENDS_WITHIN_MS)
    assert page.get_by_role("heading", level=1).inner_text() == (
        "Nothing was charged. Your whole deposit, €20.00, came back to your wallet."
    )
    assert "the charger refused to start" in page.locator("#outcome").inner_text()
    look(page, "charge-5-failed-phone")
    (session,) = sessions_of(visitor)
    assert (session["state"], session["refunded_micro"]) == ("cancelled", "20000000")
    assert balance_micro(service, session["driver"]) == POCKET_MICRO


def test_a_double_click_makes_one_deposit(visit: Visit, charger: str) -> None:
    visitor = visit()
    page = stand_before(visitor, charger)
    orders: list[str] = []
    page.on("request", lambda asked: orders.append(asked.url) if is_order(asked) else None)
    page.get_by_role("button", name="Start charging").dblclick()
    be(page, "dora")
    page.locator("dialog.review .primary").dblclick()
    until_charging(page)
    stop(page)
    assert len(orders) == 1
    assert len(sessions_of(visitor)) == 1


def test_two_tabs_that_start_at_once_make_one_deposit(
    visit: Visit, service: Served, charger: str
) -> None:
    visitor = visit()
    one, other = (stand_before(visitor, charger) for _ in range(2))
    one.get_by_role("button", name="Start charging").click()
    be(one, "tom")
    one.locator("dialog.review").wait_for()
    other.get_by_role("button", name="Start charging").click()
    other.locator("dialog.review").wait_for()
    sign(one)
    sign(other)
    for page in (one, other):
        until_charging(page)
    stop(other)
    one.locator("#outcome").wait_for(timeout=ENDS_WITHIN_MS)
    (session,) = sessions_of(visitor)
    paid = int(session["paid_micro"])
    assert balance_micro(service, session["driver"]) == POCKET_MICRO - paid


def test_an_answer_that_is_lost_makes_no_second_deposit(
    visit: Visit, service: Served, charger: str
) -> None:
    visitor = visit()
    page = stand_before(visitor, charger)
    heard: list[str] = []

    def lose_the_first_answers(route: Any) -> None:
        if not is_order(route.request):
            route.continue_()
            return
        heard.append(route.fetch().json()["session_id"])  # It reached the service,
        route.abort()  # and nobody hears what became of it.

    page.route("**/v1/sessions", lose_the_first_answers)
    page.get_by_role("button", name="Start charging").click()
    be(page, "rita")
    sign(page)
    page.get_by_text("The service does not answer. Is your connection up?").wait_for()
    look(page, "charge-unanswered-desktop")
    page.unroute("**/v1/sessions")
    page.reload()  # What was signed is kept: the same order goes out again by itself.
    until_charging(page)
    stop(page)
    (session,) = sessions_of(visitor)
    assert set(heard) == {session["session_id"]}
    assert len(heard) > 1
    assert balance_micro(service, session["driver"]) == POCKET_MICRO - int(session["paid_micro"])


def test_a_value_that_is_old_is_shown_as_old(visit: Visit, anywhere: str) -> None:
    page = stand_before(visit(), anywhere)
    measured = page.locator("[data-live=measured]")
    for age_s, words in ((5, "measured "), (29, "measured "), (61, "last value 61 seconds ago")):
        page.evaluate(SHOW_AGED, age_s)
        measured.get_by_text(words).wait_for()
        assert page.locator("#live.is-stale").count() == (age_s > 30)
    look(page, "charge-4-stale-desktop")
    # Who listens is told once where it stands.
    assert page.locator("#heard").inner_text() == (
        "1.5\xa0kWh charged, €0.935 so far, €19.065 of the deposit left."
    )


# Looking for a charger.


@pytest.mark.parametrize(("phone", "dark", "language"), [(True, False, "en"), (False, True, "fr")])
def test_chargers_are_listed_with_state_and_price(
    visit: Visit, anywhere: str, phone: bool, dark: bool, language: str
) -> None:
    page = visit(phone=phone, dark=dark, language=language).page("/charge")
    rows = page.locator("tbody tr")
    assert rows.count() > 3
    first = rows.first.inner_text()
    assert anywhere in first
    assert "0.39" in first or "0,39" in first
    look(page, f"charge-list-{'phone' if phone else 'desktop'}-{language}")
    page.get_by_role("searchbox").fill(anywhere.lower())
    page.keyboard.press("Enter")
    page.wait_for_url("**q=*")
    assert rows.count() == 1
    rows.first.get_by_role("link").click()
    page.wait_for_url(f"**/charge/{anywhere}?connector=1")


def test_a_charger_that_does_not_answer_takes_no_deposit(visit: Visit, service: Served) -> None:
    last = fetch(service, "/v1/chargers")["items"][-1]["id"]
    page = visit().page(f"/charge/{last}")
    page.get_by_text("This charger cannot be used now: does not answer.").wait_for()
    assert page.get_by_role("button", name="Start charging").is_disabled()
    look(page, "charge-offline-desktop")


def test_a_charger_that_is_not_there_is_said_to_be_missing(visit: Visit) -> None:
    page = visit().page("/charge/CP404")
    assert "charger_unknown" in page.content()


def test_the_sign_prints_by_itself(visit: Visit, anywhere: str) -> None:
    visitor = visit()
    page = visitor.page(f"/charge/{anywhere}/sign")
    look(page, "charge-sign-desktop")
    page.emulate_media(media="print")
    assert page.locator("header .tools").is_hidden()
    assert page.locator("svg.qr").is_visible()
    picture = visitor.context.request.get(visitor.url + f"/charge/{anywhere}/sign.png?connector=1")
    assert picture.body().startswith(b"\x89PNG")
    shoot(page, "charge-sign-print")
