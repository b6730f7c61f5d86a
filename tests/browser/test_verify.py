"""A statement checked in the reader's own browser, digit by digit, against Python and the chain."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from api.jobs.verify import MarketFacts, verify_statement
from ledger.chain.rpc import RpcChain
from ledger.json_text import NotJson, parse_json
from ledger.statement_file import BadStatement, statement_from_json
from ledger.statements import Statement
from ledger.verify import check_alone
from ledger.words import commitment, rows_hash
from tests.browser.conftest import Visit
from tests.browser.looking import Visitor, axe, fits, shoot
from tests.browser.people import sign_in
from tests.browser.service import Served

if TYPE_CHECKING:
    from playwright.sync_api import Page

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("statement_*.json"))
HEX = re.compile(r"0x[0-9a-f]{40,}")
COMPUTE = """
async (texts) => {
  const [{ NotJson }, file, { verify }, { MarketReader, overHttp }] = await Promise.all(
    ["exact-json", "statement", "verify", "chain-reader"].map((name) =>
      import(`/static/js/${name}.js`)),
  );
  const known = await (await fetch("/v1/market")).json();
  const told = [];
  for (const { text, chain } of texts) {
    let statement;
    try {
      statement = file.readStatement(text);
    } catch (problem) {
      if (!(problem instanceof file.BadStatement || problem instanceof NotJson)) throw problem;
      told.push({ unreadable: problem.message });
      continue;
    }
    const asked = chain && {
      reader: new MarketReader(overHttp("/rpc"), statement.market),
      market: known.contracts.market,
      runs: chain.runs,
    };
    const outcome = await verify(statement, asked);
    told.push({
      states: outcome.ticks.map((tick) => tick.state),
      passed: outcome.passed,
      field: outcome.first?.field ?? null,
      stated: String(outcome.first?.stated),
      found: String(outcome.first?.found),
      rows_hash: file.rowsHash(statement.rows),
      amount: String(file.amountOf(statement)),
      commitment: file.commitmentOf(statement),
    });
  }
  return told;
}
"""
Outcome = dict[str, Any]


@pytest.fixture
def page(visit: Visit) -> "Page":
    """A tab in which the scripts of the page are at hand."""
    return visit().page("/verify")


def computed(page: "Page", texts: list[str], chain: Outcome | None = None) -> list[Outcome]:
    """What the browser says of statements' texts, with or without a chain."""
    told: list[Outcome] = page.evaluate(COMPUTE, [{"text": text, "chain": chain} for text in texts])
    return told


