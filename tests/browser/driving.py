"""What a driver does at a charger's page, step by step, and what is there to be compared."""

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx2

from ledger.chain.abi import encode_call
from tests.browser.chargers import fetch
from tests.browser.looking import Visitor, axe, fits, shoot
from tests.browser.service import Served
from tests.browser.wallets import BrowserWallet

if TYPE_CHECKING:
    from playwright.sync_api import Page

ENDS_WITHIN_MS = 60_000
SOME_ENERGY_MS = 1_500  # At 7.4 kW it is 3 Wh.
POCKET_MICRO = 500_000_000  # What the demo's faucet fills a wallet to.

# What scripts of the pages are asked, in the page.

DIGEST = """async ([type, domain, message]) => {
  const { digestHex } = await import("/static/js/eip712.js");
  const { typed } = await import("/static/js/typed.js");
  return digestHex(typed(type, domain, message));
}"""

SHOW_AGED = """async (ageS) => {
  const { communityMs } = await import("/static/js/market.js");
  const { LiveView } = await import("/static/js/charge-live.js");
  const part = (id) => document.getElementById(id);
  globalThis.shown ??= new LiveView(part("live"), part("answer"), part("heard"), "CP1");
  const at = new Date((await communityMs()) - ageS * 1000).toISOString();
  globalThis.shown.show({
    state: "charging", started_at: at, measured_at: at, interval_s: 10, energy_wh: 1500,
    cost_micro: "935000", deposit_micro: "20000000", stops_at_micro: "19967543",
    power_w: 7400, time_s: 720, idle_s: 0,
  });
}"""


def stand_before(visitor: Visitor, charger: str, query: str = "") -> "Page":
    """A charger's page, when its button can be pressed."""
    page = visitor.page(f"/charge/{charger}{query}")
    page.wait_for_function("() => !document.getElementById('start').disabled")
    return page


def look(page: "Page", name: str) -> None:
    """Looks at what is shown: keeps a picture, and asks whether everybody can use it."""
    shoot(page, name)
    axe(page)
    fits(page)


def be(page: "Page", name: str) -> None:
    """Chooses who one is in the demo."""
    page.get_by_label(re.compile("Or a driver of any name|nom quelconque")).fill(name)
    page.keyboard.press("Enter")


def sign(page: "Page") -> None:
    """Reviews and signs."""
    page.locator("dialog.review .primary").click()


def until_charging(page: "Page") -> None:
    """Waits until the charge is seen to have begun, and lets some energy flow."""
    _until(page, "kWh")
    page.wait_for_timeout(SOME_ENERGY_MS)


def until_measured(page: "Page") -> None:
    """Waits until the car is seen to have taken energy."""
    _until(page, "[1-9]")


def _until(page: "Page", shown: str) -> None:
    ends_at = time.monotonic() + ENDS_WITHIN_MS / 1_000
    energy = page.locator("[data-live=energy]")
    while not (energy.is_visible() and re.search(shown, energy.inner_text())):
        assert time.monotonic() < ends_at, page.locator("main").inner_text()
        page.wait_for_timeout(100)


def stop(page: "Page") -> None:
    """Stops the charge, and waits for what it came to."""
    assert page.locator("#stop").is_visible(), page.locator("#charge").inner_text()
    page.locator("#stop").click()
    page.locator("#outcome").wait_for(timeout=ENDS_WITHIN_MS)


def sessions_of(visitor: Visitor) -> list[dict[str, Any]]:
    """Everything that whoever is signed in here ever charged."""
    answer = visitor.context.request.get(visitor.url + "/v1/sessions")
    assert answer.ok, answer.text()
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def balance_micro(service: Served, address: str) -> int:
    """What a wallet holds on the chain."""
    token = fetch(service, "/v1/market")["contracts"]["token"]
    data = encode_call("SettlementToken", "balanceOf", [bytes.fromhex(address[2:])])
    question = {"jsonrpc": "2.0", "id": 1, "method": "eth_call"}
    call = [{"to": token, "data": "0x" + data.hex()}, "latest"]
    return int(post(service, "/rpc", question | {"params": call})["result"], 16)


def post(service: Served, path: str, body: dict[str, Any]) -> Any:
    """What the service answers to a body."""
    answer = httpx2.post(service.url + path, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def fill(service: Served, wallet: BrowserWallet, needed_micro: int = POCKET_MICRO) -> None:
    """Fills a wallet by the demo's faucet."""
    post(service, "/v1/demo/tokens", {"address": wallet.address})
    ends_at = time.monotonic() + 30
    while balance_micro(service, wallet.address) < needed_micro:
        assert time.monotonic() < ends_at
        time.sleep(0.1)


def leaves(document: dict[str, Any], name: str, message: Any, inside: str = "") -> Iterator[Any]:
    """Every field that a wallet shows, in its order."""
    for field in document["types"][name]:
        path, value = inside + field["name"], message[field["name"]]
        if field["type"] in document["types"]:
            yield from leaves(document, field["type"], value, f"{path}.")
        else:
            yield path, value


def is_order(asked: Any) -> bool:
    """Whether a request brings an order."""
    return bool(asked.method == "POST" and asked.url.endswith("/v1/sessions"))


def reviewed(page: "Page") -> dict[str | None, tuple[list[tuple[str | None, str]], str]]:
    """What a review shows of each message: its fields in their order, exactly, and its digest."""
    return {
        section.get_attribute("data-message"): (
            [
                (row.get_attribute("data-field"), row.locator("dd").inner_text().split("\n")[-1])
                for row in section.locator("[data-field]").all()
            ],
            section.locator("[data-digest]").inner_text(),
        )
        for section in page.locator("dialog [data-message]").all()
    }
