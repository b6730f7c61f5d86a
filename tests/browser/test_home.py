"""The prosumer's job in a browser: see, check, decide; and a newcomer's, who joins and pairs."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from api.jobs.people.earnings import LEAST_CREDIT_MICRO
from api.keys import demo_secret
from tests.browser.chargers import fetch
from tests.browser.conftest import Visit
from tests.browser.driving import balance_micro
from tests.browser.gateways import sent_by_gateway
from tests.browser.looking import Visitor, axe, fits, shoot, visitor
from tests.browser.people import sign_in
from tests.browser.service import PROGRAM, Served, serving
from tests.browser.wallets import BrowserWallet
from tests.e2e.registers import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

DAY = "2016-06-02"  # Local, of 24 hours: two are of the period before.
DAY_UTC = ("2016-06-01T22:00:00Z", "2016-06-02T22:00:00Z")
PERIOD = "2016-06-02T00:00:00Z"
CONFIRMED_WITHIN_MS = 30_000
SOONER_TO_OTHERS_MS = 40_000
NANO_PER_TOKEN = 10**9


def be(page: "Page", name: str) -> None:
    """Signs somebody in as they would themselves: in the dialog."""
    page.locator("header [data-sign-in]").click()
    page.locator("dialog #demo-name").fill(name)
    page.locator("dialog #demo-name").press("Enter")
    page.locator("dialog").wait_for(state="detached")
    page.locator("header [data-sign-in]", has_text="0x").wait_for()


def api(someone: Visitor, path: str) -> Any:
    """What the API says to somebody."""
    answer = someone.context.request.get(someone.url + path)
    assert answer.ok, answer.text()
    return answer.json()


def post(someone: Visitor, path: str) -> Any:
    """Asks the API for something."""
    answer = someone.context.request.post(someone.url + path, data={})
    assert answer.ok, answer.text()
    return answer.json()


def lines_of(someone: Visitor, account: int) -> list[dict[str, str]]:
    """The day's windows, of the CSV."""
    asked = f"/v1/accounts/{account}/statements.csv?from={DAY_UTC[0]}&to={DAY_UTC[1]}"
    answer = someone.context.request.get(someone.url + asked)
    assert answer.ok, answer.text()
    return list(csv.DictReader(io.StringIO(answer.text())))


def figures(row: "Locator") -> list[int]:
    """The numbers of a row as programs read them."""
    values: list[str] = row.locator("data").evaluate_all("all => all.map(each => each.value)")
    return [int(value) for value in values]


def added(lines: list[dict[str, str]], column: str) -> int:
    return sum(int(line[column]) for line in lines)


def sign(page: "Page", act: str) -> None:
    """Presses a form's button, looks at what will be signed, signs, and waits for the chain."""
    form = page.locator(f'form[data-act="{act}"]')
    form.locator("button.primary").click()
    page.locator("dialog.review").wait_for()
    page.locator("dialog.review button.primary").click()
    done(page, act)


def done(page: "Page", act: str) -> None:
    """Waits until the chain has it, and the page shows it."""
    page.locator(f'form[data-act="{act}"] [data-relay=confirmed]').wait_for(
        timeout=CONFIRMED_WITHIN_MS
    )


# The whole job.