# Alone: what needs nothing but the file.


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_browser_computes_the_golden_statements_as_python_does(page: "Page", path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    statement = statement_from_json(json.loads(text))
    [told] = computed(page, [text])
    assert told["states"] == ["good", "good", "good", "open"]
    assert told["field"] is None
    assert told["amount"] == str(statement.amount_nano)
    assert told["rows_hash"] == "0x" + rows_hash(statement.rows).hex()
    assert told["commitment"] == "0x" + commitment_of(statement).hex()


def commitment_of(statement: Statement) -> bytes:
    return commitment(
        statements_root=statement.statements_root,
        windows=statement.windows_hash_computed(),
        deltas_root=statement.deltas_root,
        run=statement.run,
        cutoff_at_s=statement.cutoff_at_s,
    )


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_of_every_altered_digit_browser_and_python_think_the_same(page: "Page", path: Path) -> None:
    altered = list(with_one_digit_altered(path.read_text(encoding="utf-8")))
    assert len(altered) > 100
    for text, told in zip(altered, computed(page, altered), strict=True):
        assert verdict_of(told) == verdict_by_python(text), text


def with_one_digit_altered(text: str) -> Iterator[str]:
    """One digit after the other; of a hash its ends and its middle."""
    hashes = [found.span() for found in HEX.finditer(text)]
    for place, char in enumerate(text):
        span = next(((low, high) for low, high in hashes if low <= place < high), None)
        if span is not None:
            low, high = span
            if place in {low + 2, (low + high) // 2, high - 1}:
                yield text[:place] + ("0" if char != "0" else "f") + text[place + 1 :]
        elif char.isdecimal():
            yield text[:place] + str((int(char) + 5) % 10) + text[place + 1 :]


def verdict_of(told: Outcome) -> str:
    if "unreadable" in told:
        return "unreadable"
    return "good" if told["states"][:3] == ["good"] * 3 else "bad"


def verdict_by_python(text: str) -> str:
    try:
        statement = statement_from_json(parse_json(text))
    except (BadStatement, NotJson):
        return "unreadable"
    return "good" if all(check.passed for check in check_alone(statement)) else "bad"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"account": 3', '"account": 3.0'),
        ('"account": 3', '"account": 3e0'),
        ('"account": 3', '"account": "3"'),
        ('"account": 3', '"account": 3, "account": 3'),
        ('"account": 3', '"account": -3'),
        ('"account": 3', '"account": 03'),
        ('"account": 3', '"account": 4294967296'),
        ('"run": 0', '"run": 0, "more": 1'),
        ('"import_wh": 812', '"import_wh": 100000001'),
        ('"eligible_export_wh": 1180', '"eligible_export_wh": 18446744073709551616'),
        ('"estimated": false', '"estimated": 0'),
        ('"residual": "settled"', '"residual": "other"'),
        ('"amount_nano": "-203600000"', '"amount_nano": -203600000'),
        ('"amount_nano": "-203600000"', '"amount_nano": "-0203600000"'),
        ('"amount_nano": "-203600000"', '"amount_nano": "9223372036854775808"'),
        ('"cutoff_at": "2016-06-04T00:00:00Z"', '"cutoff_at": "2016-06-04T00:00:00+00:00"'),
        ('"cutoff_at": "2016-06-04T00:00:00Z"', '"cutoff_at": "2016-06-31T00:00:00Z"'),
        ('"format": "wattledger.statement/1"', '"format": "wattledger.statement/2"'),
        ('"run": 0', '"run": ' + "[" * 70 + "]" * 70),
        ("{", "[{"),
        ("}\n", "}} "),
    ],
)
def test_a_browser_refuses_to_read_what_python_refuses(page: "Page", old: str, new: str) -> None:
    text = (GOLDEN[0].parent / "statement_member.json").read_text(encoding="utf-8")
    place = text.rindex(old) if old == "}\n" else text.index(old)
    altered = text[:place] + new + text[place + len(old) :]
    assert verdict_by_python(altered) == "unreadable"
    assert verdict_of(computed(page, [altered])[0]) == "unreadable"


# With the chain.


@pytest.fixture(scope="module")
def member(browser: Any, service: Served) -> Iterator[Visitor]:
    """The owner of account 4, whose roof sells."""
    from tests.browser.looking import visitor  # noqa: PLC0415

    with visitor(browser, service.url) as made:
        sign_in(made, "home-4")
        yield made


@pytest.fixture(scope="module")
def statement_text(member: Visitor) -> str:
    """A statement of theirs, as they would keep it."""
    answer = member.context.request.get(
        member.url + "/v1/accounts/4/statements/2016-06-02T00:00:00Z"
    )
    assert answer.ok, answer.text()
    return answer.text()


@pytest.fixture(scope="module")
def period(member: Visitor) -> Outcome:
    """What the service says of its period: where to look on the chain."""
    answer = member.context.request.get(member.url + "/v1/periods/2016-06-02T00:00:00Z")
    return dict(answer.json())


@pytest.fixture(scope="module")
def facts(service: Served, statement_text: str) -> MarketFacts:
    """The chain, as Python's verifier reads it."""
    statement = statement_from_json(json.loads(statement_text))
    chain = RpcChain.connect(service.url + "/rpc")
    return MarketFacts(chain, statement.market)


def test_a_statement_passes_all_four_ticks_with_the_chain(
    page: "Page", statement_text: str, period: Outcome, facts: MarketFacts
) -> None:
    [told] = computed(page, [statement_text], period)
    assert told["states"] == ["good"] * 4
    assert told["passed"]
    assert verify_statement(statement_from_json(json.loads(statement_text)), facts).passed


def at_noon(document: Outcome) -> int:
    """A window in which the account sold and the neighbours bought."""
    rows = document["rows"]
    return int(max(range(len(rows)), key=lambda place: rows[place]["sold_wh"]))


