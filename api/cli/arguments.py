"""Where a command's options come from: its words in any order, the environment, a `.env` file.

Each option of each command has a variable: `--tls-key` is `WATTLEDGER_TLS_KEY`. What is on the
command line counts most, then the environment, then `.env`, then the default. Variables are read
for the command that runs, and only for it.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from api.errors import WrongUsage

PREFIX: Final = "WATTLEDGER_"
ENV_FILE: Final = Path(".env")
SECRETS: Final = frozenset({"--password"})  # They have variables of their own, with longer names.
JSON_OPTION: Final = "--json"
_BETWEEN: Final = re.compile(r"[\s,]+")  # The values of an option that may be repeated.

Command: TypeAlias = TyperCommand | TyperGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Words and defaults as the command line's library takes them."""

    words: list[str]  # A command comes before its options.
    defaults: Mapping[str, Any]  # By command, then by option.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """An option that stands before the command."""

    depth: int  # After how many names of groups.
    name: str
    words: Sequence[str]  # With its value.


def arguments_of(group: TyperGroup, words: Sequence[str]) -> Arguments:
    """Puts options that stand before their command behind it, and looks its variables up.

    Raises:
        WrongUsage: there is a `.env` that cannot be read.
    """
    path, command, before, rest = _split(group, words)
    own, known, groups = _names(command), _names_below(group), _names(group)
    kept, moved = list[str](), list[str]()
    for depth, name in enumerate([*path, ""]):
        for said in before:
            if said.depth == depth:
                is_moved = said.name in own or (said.name in known and said.name not in groups)
                (moved if is_moved else kept).extend(said.words)
        kept += filter(None, [name])
    if isinstance(command, TyperGroup):  # No command was named, or none that there is.
        return Arguments(words=[*kept, *rest], defaults={})
    defaults: Mapping[str, Any] = _defaults(command)
    for name in reversed(path):
        defaults = {name: defaults}
    return Arguments(words=[*kept, *moved, *rest], defaults=defaults)


def invoke(app: typer.Typer, words: Sequence[str]) -> object:
    """Runs what the words say; what is wrong with them is raised."""
    group = get_command(app)
    if not isinstance(group, TyperGroup):  # It would have no commands.
        raise TypeError(group)
    arguments = arguments_of(group, words)
    return group.main(arguments.words, default_map=arguments.defaults, standalone_mode=False)


def variable_of(option: TyperOption) -> str:
    """The variable that an option's default comes from."""
    return PREFIX + max(option.opts, key=len).lstrip("-").replace("-", "_").upper()


def wants_json(words: Sequence[str]) -> bool:
    """Whether a failure is to be told as JSON, too."""
    if JSON_OPTION in words:
        return True
    try:
        said = _variables().get(PREFIX + JSON_OPTION.lstrip("-").upper(), "")
    except WrongUsage:
        return False
    return said.lower() in {"1", "true", "t", "yes", "y", "on"}


def usage_rule(error: Any) -> str:
    """What the library says of wrong usage, with the variable's name if the value came from one."""
    option, context = getattr(error, "param", None), getattr(error, "ctx", None)
    if isinstance(option, TyperOption) and context is not None:
        source = context.get_parameter_source(option.name)
        if source is not None and source.name == "DEFAULT_MAP":
            return f"Invalid value for {variable_of(option)}: {error.message}"
    return str(error.format_message())


def _split(
    group: TyperGroup, words: Sequence[str]
) -> tuple[list[str], Command, list[_Said], list[str]]:
    """The path to the command, the command, the options before it, and what comes after it."""
    known = _names_below(group)
    path, before, rest = list[str](), list[_Said](), list(words)
    command: Command = group
    while isinstance(command, TyperGroup) and rest:
        word = rest[0]
        if len(word) > 1 and word.startswith("-"):
            size = 2 if known.get(word) else 1
            name = word.partition("=")[0]
            before.append(_Said(depth=len(path), name=name, words=rest[:size]))
            rest = rest[size:]
            continue
        found = command.commands.get(word)
        if not isinstance(found, TyperCommand | TyperGroup):
            break
        command = found
        path.append(word)
        rest = rest[1:]
    return path, command, before, rest


def _names(command: Command) -> dict[str, bool]:
    """A command's options, and whether a value follows."""
    return {
        name: not option.is_flag
        for option in _options(command)
        for name in (*option.opts, *option.secondary_opts)
    }


def _names_below(command: Command) -> dict[str, bool]:
    names = _names(command)
    if isinstance(command, TyperGroup):
        for each in command.commands.values():
            if isinstance(each, TyperCommand | TyperGroup):
                names |= _names_below(each)
    return names


def _options(command: Command) -> Iterator[TyperOption]:
    return (each for each in command.params if isinstance(each, TyperOption))


def _defaults(command: Command) -> dict[str, Any]:
    variables, found = _variables(), dict[str, Any]()
    for option in _options(command):
        text = variables.get(variable_of(option), "")
        if option.name and text and not SECRETS.intersection(option.opts):
            is_many = option.multiple
            found[option.name] = _BETWEEN.split(text.strip(" ,")) if is_many else text
    return found


def _variables() -> dict[str, str]:
    """All of ours, by their names in capitals; one that is empty says nothing."""
    found: dict[str, str] = {}
    for source in (_env_file(), os.environ):
        for name, value in source.items():
            if name.upper().startswith(PREFIX) and value:
                found[name.upper()] = value
    return found


def _env_file() -> Mapping[str, str | None]:
    if not ENV_FILE.is_file():
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 (there is seldom such a file; settings need it anyway)

    try:
        return dotenv_values(ENV_FILE, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(rule=f"{ENV_FILE} cannot be read as text: {error}") from error