def test_a_prosumer_reads_what_api_and_csv_say_to_the_last_digit(visit: Visit) -> None:
    someone = visit()
    page = someone.page("/home")
    assert "What did your roof sell" in page.get_by_role("heading", level=1).inner_text()
    be(page, "home-3")
    page.locator("#energy").wait_for()
    page.goto(f"{someone.url}/home?date={DAY}")
    lines = lines_of(someone, 3)
    assert len(lines) == 24

    page.locator("details.figures summary").first.click()
    rows = page.locator(".energy-table tbody tr").all()
    assert len(rows) == 24
    columns = ("export_wh", "sold_wh", "import_wh", "bought_wh", "amount_nano", "saved_nano")
    for row, line in zip(rows, lines, strict=True):
        assert figures(row) == [int(line[column]) for column in columns]
        assert instant(row.locator("time").get_attribute("datetime")) == instant(line["start"])
    assert figures(page.locator(".energy-table tfoot tr")) == [
        added(lines, column) for column in columns
    ]
    amount_nano = added(lines, "amount_nano")
    assert figures(page.locator("#amount")) == [amount_nano]
    assert read(page.locator("#amount").inner_text()) == amount_nano
    assert figures(page.locator("#saved")) == [added(lines, "saved_nano")]
    assert read(page.locator("#saved").inner_text()) == added(lines, "saved_nano")
    bought = Decimal(added(lines, "bought_wh")) / 1_000
    heading = page.get_by_role("heading", level=1).inner_text()
    assert f"your home bought {bought.normalize()}\N{NO-BREAK SPACE}kWh" in heading
    account = api(someone, "/v1/accounts/3")
    assert figures(page.locator("#balance")) == [int(account["balance_nano"])]


def instant(text: str | None) -> datetime:
    assert text is not None
    return datetime.fromisoformat(text).astimezone(UTC)


def read(shown: str) -> int:
    """Nano-tokens of an amount as the page writes it in English."""
    return int(Decimal(re.sub(r"[€,]", "", shown)) * NANO_PER_TOKEN)


def test_every_saving_opens_to_its_formula_with_the_numbers_in_it(visit: Visit) -> None:
    someone = visit()
    sign_in(someone, "home-4")
    page = someone.page(f"/home?date={DAY}")
    page.locator("details.figures summary").first.click()
    sold = [line for line in lines_of(someone, 4) if int(line["sold_wh"])]
    assert len(sold) > 5
    for line in sold:
        row = page.locator(".energy-table tbody tr").filter(
            has=page.locator(f"time[datetime='{line['start_local']}']")
        )
        row.locator(".why summary").click()
        energy, local, grid = (
            int(line["sold_wh"]),
            int(line["local_per_kwh"]),
            int(line["grid_export_per_kwh"]),
        )
        kwh = f"{(Decimal(energy) / 1_000).normalize():f}"
        formula = row.locator(".reason").first.inner_text().replace("\N{NO-BREAK SPACE}", " ")
        assert formula.startswith(f"sold {kwh} kWh × (€0.18 − €0.08) = €")
        assert read(formula.split("= ")[1]) == energy * (local - grid)


def test_a_statement_passes_all_four_ticks_where_it_stands_and_fails_when_altered(
    visit: Visit,
) -> None:
    someone = visit()
    page = someone.page("/home")
    be(page, "home-3")
    statement = page.locator(".statement").first
    statement.get_by_role("button", name="Verify").click()
    statement.locator(".verification[data-passed=true]").wait_for()
    states = statement.locator("[data-tick]").evaluate_all("all => all.map(e => e.dataset.state)")
    assert states == ["good"] * 4

    altered: list[int] = []

    def alter(route: Any) -> None:
        document = route.fetch().json()
        place = max(range(24), key=lambda each: document["rows"][each]["bought_wh"])
        altered.append(place)
        document["rows"][place]["bought_wh"] -= 7
        route.fulfill(json=document)

    page.route("**/v1/accounts/3/statements/*", alter)
    statement.get_by_role("button", name="Verify").click()
    said = statement.locator(".first-difference")
    said.wait_for()
    assert said.inner_text().startswith(f"rows[{altered[0]}].bought_wh: the file says ")
    assert statement.locator("[data-tick=rows]").get_attribute("data-state") == "bad"
    axe(page)