def one_more(*path: str | int) -> Callable[[Outcome], str]:
    """Adds one to the number at a path, and gives the path as the page would name it."""

    def alter(document: Outcome) -> str:
        noon = at_noon(document)
        steps = [noon if step == "noon" else step for step in path]
        place: Any = document
        for step in steps[:-1]:
            place = place[step]
        old = place[steps[-1]]
        if isinstance(old, bool):
            place[steps[-1]] = not old
        else:
            place[steps[-1]] = str(int(old) + 1) if isinstance(old, str) else old + 1
        named = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
        return named.lstrip(".")

    return alter


def other_hex(name: str, *, field: str | None = None, at: int = -1) -> Callable[[Outcome], str]:
    """Changes the last digit of a hash."""

    def alter(document: Outcome) -> str:
        holder, key = (document[name], 0) if isinstance(document[name], list) else (document, name)
        old = holder[key]
        holder[key] = old[:at] + ("0" if old[at] != "0" else "1")
        return field or name

    return alter


def other(name: str, value: object, *, field: str | None = None) -> Callable[[Outcome], str]:
    def alter(document: Outcome) -> str:
        assert document[name] != value
        document[name] = value
        return field or name

    return alter


ALTERATIONS: dict[str, Callable[[Outcome], str]] = {
    "taken": one_more("rows", "noon", "import_wh"),
    "fed in": one_more("rows", "noon", "export_wh"),
    "bought": one_more("rows", 6, "import_wh"),
    "sold": one_more("rows", "noon", "sold_wh"),
    "estimated": one_more("rows", 3, "estimated"),
    "uncovered": one_more("rows", 3, "uncovered"),
    "the amount": one_more("amount_nano"),
    "a price": one_more("prices", "noon", "local_per_kwh"),
    "a fee": one_more("prices", 5, "local_fee_per_kwh"),
    "the grid's price": one_more("prices", 2, "grid_import_per_kwh"),
    "what all traded": one_more("totals", "noon", "traded_wh"),
    "what all took": one_more("totals", 1, "import_wh"),
    "the totals' salt": other_hex("totals_salt", field="totals, totals_salt"),
    "the salt": other_hex("salt"),
    "the leaf": other_hex("leaf"),
    "the proof": other_hex("proof"),
    "the root": other_hex("statements_root"),
    "the deltas' root": other_hex("deltas_root"),
    "the cutoff": other("cutoff_at", "2016-06-09T09:09:09Z", field="cutoff_at_s"),
    "the transaction": other_hex("transaction"),
    "the account": one_more("account"),
    "the run": one_more("run"),
    "the chain": one_more("chain_id"),
    "the market": other_hex("market"),
    "the residual": other("residual", "external"),
    "what was applied": one_more("applied_before_nano"),
    "the shortfall": one_more("shortfall_nano"),
    "no meter of theirs": lambda document: (
        other_hex("meter_id")(document["meters"][0]) and "meters[0].meter_id"
    ),
    "another class": lambda document: (
        other("class", "certified")(document["meters"][0]) and "meters[0].class"
    ),
}


def test_each_kind_of_altered_number_is_named_and_python_refuses_it_too(
    page: "Page", statement_text: str, period: Outcome, facts: MarketFacts
) -> None:
    texts, fields = [], []
    for alter in ALTERATIONS.values():
        document = json.loads(statement_text)
        fields.append(alter(document))
        texts.append(json.dumps(document))
    told = computed(page, texts, period)
    named = dict(zip(ALTERATIONS, (each["field"] for each in told), strict=True))
    assert named == dict(zip(ALTERATIONS, fields, strict=True))
    for name, text, each in zip(ALTERATIONS, texts, told, strict=True):
        assert "bad" in each["states"], name
        assert not each["passed"], name
        assert not verify_statement(statement_from_json(json.loads(text)), facts).passed, name


