"""The command `keys`: its options and help texts."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import (
    DataDirOption,
    JsonOption,
    PasswordFileOption,
    finish,
    options_of,
    require_command,
)

RoleOption = Annotated[
    str, typer.Option(help="Name of the key, as `keys list` shows it: operator, account:2, ….")
]
KeyPasswordOption = Annotated[
    Path | None,
    typer.Option(help="Holds the password of the key's own file; else it is asked for."),
]

keys_app = typer.Typer(
    name="keys",
    help="See and move the keys of a data directory. No command prints one.",
    invoke_without_command=True,
)


@keys_app.callback()
def keys(context: typer.Context) -> None:
    """See and move the keys of a data directory. No command prints one."""
    require_command(context, "wattledger keys")


@keys_app.command("list")
def list_keys(
    context: typer.Context,
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the keys: names and addresses.

    Example:

        wattledger keys list --password-file /etc/wattledger/password
    """
    from api.cli.keys import run_list  # noqa: PLC0415

    options = options_of(context, data_dir, as_json, password_file)
    finish(options, run_list(options))


@keys_app.command()
def encrypt(
    context: typer.Context,
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move the keys from keys.json into an encrypted keystore. Start the service again afterwards.

    Example:

        wattledger keys encrypt --password-file /etc/wattledger/password
    """
    from api.cli.keys import run_encrypt  # noqa: PLC0415

    options = options_of(context, data_dir, as_json, password_file)
    finish(options, run_encrypt(options))


@keys_app.command("change-password")
def change_password(
    context: typer.Context,
    new_password_file: Annotated[
        Path | None, typer.Option(help="Holds the new password; else it is asked for.")
    ] = None,
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encrypt the keystore under another password.

    Example:

        wattledger keys change-password --password-file old --new-password-file new
    """
    from api.cli.keys import run_change_password  # noqa: PLC0415

    options = options_of(context, data_dir, as_json, password_file)
    finish(options, run_change_password(options, new_password_file))


@keys_app.command("import")
def import_key(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Encrypted key (JSON V3), as wallets write it.")],
    role: RoleOption,
    key_password_file: KeyPasswordOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the key that has this name.")
    ] = False,
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a key that was made elsewhere into the data directory.

    A role is held by whom the contracts name: `wattledger doctor` compares. Start the service again
    afterwards.

    Example:

        wattledger keys import operator.json --role operator --replace
    """
    from api.cli.keys import run_import_key  # noqa: PLC0415

    options = options_of(context, data_dir, as_json, password_file)
    finish(options, run_import_key(options, file, role, key_password_file, replace=replace))


@keys_app.command("export")
def export_key(
    context: typer.Context,
    role: RoleOption,
    out: Annotated[
        Path | None, typer.Option(help="File to make; default: the key's name.json.")
    ] = None,
    key_password_file: KeyPasswordOption = None,
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one key to an encrypted file (JSON V3) that wallets read.

    Example:

        wattledger keys export --role operator --out operator.json
    """
    from api.cli.keys import run_export_key  # noqa: PLC0415

    options = options_of(context, data_dir, as_json, password_file)
    finish(options, run_export_key(options, role, out, key_password_file))
