"""Commands for whoever runs a service: their options and help texts."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import DataDirOption, JsonOption, PasswordFileOption, finish, options_of


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File to make; it must not be there yet.")],
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything that a community consists of into one file, also while it is served.

    Database, embedded chain, configuration and keys, as they were at one instant. Keys are in it as
    they lie on the disk; a keystore's password is not. SQLite or PostgreSQL, it can be restored to
    either.

    Examples:

        wattledger backup /backups/street-2026-11-25.tar.gz

        wattledger backup today.tar.gz && age -r age1… -o today.tar.gz.age today.tar.gz
    """
    from api.cli.backup import run_backup  # noqa: PLC0415

    options = options_of(context, data_dir, as_json)
    finish(options, run_backup(options, file))


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file that `wattledger backup` made.")],
    database_url: Annotated[
        str | None,
        typer.Option(
            help="Where the database goes; else WATTLEDGER_DATABASE_URL, or into the directory."
        ),
    ] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a data directory from a backup. What is there already is never overwritten.

    A backup of an older version is brought up to this one; one of a newer version is refused.

    Examples:

        wattledger restore street.tar.gz --data-dir ./again

        wattledger restore street.tar.gz --data-dir ./again
        --database-url postgresql+psycopg://wattledger@localhost/wattledger
    """
    from api.cli.backup import run_restore  # noqa: PLC0415

    options = options_of(context, data_dir, as_json)
    finish(options, run_restore(options, file, database_url))


def doctor(
    context: typer.Context,
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at everything that a community needs, and say what to do about what is wrong.

    Directory, keys, database, chain, contracts, roles, gas, clock, disk, what is owed to the chain,
    meters and periods. Changes nothing, and works beside a running service. Exit 1 on problems.

    Examples:

        wattledger doctor

        wattledger doctor --json --password-file /etc/wattledger/password
    """
    from api.cli.doctor import run_doctor  # noqa: PLC0415

    options = options_of(context, data_dir, as_json, password_file)
    finish(options, run_doctor(options))