def test_a_prosumer_sets_limits_pays_in_and_withdraws(visit: Visit) -> None:
    someone = visit()
    page = someone.page("/home")
    be(page, "home-3")
    page.locator("#min-sell").fill("0,1")
    page.locator("#max-buy").fill("0.25")
    sign(page, "limits")
    (limits,) = api(someone, "/v1/accounts/3")["limits"]
    assert (limits["min_sell_per_kwh"], limits["max_buy_per_kwh"]) == (100_000, 250_000)
    assert "buy at €0.25 per kWh or less" in page.locator("#limits").inner_text()
    assert "From " in page.locator("#limits p").first.inner_text()  # Not for the day that runs.

    page.get_by_role("button", name="Get money to play with").click()
    done(page, "deposit")
    page.locator("[data-held]", has_text="Your wallet holds €500.00.").wait_for()
    before_nano = int(api(someone, "/v1/accounts/3")["balance_nano"])
    page.locator("#deposit-amount").fill("12.50")
    sign(page, "deposit")
    after_nano = int(api(someone, "/v1/accounts/3")["balance_nano"])
    assert after_nano - before_nano == 12_500_000_000
    assert figures(page.locator("#balance")) == [after_nano]
    page.locator("[data-held]", has_text="Your wallet holds €487.50.").wait_for()

    page.locator("#withdraw-amount").fill("3")
    sign(page, "withdrawal")
    asked = api(someone, "/v1/accounts/3")
    assert asked["requested_micro"] == "3000000"
    assert page.locator("#requested").get_attribute("value") == "3000000"
    axe(page)
    shoot(page, "home-money-desktop")
    page.get_by_role("button", name="Take the request back").click()
    page.locator("dialog.review button.primary").click()
    done(page, "withdrawal")
    assert api(someone, "/v1/accounts/3")["requested_micro"] == "0"


def test_what_cannot_be_signed_is_said_beside_its_field(visit: Visit) -> None:
    page = visit().page("/home")
    be(page, "home-5")
    for field, text, said in (
        ("deposit-amount", "1.2.3", "Write an amount such as 12.50"),
        ("deposit-amount", "0", "Write an amount above zero."),
        ("deposit-amount", "0.0000001", "at most six digits"),
        ("withdraw-amount", "99999", "That is more than the account holds."),
        ("min-sell", "cheap", "Write an amount such as 12.50"),
    ):
        page.locator(f"#{field}").fill(text)
        form = page.locator("form[data-act]").filter(has=page.locator(f"#{field}"))
        form.locator("button.primary").click()
        error = form.locator("[data-error]:not([hidden])")
        error.wait_for()
        assert said in error.inner_text()
        assert page.locator(f"#{field}").get_attribute("aria-invalid") == "true"
        page.locator(f"#{field}").fill("")
    assert page.locator("dialog").count() == 0
    axe(page)


def test_who_would_rather_not_sign_changes_nothing(visit: Visit) -> None:
    someone = visit()
    page = someone.page("/home")
    be(page, "home-6")
    before = api(someone, "/v1/accounts/6")
    page.locator('form[data-act="limits"] button.primary').click()
    page.locator("dialog.review").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert page.locator('form[data-act="limits"] [data-said]').inner_text() == ""
    assert api(someone, "/v1/accounts/6") == before


def test_of_two_tabs_that_sign_the_same_thing_one_is_told_so(visit: Visit) -> None:
    someone = visit()
    one = someone.page("/home")
    be(one, "home-6")
    other = someone.page("/home")
    for page, price in ((one, "0.11"), (other, "0.12")):
        page.locator("#min-sell").fill(price)
        page.locator('form[data-act="limits"] button.primary').click()
        page.locator("dialog.review").wait_for()
    one.locator("dialog.review button.primary").click()
    done(one, "limits")
    other.locator("dialog.review button.primary").click()
    other.locator('form[data-act="limits"] .is-bad', has_text="in the meantime").wait_for()
    (limits,) = api(someone, "/v1/accounts/6")["limits"]
    assert limits["min_sell_per_kwh"] == 110_000


def test_a_warning_comes_before_cover_is_lost_and_goes_with_a_deposit(visit: Visit) -> None:
    someone = visit()
    page = someone.page("/home")
    be(page, "home-5")
    account = api(someone, "/v1/accounts/5")
    assert page.locator("#warning").count() == 0
    left_nano = int(account["needed_nano"]) // 2
    micro = (int(account["balance_nano"]) - left_nano) // 1_000
    page.locator("#withdraw-amount").fill(f"{micro // 10**6}.{micro % 10**6:06d}")
    sign(page, "withdrawal")
    page.locator("#warning", has_text="does not cover your imports").wait_for()
    assert api(someone, "/v1/accounts/5")["warning"] == "cover_lost"
    axe(page)
    shoot(page, "home-warning-desktop")
    page.get_by_role("button", name="Take the request back").click()
    page.locator("dialog.review button.primary").click()
    done(page, "withdrawal")
    assert page.locator("#warning").count() == 0


