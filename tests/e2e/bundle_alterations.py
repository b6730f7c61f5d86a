"""Every kind of single alteration of an audit bundle, and a word that an audit must say of it."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
Change = Callable[[Any], Any]
PERIOD = "period 2016-06-01"
UNSIGNED = "reading 0x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """One value of a bundle, by its path, and what it becomes."""

    name: str
    path: tuple[str | int, ...]
    change: Change | None  # None: the value is taken out.
    word: str

    def of(self, bundle: Document) -> Document:
        """An altered copy of a bundle."""
        altered = copy.deepcopy(bundle)
        *outer, last = self.path
        inner: Any = altered
        for part in outer:
            inner = inner[part]
        if self.change is None:
            inner.pop(last)
        else:
            inner[last] = self.change(inner[last])
        assert altered != bundle, self.name
        return altered


def more(value: Any) -> Any:
    """A number that is one more, in the form that it has."""
    return str(int(value) + 1) if isinstance(value, str) else value + 1


def less(value: Any) -> Any:
    """A number that is one less."""
    return value - 1


def digit(place: int) -> Change:
    """Another hex digit at a place."""

    def change(text: str) -> str:
        at = place % len(text)
        return f"{text[:at]}{(int(text[at], 16) + 1) % 16:x}{text[at + 1 :]}"

    return change


def set_to(value: Any) -> Change:
    """Another value altogether."""
    return lambda _: value


def appended(place: int, **fields: Any) -> Change:
    """A list with a copy of one of its items, changed, at its end."""
    return lambda items: [*items, {**items[place], **fields}]


def cut(characters: int) -> Change:
    """A text without its end."""
    return lambda text: text[:-characters]


def alterations(bundle: Document) -> Iterator[Alteration]:
    """All of them."""
    for place in range(len(bundle["readings"])):
        yield from _of_reading(place)
    for place, run in enumerate(bundle["runs"]):
        yield from _of_run(place)
        for account in range(len(run["statements"])):
            yield from _of_statement(place, account)
    yield from _of_the_rest(bundle)


def _of_reading(place: int) -> Iterator[Alteration]:
    changes: list[tuple[str, Change]] = [
        ("import_wh", more),
        ("export_wh", less),
        ("import_wh", set_to(0)),
        ("import_wh", set_to(10**12)),
        ("taken_at", lambda text: text.replace(":00:00Z", ":00:01Z")),
        ("meter_id", digit(-1)),
        ("signature", digit(20)),
        ("signature", digit(90)),
    ]
    for number, (field, change) in enumerate(changes):
        yield Alteration(
            name=f"reading {place} {field} {number}",
            path=("readings", place, field),
            change=change,
            word=UNSIGNED,
        )
    yield Alteration(
        name=f"reading {place} deleted", path=("readings", place), change=None, word=PERIOD
    )


def _of_run(place: int) -> Iterator[Alteration]:
    changes: list[tuple[str, Change, str]] = [
        ("prices", digit(-1), "claimed price"),
        ("prices", digit(2 + 64 + 20), "claimed price"),
        ("prices", cut(64), "one entry for each window"),
        ("totals", digit(-1), "claimed totals"),
        ("totals", digit(2 + 20), "claimed totals"),
        ("totals", cut(128), "one entry for each window"),
        ("totals_salt", digit(-1), "windows hash"),
        ("statements", lambda items: items[:-1], "one salt for each account"),
        ("run", lambda run: run + 7, f"run {place + 7}"),
        ("period_start", set_to("2016-06-02T00:00:00Z"), "2016-06-02"),
    ]
    for number, (field, change, word) in enumerate(changes):
        yield Alteration(
            name=f"run {place} {field} {number}",
            path=("runs", place, field),
            change=change,
            word=word,
        )
    yield Alteration(
        name=f"run {place} deleted", path=("runs", place), change=None, word=f"run {place}: final"
    )


def _of_statement(place: int, account: int) -> Iterator[Alteration]:
    name = f"run {place} account {account}"
    changes: list[tuple[str, Change, str]] = [
        ("salt", digit(-1), "statements root"),
        ("amount_nano", more, f"{name}: claimed amount"),
        ("rows", digit(-1), f"{name} window 3: claimed row"),
        ("rows", digit(2 + 20), f"{name} window 0: claimed row"),
        ("rows", cut(64), "one entry for each window"),
        ("account", more, "one for each account"),
    ]
    for number, (field, change, word) in enumerate(changes):
        yield Alteration(
            name=f"{name} {field} {number}",
            path=("runs", place, "statements", account, field),
            change=change,
            word=word,
        )


def _of_the_rest(bundle: Document) -> Iterator[Alteration]:
    accepted = [str(each["accepted_at"]) for each in bundle["readings"]]
    newest = accepted.index(max(accepted))  # What the revision was made for.
    first = 0 if newest else 1
    late, early = set_to("2020-01-01T00:00:00Z"), set_to("2016-05-31T00:00:00Z")
    foreign = "0x" + "11" * 32
    for name, path, change, word in (
        ("accepted too late", ("readings", first, "accepted_at"), late, "run 0"),
        ("accepted too early", ("readings", newest, "accepted_at"), early, "run 0"),
        ("unsigned", ("readings",), appended(3, taken_at="2016-06-01T01:00:00Z"), UNSIGNED),
        ("foreign", ("readings",), appended(3, meter_id=foreign), UNSIGNED),
        ("chain id", ("chain_id",), more, "chain_id"),
        ("market", ("market",), digit(30), "no contract"),
        ("format", ("format",), set_to("wattledger.bundle/3"), "format"),
        ("run twice", ("runs",), appended(0, totals_salt="0x" + "00" * 32), "twice"),
        ("invented run", ("runs",), appended(0, run=2), "run 2"),
        ("later block", ("balances_at_block",), more, "block"),
        ("earlier block", ("balances_at_block",), set_to(3), "balance"),
        ("fewer balances", ("balances_nano",), lambda items: items[:-1], "balance"),
    ):
        yield Alteration(name=name, path=path, change=change, word=word)
    for account in range(len(bundle["balances_nano"])):
        yield Alteration(
            name=f"balance {account}",
            path=("balances_nano", account),
            change=more,
            word=f"balance of account {account}",
        )
    for field in bundle:
        yield Alteration(name=f"no {field}", path=(field,), change=None, word=field)
