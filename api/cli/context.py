"""Options that every command shares, and how a command ends."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from api.errors import WrongUsage

DATA_DIR_DEFAULT = Path("wattledger-data")
DATA_DIR_VARIABLE = "WATTLEDGER_DATA_DIR"

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help=f"Data directory; else {DATA_DIR_VARIABLE}, .env, or ./{DATA_DIR_DEFAULT}.",
        show_default=False,
    ),
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        help="Holds the keystore's password; else WATTLEDGER_PASSWORD_FILE, .env, the systemd "
        "credential wattledger-keystore, or it is asked for.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options as given before or after the subcommand."""

    data_dir: Path | None
    as_json: bool
    password_file: Path | None = None  # Of the keystore.


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended: its JSON, its text, and whether all went well."""

    document: Mapping[str, Any]
    text: str
    passed: bool = True


def options_of(
    context: typer.Context,
    data_dir: Path | None,
    as_json: bool,
    password_file: Path | None = None,
) -> Options:
    """Options of a subcommand over those before it."""
    before: Options = context.obj
    return Options(
        data_dir=data_dir or before.data_dir,
        as_json=as_json or before.as_json,
        password_file=password_file or before.password_file,
    )


def require_command(context: typer.Context, called: str) -> None:
    """Says which commands there are, where none was named."""
    group = context.command
    if context.invoked_subcommand is None and isinstance(group, TyperGroup):
        known = ", ".join(group.commands)
        raise WrongUsage(rule=f"say which command: {known}; `{called} --help` explains them")


def data_path(options: Options) -> Path:
    """The data directory: option, variable, `.env`, default."""
    if options.data_dir is not None:
        return options.data_dir
    from api.settings import read_settings  # noqa: PLC0415 (pydantic-settings takes a while to import)

    return read_settings().data_dir or DATA_DIR_DEFAULT


def finish(options: Options, outcome: Outcome) -> None:
    """Prints an outcome and leaves with its exit code."""
    typer.echo(json.dumps(outcome.document) if options.as_json else outcome.text)
    if not outcome.passed:
        raise typer.Exit(1)