def test_a_browser_wallet_signs_limits_and_a_permit(visit: Visit, service: Served) -> None:
    someone = visit()
    wallet = BrowserWallet(url=service.url, secret=demo_secret("home-7"), chain_id=1337)
    wallet.live_in(someone.context)
    page = someone.page("/home")
    page.locator("header [data-sign-in]").click()
    page.get_by_role("button", name="Wallet of the test").click()
    page.locator("#energy").wait_for()
    page.locator("#max-buy").fill("")
    sign(page, "limits")
    page.get_by_role("button", name="Get money to play with").click()
    done(page, "deposit")
    page.locator("#deposit-amount").fill("1")
    sign(page, "deposit")
    assert [typed["primaryType"] for typed in wallet.typed] == ["PriceLimits", "Permit"]
    assert wallet.typed[0]["message"]["maxBuyPerKwh"] == str(2**64 - 1)
    assert api(someone, "/v1/accounts/7")["limits"][0]["max_buy_per_kwh"] is None
    assert "buy at any price" in page.locator("#limits").inner_text()


def test_files_are_the_apis_own_to_the_byte(visit: Visit) -> None:
    someone = visit(accept_downloads=True)
    sign_in(someone, "home-3")
    page = someone.page("/home")
    for name in ("JSON", "CSV"):
        link = page.locator(".statement").first.get_by_role("link", name=name)
        href = link.get_attribute("href")
        with page.expect_download() as download:
            link.click()
        kept = Path(download.value.path()).read_bytes()
        assert kept == someone.context.request.get(f"{someone.url}{href}").body()
        assert download.value.suggested_filename.startswith("3-2016060")


# A host.


def test_a_host_presses_a_button_and_has_the_money(visit: Visit, service: Served) -> None:
    someone = visit(phone=True)
    (address,) = {
        connector["host"]
        for point in fetch(service, "/v1/chargers")["items"]
        for connector in point["connectors"]
    }
    (name,) = [
        each["name"]
        for each in fetch(service, "/v1/demo/wallets")["items"]
        if each["address"] == address
    ]
    sign_in(someone, name)
    page = someone.page("/home")
    card = page.locator("#charged")
    income = api(someone, "/v1/income")
    credits_micro = [int(each["credit_micro"]) for each in income["chargers"]]
    payable_micro = sum(micro for micro in credits_micro if micro >= LEAST_CREDIT_MICRO)
    assert payable_micro > 0
    assert card.locator("#payable").get_attribute("value") == str(payable_micro)
    assert address in card.inner_text()
    card.scroll_into_view_if_needed()
    axe(page)
    fits(page)
    shoot(page, "home-payout-1-phone")
    before_micro = balance_micro(service, address)
    card.get_by_role("button", name="Pay out").focus()
    page.keyboard.press("Enter")
    done(page, "payout")
    assert page.evaluate("document.activeElement.dataset.said !== undefined")
    assert balance_micro(service, address) == before_micro + payable_micro
    left_micro = int(api(someone, "/v1/income")["credit_micro"])
    assert left_micro == sum(credits_micro) - payable_micro
    page.reload()
    assert card.get_by_role("button", name="Pay out").count() == 0
    card.get_by_text("Last payouts and their transactions").click()
    last = " ".join(card.locator(".payouts li[data-state=confirmed]").first.inner_text().split())
    assert re.search(r"from \S+/\d paid .* Transaction 0x[0-9a-f]{64}", last)
    axe(page)
    fits(page)
    shoot(page, "home-payout-2-phone")


# A newcomer.


