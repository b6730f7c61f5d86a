"""Commands for whoever runs a service: their options and help texts."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import DataDirOption, JsonOption, PasswordFileOption, finish, options_of
from api.cli.values import address
from ledger.units import Address

RETENTION_DAYS_MIN = 30  # As in the configuration, which takes a while to import.


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


def forget(
    context: typer.Context,
    account: Annotated[int | None, typer.Argument(min=2, help="A member's account.")] = None,
    application: Annotated[
        int | None, typer.Option(min=1, help="An application to join, by its number.")
    ] = None,
    driver: Annotated[
        Address | None,
        typer.Option(parser=address, metavar="ADDRESS", help="A driver's address."),
    ] = None,
    older_than: Annotated[
        int | None,
        typer.Option(
            min=RETENTION_DAYS_MIN, help="Everybody's readings and evidence older than DAYS."
        ),
    ] = None,
    expired: Annotated[
        bool, typer.Option("--expired", help="The same for the configuration's retention_days.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase personal data: on request, or because they were kept long enough.

    Names, contacts, labels and sign-ins go at once; readings, rows of statements once an account
    has no meter and no balance; evidence of charges once they have ended. The chain holds none of
    it. The audit names what was erased. Works beside a running service.

    Examples:

        wattledger forget 7

        wattledger forget --driver 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --yes

        wattledger forget --expired --yes
    """
    from api.cli.forget import Whom, run_forget  # noqa: PLC0415

    options = options_of(context, data_dir, as_json, password_file)
    whom = Whom(
        account=account,
        application=application,
        driver=driver,
        older_than_days=older_than,
        is_expired=expired,
    )
    finish(options, run_forget(options, whom, is_sure=yes))
