"""Options before the command, and from variables: what the command line's library is given."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from api.cli.app import app
from api.cli.arguments import arguments_of, variable_of
from tests.e2e.command_line import is_ours

GROUP = get_command(app)
assert isinstance(GROUP, TyperGroup)


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in filter(is_ours, list(os.environ)):
        monkeypatch.delenv(name)


def commands(group: TyperGroup) -> Iterator[TyperCommand]:
    for each in group.commands.values():
        if isinstance(each, TyperGroup):
            yield from commands(each)
        elif isinstance(each, TyperCommand):
            yield each


def options(command: TyperCommand) -> list[TyperOption]:
    return [each for each in command.params if isinstance(each, TyperOption)]


def arranged(line: str) -> str:
    assert isinstance(GROUP, TyperGroup)
    return shlex.join(arguments_of(GROUP, shlex.split(line)).words)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("--days 2 demo", "demo --days 2"),
        ("--days=2 --json demo --days 3", "demo --days=2 --json --days 3"),
        ("--out demo statement 2", "statement --out demo 2"),
        ("--out=demo statement 2", "statement --out=demo 2"),
        ("-y --kwh 5 charge --list", "charge -y --kwh 5 --list"),
        ("--domain a --domain b serve", "serve --domain a --domain b"),
        ("--password-file x keys --json list", "keys list --password-file x --json"),
        ("--data-dir x gateway --once", "--data-dir x gateway --once"),
        ("--port 1 demo", "demo --port 1"),
        ("--what demo", "--what demo"),
        ("--help demo", "--help demo"),
        ("keys --help list", "keys --help list"),
        ("--days 2 fly", "fly"),
        ("--days demo", ""),
        ("clear -", "clear -"),
        ("demo -- --days", "demo -- --days"),
        ("-- demo", "-- demo"),
        ("", ""),
    ],
)
def test_an_option_before_the_command_goes_behind_it(said: str, means: str) -> None:
    assert arranged(said) == means


def test_no_option_has_a_value_for_one_command_and_none_for_another() -> None:
    assert isinstance(GROUP, TyperGroup)
    kinds: dict[str, set[bool]] = {}
    for command in commands(GROUP):
        for option in options(command):
            for name in option.opts:
                kinds.setdefault(name, set()).add(option.is_flag)
    assert len(kinds) > 50
    assert [name for name, found in kinds.items() if len(found) > 1] == []


def test_every_option_but_a_secret_has_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(GROUP, TyperGroup)
    every = {variable_of(option) for command in commands(GROUP) for option in options(command)}
    assert {"WATTLEDGER_PORT", "WATTLEDGER_FROM", "WATTLEDGER_YES", "WATTLEDGER_JSON"} < every
    for variable in every:
        monkeypatch.setenv(variable, "7")
    for name, command in GROUP.commands.items():
        if isinstance(command, TyperCommand):
            names = {each.name for each in options(command)} - {"password"}
            assert set(arguments_of(GROUP, [name]).defaults[name]) == names
    assert set(arguments_of(GROUP, ["keys", "list"]).defaults["keys"]["list"]) == {
        "data_dir",
        "password_file",
        "as_json",
    }


def test_the_environment_counts_more_than_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(GROUP, TyperGroup)
    Path(".env").write_text("WATTLEDGER_PORT=1\nWATTLEDGER_HOST=h\nWATTLEDGER_DOMAIN=a, b c\n")
    monkeypatch.setenv("WATTLEDGER_PORT", "2")
    monkeypatch.setenv("WATTLEDGER_HOST", "")
    found = arguments_of(GROUP, ["serve"]).defaults["serve"]
    assert found == {"port": "2", "host": "h", "domain": ["a", "b", "c"]}