def pair_a_meter(page: "Page") -> Path:
    """The file with the key that the browser made."""
    page.get_by_text("Pair a meter").click()
    page.locator("#pair-label").fill("Roof")
    page.get_by_role("button", name="Ask the grid operator").click()
    page.locator("#pairings [data-state], #pairings[data-state]").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Meter key file").click()
    return Path(download.value.path())


def check_gateway(someone: Visitor, key_file: Path, meter_id: str) -> None:
    """The file is all that the program at home needs."""
    sent = sent_by_gateway(key_file)
    assert (sent["accepted"], sent["rejected"]) == (1, [])
    (reading,) = api(someone, f"/v1/meters/{meter_id}/readings")["items"]
    assert reading["import_wh"] == 4_812_345


def test_a_newcomer_joins_pays_in_and_pairs_a_meter(visit: Visit) -> None:
    someone, operator, grid = visit(accept_downloads=True), visit(), visit()
    page = someone.page("/home")
    be(page, "newcomer")
    page.locator('form[data-act="join"]').wait_for()
    axe(page)
    shoot(page, "home-join-desktop")
    page.get_by_role("button", name="Ask to join").click()
    page.locator("#join-name-error", has_text="fill this in").wait_for()
    page.locator("#join-name").fill("Ada Weber")
    page.locator("#join-show").check()
    page.get_by_role("button", name="Ask to join").click()
    page.locator("#application[data-state=waiting]").wait_for()
    axe(page)

    sign_in(operator, "operator")
    (wish,) = api(operator, "/v1/applications?state=waiting")["items"]
    post(operator, f"/v1/applications/{wish['id']}/accept")
    page.locator("#money").wait_for(timeout=SOONER_TO_OTHERS_MS)
    (account,) = api(someone, "/v1/me")["accounts"]
    heading = page.get_by_role("heading", level=1).inner_text()
    assert heading.startswith(f"Account {account} is yours")
    axe(page)
    shoot(page, "home-newcomer-desktop")

    key_file = pair_a_meter(page)
    key = json.loads(key_file.read_text())
    sign_in(grid, "grid")
    (pairing,) = api(grid, "/v1/pairings?state=waiting")["items"]
    assert (pairing["account"], pairing["label"], pairing["key"]) == (account, "Roof", key["key"])
    post(grid, f"/v1/pairings/{pairing['id']}/accept")
    meters = page.locator("#meters")
    for _ in range(60):
        page.reload()
        if pairing["id"] in meters.inner_text():
            break
        page.wait_for_timeout(500)
    assert pairing["id"] in meters.inner_text()
    axe(page)
    check_gateway(someone, key_file, pairing["id"])


# Whose page it is.


STATEMENT = f"/home/statements/4/{PERIOD}"
WHOSE = {
    None: {"/home": 200, STATEMENT: 401},
    "home-3": {"/home?account=4": 403, STATEMENT: 403},
    "grid": {STATEMENT: 200, "/home?account=1": 200, "/home?account=0": 403},
    "operator": {STATEMENT: 403},
    "home-4": {
        STATEMENT: 200,
        f"{STATEMENT}?run=1": 404,
        f"{STATEMENT}?run=-1": 422,
        "/home/statements/4/2016-06-02T00:00:01Z": 404,
        "/home/statements/99/2016-06-02T00:00:00Z": 404,
        "/home/statements/4/yesterday": 422,
        "/home?date=0001-01-01": 422,
        "/home?date=9999-12-31": 422,
        "/home?date=2016-02-30": 422,
        "/home?view=century": 422,
        "/home?account=-1": 422,
        "/home?account=9999999999": 422,
        "/home?before=x": 422,
        "/home?before=999999999999.0": 200,
        "/home?date=2199-12-31&view=year": 200,
        "/home?date=2000-01-01&view=month": 200,
    },
}


@pytest.mark.parametrize("who", WHOSE)
def test_pages_are_for_whom_they_are_and_take_no_odd_address(visit: Visit, who: str | None) -> None:
    someone = visit()
    if who is not None:
        sign_in(someone, who)
    for path, status in WHOSE[who].items():
        answer = someone.context.request.get(someone.url + path, headers={"Accept": "text/html"})
        assert answer.status == status, path
        assert answer.headers["content-type"].startswith("text/html")