def test_a_traced_number_is_shown_with_what_it_was(
    page: "Page", statement_text: str, period: Outcome
) -> None:
    document = json.loads(statement_text)
    noon = at_noon(document)
    true_wh = document["rows"][noon]["sold_wh"]
    document["rows"][noon]["sold_wh"] = true_wh - 100
    [told] = computed(page, [json.dumps(document)], period)
    assert (told["field"], told["stated"], told["found"]) == (
        f"rows[{noon}].sold_wh",
        str(true_wh - 100),
        str(true_wh),
    )


def test_a_chain_that_does_not_answer_is_no_good_tick_and_no_bad_one(
    visit: Visit, statement_text: str
) -> None:
    visitor = visit()
    page = visitor.page("/verify")
    page.route("**/rpc", lambda route: route.abort())
    give(page, statement_text)
    page.locator("[data-tick=chain][data-state=open]").wait_for()
    assert "was not compared with the chain" in page.locator(".verdict").inner_text()
    assert page.locator(".verification").get_attribute("data-passed") == "false"
    visitor.complaints.clear()  # The browser says that nothing answered.


# The page.


def give(page: "Page", text: str) -> None:
    """Gives a file to the page."""
    file = {"name": "s.json", "mimeType": "application/json", "buffer": text.encode()}
    page.locator("#file").set_input_files([file])  # type: ignore[list-item]


@pytest.mark.parametrize(("phone", "dark", "language"), [(False, False, "en"), (True, True, "fr")])
def test_a_file_is_checked_by_whoever_was_given_it(
    visit: Visit, statement_text: str, phone: bool, dark: bool, language: str
) -> None:
    visitor = visit(phone=phone, dark=dark, language=language)
    page = visitor.page("/verify")
    axe(page)
    give(page, statement_text)
    page.locator(".verification[data-passed=true]").wait_for()
    states = page.locator("[data-tick]").evaluate_all("all => all.map(each => each.dataset.state)")
    assert states == ["good"] * 4
    for summary in page.locator("[data-tick] summary").all():
        summary.click()
    document = json.loads(statement_text)
    for text in (document["leaf"], document["statements_root"], document["transaction"]):
        assert page.get_by_text(text).count() >= 1
    axe(page)
    fits(page)
    shoot(page, f"verify-{'phone-dark-fr' if phone else 'desktop'}")


def test_an_altered_file_fails_naming_the_number(visit: Visit, statement_text: str) -> None:
    document = json.loads(statement_text)
    noon = at_noon(document)
    true_wh = document["rows"][noon]["sold_wh"]
    document["rows"][noon]["sold_wh"] -= 1
    page = visit().page("/verify")
    give(page, json.dumps(document))
    said = page.locator(".verdict .first-difference")
    said.wait_for()
    assert said.inner_text() == (
        f"rows[{noon}].sold_wh: the file says {true_wh - 1}; its leaf was made with {true_wh}."
    )
    assert page.locator("[data-tick=rows]").get_attribute("data-state") == "bad"
    axe(page)
    shoot(page, "verify-altered")
    give(page, "not a statement")
    page.locator(".verdict").filter(has_text="not a file that can be checked").wait_for()


def test_another_node_can_be_asked(visit: Visit, service: Served, statement_text: str) -> None:
    page = visit().page("/verify")
    page.locator("summary").first.click()
    page.locator("#rpc").fill(service.url + "/rpc")
    give(page, statement_text)
    page.locator(".verification[data-passed=true]").wait_for()
    page.locator("[data-tick=chain] summary").click()
    assert service.url + "/rpc" in page.locator("[data-tick=chain]").inner_text()


def test_a_receipt_of_a_charge_is_checked_too(visit: Visit, service: Served) -> None:
    kept = sorted((service.home / "receipts").glob("*.json"))
    text = kept[0].read_text(encoding="utf-8")
    page = visit().page("/verify")
    give(page, text)
    page.locator("#verified .notice.is-good").wait_for()
    assert page.locator("#verified [data-passed=true]").count() == 4
    document = json.loads(text)
    document["paid_micro"] = str(int(document["paid_micro"]) - 1)
    give(page, json.dumps(document))
    page.locator("#verified .notice.is-bad", has_text="paid_micro").wait_for()
    del document["order"]
    give(page, json.dumps(document))
    page.locator(".verdict", has_text="not a file that can be checked").wait_for()
    axe(page)