def test_the_grid_operators_account_shows_its_fees_and_no_meters(visit: Visit) -> None:
    someone = visit()
    sign_in(someone, "grid")
    page = someone.page("/home")
    assert "it receives the local fee" in page.get_by_role("heading", level=1).inner_text()
    assert page.locator(".statement").count() > 0
    assert page.locator("#limits").count() == page.locator("#meters").count() == 0
    axe(page)


# How it looks.


@pytest.mark.parametrize(("phone", "dark", "language"), [(False, False, "en"), (True, True, "fr")])
def test_every_view_fits_and_keeps_nobody_out(
    visit: Visit, phone: bool, dark: bool, language: str
) -> None:
    someone = visit(phone=phone, dark=dark, language=language)
    kind = "phone-dark-fr" if phone else "desktop"
    page = someone.page("/home")
    axe(page)
    fits(page)
    shoot(page, f"home-welcome-{kind}")
    sign_in(someone, "home-4")
    for view in ("day", "month", "year"):
        page.goto(f"{someone.url}/home?date={DAY}&view={view}")
        page.locator("details.figures summary").first.click()
        axe(page)
        fits(page)
        shoot(page, f"home-{view}-{kind}")
    page.locator(".statement-name a").first.click()
    page.locator("[data-print]").wait_for()
    axe(page)
    fits(page)
    shoot(page, f"home-statement-{kind}")


def test_without_scripts_everything_can_be_read(visit: Visit) -> None:
    someone = visit(java_script_enabled=False)
    sign_in(someone, "home-4")
    page = someone.page(f"/home?date={DAY}")
    lines = lines_of(someone, 4)
    assert figures(page.locator("#amount")) == [added(lines, "amount_nano")]
    assert page.locator(".bars rect.sold").count() > 0
    page.get_by_role("link", name="Month").click()
    assert "In June 2016" in page.get_by_role("heading", level=1).inner_text()
    page.locator(".statement-name a").first.click()
    assert page.locator(".statement-rows tbody tr").count() == 24


def test_a_days_sums_are_those_of_its_month_and_a_months_those_of_its_year(visit: Visit) -> None:
    someone = visit()
    sign_in(someone, "home-4")
    page = someone.page(f"/home?date={DAY}")
    own = figures(page.locator(".energy-table tfoot tr"))
    page.goto(f"{someone.url}/home?date={DAY}&view=month")
    day = page.locator(".energy-table tbody tr").filter(has=page.locator(f"time[datetime='{DAY}']"))
    assert figures(day) == own
    months = figures(page.locator(".energy-table tfoot tr"))
    days = [figures(row) for row in page.locator(".energy-table tbody tr").all()]
    assert [sum(column) for column in zip(*filter(None, days), strict=True)] == months
    page.goto(f"{someone.url}/home?date={DAY}&view=year")
    year = page.locator(".energy-table tbody tr").filter(
        has=page.locator("time[datetime='2016-06']")
    )
    assert figures(year) == months == figures(page.locator(".energy-table tfoot tr"))


# What was settled a second time.


@pytest.fixture(scope="module")
def revised(browser: Any, browser_demo: Path, tmp_path_factory: Any) -> Iterator[Visitor]:
    """The owner of account 4, of whose second day a reading was revised after its settlement."""
    home = tmp_path_factory.mktemp("revised") / "home"
    shutil.copytree(browser_demo, home)
    rows = home.parent / "revised.csv"
    rows.write_text(
        "meter_id,ts_utc,grid_import_kwh,grid_export_kwh\n"
        "DE_KN_residential3,2016-06-02T10:00:00Z,963.235,938.275\n"  # 500 Wh more than before.
    )
    for words in (["import", str(rows), "--format", "registers-csv"], ["settle"]):
        command = [sys.executable, "-c", PROGRAM, "--data-dir", str(home), *words]
        ran = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stderr
    with serving(home) as served, visitor(browser, served.url) as made:
        sign_in(made, "home-4")
        yield made


def test_a_correction_is_shown_as_the_difference_and_passes_too(revised: Visitor) -> None:
    page = revised.page("/home")
    first, second = (
        api(revised, f"/v1/accounts/4/statements/{PERIOD}?run={run}") for run in (0, 1)
    )
    moved_nano = int(second["amount_nano"]) - int(first["amount_nano"])
    assert second["applied_before_nano"] == first["amount_nano"]
    assert moved_nano != 0
    item = page.locator(".statement").filter(has_text="correction 1")
    assert figures(item.locator(".statement-amount")) == [moved_nano]
    item.get_by_role("button", name="Verify").click()
    item.locator(".verification[data-passed=true]").wait_for()

    item.locator(".statement-name a").click()
    page.wait_for_load_state()  # Until its scripts listen.
    runs = page.locator("section[aria-labelledby=moved-title] tbody tr")
    assert [figures(row)[0] for row in runs.all()] == [
        int(first["amount_nano"]),
        int(second["amount_nano"]),
    ]
    assert figures(page.locator("section[aria-labelledby=moved-title] tfoot tr")) == [
        int(second["amount_nano"])
    ]
    assert figures(page.locator("#amount")) == [int(second["amount_nano"])]
    page.get_by_role("button", name="Verify").click()
    page.locator(".verification[data-passed=true]").wait_for()
    axe(page)
    shoot(page, "home-statement-corrected")


def test_a_statement_says_the_vat_and_names_only_those_who_agreed_and_were_there(
    revised: Visitor,
) -> None:
    lines = [line for line in settled_lines(revised) if line["period_start"] == PERIOD]
    paid_nano = added(lines, "bought_nano") + added(lines, "from_grid_nano")
    page = revised.page(f"/home/statements/4/{PERIOD}")
    said = page.locator("#vat").inner_text()
    amounts = [read(found) for found in re.findall(r"€[0-9.,]*[0-9]", said)]
    assert amounts == [paid_nano * 1_900 // 11_900, paid_nano]
    shown = api(revised, "/v1/accounts/4/name")
    facts = page.locator("section[aria-labelledby=who-title]").inner_text()
    assert "DE_KN_residential1" in facts
    revised.context.request.put(
        revised.url + "/v1/accounts/4/name", data={"name": "Ada Weber", "show_name": False}
    )
    other = revised.context.browser
    assert other is not None
    with visitor(other, revised.url) as neighbour:
        sign_in(neighbour, "home-3")
        seen = neighbour.page(f"/home/statements/3/{PERIOD}")
        neighbours = seen.locator("section[aria-labelledby=who-title]").inner_text()
        assert "DE_KN_residential1" in neighbours
        assert shown["name"] not in neighbours
        assert "Ada Weber" not in neighbours


def settled_lines(someone: Visitor) -> list[dict[str, str]]:
    """All settled windows of account 4."""
    asked = "/v1/accounts/4/statements.csv?from=2016-06-01T00:00:00Z&to=2016-06-04T00:00:00Z"
    answer = someone.context.request.get(someone.url + asked)
    assert answer.ok, answer.text()
    return list(csv.DictReader(io.StringIO(answer.text())))


def test_what_a_correction_applied_before_is_compared_with_the_earlier_run(
    revised: Visitor,
) -> None:
    page = revised.page("/verify")
    document = api(revised, f"/v1/accounts/4/statements/{PERIOD}?run=1")
    document["applied_before_nano"] = str(int(document["applied_before_nano"]) + 5)
    document["shortfall_nano"] = str(int(document["shortfall_nano"]) + 5)
    file = {
        "name": "s.json",
        "mimeType": "application/json",
        "buffer": json.dumps(document).encode(),
    }
    page.locator("#file").set_input_files([file])  # type: ignore[list-item]
    said = page.locator(".first-difference")
    said.wait_for()
    assert said.inner_text().startswith("applied_before_nano: the file says")
