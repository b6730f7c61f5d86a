"""Commands, their options and help texts. Each imports what it needs when it runs."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from api.cli.arguments import invoke, usage_rule, wants_json
from api.cli.charger import simulate_charger
from api.cli.context import (
    DataDirOption,
    JsonOption,
    Options,
    PasswordFileOption,
    finish,
    options_of,
    require_command,
)
from api.cli.driver import charge
from api.cli.gateway import gateway
from api.cli.keyring import keys_app
from api.cli.operation import backup, doctor, forget, restore
from api.cli.values import instant_s
from api.errors import WrongUsage
from api.logs import LogFormat

INTERRUPTED = 130  # What typer gives back when Ctrl-C ended a command.
DEBUG_VARIABLE = "WATTLEDGER_DEBUG"
REPLAY_SPEED = 60  # An hour, which is a window of the demo, lasts a minute.

app = typer.Typer(
    name="wattledger",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def main(
    context: typer.Context,
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Settles a neighbourhood's electricity on an EVM chain: exact, checkable, correctable.

    Start with `wattledger demo`. Options may stand before or after the command. Each has a
    variable, in the environment or a file .env: --tls-key is WATTLEDGER_TLS_KEY.
    """
    require_command(context, "wattledger")
    context.obj = Options(data_dir=data_dir, as_json=as_json, password_file=password_file)


@app.command()
def demo(
    context: typer.Context,
    registers: Annotated[
        Path | None,
        typer.Option(help="CSV of cumulative registers; default: six homes of Konstanz, 2016."),
    ] = None,
    charging: Annotated[
        str | None,
        typer.Option(
            help="CSV of charging sessions, or none; default: garages in Trondheim, 2019.",
            show_default=False,
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Settle the first N UTC days of the file.")] = 7,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the main job, end to end, on real data.

    Deploys the contracts on an embedded chain, enrols the homes, signs and imports their readings,
    clears and settles every day, verifies every statement, audits the whole, and prints what each
    home sold, bought and saved. Leaves a data directory that the other commands open.

    Examples:

        wattledger demo

        wattledger demo --days 153 --data-dir ./summer

        wattledger demo --registers my-street.csv --json
    """
    from api.cli.demo import run_demo  # noqa: PLC0415

    options = options_of(context, data_dir, as_json)
    finish(options, run_demo(options, registers=registers, charging=charging, days=days))


@app.command()
def init(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option(help="The community's TOML file; the README describes it.")
    ] = Path("community.toml"),
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a community from a TOML file: rules, tariff, accounts, meters; deploy its contracts.

    Interrupted, it is taken up where it stopped by the same command. Behind an endpoint the keys
    are kept in an encrypted keystore.

    Examples:

        wattledger init --config community.toml --data-dir ./street

        wattledger init --config community.toml --password-file /etc/wattledger/password
    """
    from api.cli.community import run_init  # noqa: PLC0415

    options = options_of(context, data_dir, as_json, password_file)
    finish(options, run_init(options, config))


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any that is free.")] = 8000,
    domain: Annotated[
        list[str] | None,
        typer.Option(help="Name that people sign in at, as in example.org; may be repeated."),
    ] = None,
    proxy: Annotated[
        str | None, typer.Option(help="Address of the proxy whose X-Forwarded headers count.")
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM; the chain, too.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="PEM: who vouches for chargers' certificates.")
    ] = None,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(help="Of the log on standard error; default: text on a terminal, else json."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=64,
            help="Processes that take readings in; 0, the default: threads of this one.",
        ),
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="A demo's homes, chargers and drivers live on.")
    ] = False,
    speed: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100_000,
            help="Seconds of a demo's time in a real one; default: 60 with --replay, else 1.",
        ),
    ] = None,
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve HTTP and OCPP on one port, until Ctrl-C. The data directory is this process's alone.

    With --json the one object that is printed says where the service is, once it can be asked.

    With --replay what `demo` made goes on living: simulated homes send what the real ones' meters
    read, chargers can be used, and drivers come and go; an hour of theirs lasts a minute.

    Examples:

        wattledger serve --replay --speed 600

        wattledger serve --host 0.0.0.0 --port 8443 --domain charge.example --tls-certificate
        chain.pem --tls-key key.pem
    """
    from api.cli.serve import ServeOptions, run_serve  # noqa: PLC0415

    run_serve(
        options_of(context, data_dir, as_json, password_file),
        ServeOptions(
            host=host,
            port=port,
            domains=tuple(domain or ()),
            proxy=proxy,
            certificate=tls_certificate,
            key=tls_key,
            client_ca=tls_client_ca,
            log_format=log_format,
            workers=workers,
            replay=replay,
            speed=speed or (REPLAY_SPEED if replay else 1),
        ),
    )


@app.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File with meter data.")],
    format_name: Annotated[str, typer.Option("--format", help="registers-csv or readings-json.")],
    meter: Annotated[
        str | None, typer.Option(help="Take only this meter's rows, or name the file's only meter.")
    ] = None,
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring meter data in; prints accepted, duplicate, estimated and rejected rows.

    One bad row never sinks its file: each is listed with its line and the rule that it broke.
    Another value for an instant is kept as a new version and settled by a later run.

    Examples:

        wattledger import revised.csv --format registers-csv

        wattledger import readings.json --format readings-json
    """
    from api.cli.community import run_import  # noqa: PLC0415

    options = options_of(context, data_dir, as_json, password_file)
    finish(options, run_import(options, file, format_name, meter))


@app.command()
def settle(
    context: typer.Context,
    until: Annotated[
        int | None,
        typer.Option(
            parser=instant_s,
            metavar="TIME",
            help="Close what is due by this time, e.g. 2016-06-08T00:00:00Z.",
        ),
    ] = None,
    data_dir: DataDirOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close all windows that are due and settle their periods; then settle revisions.

    Can be interrupted anywhere and run again: what was sent is never sent twice.

    Example:

        wattledger settle --until 2016-06-08T00:00:00Z
    """
    from api.cli.community import run_settle  # noqa: PLC0415

    options = options_of(context, data_dir, as_json, password_file)
    finish(options, run_settle(options, until))


@app.command()
def clear(
    file: Annotated[
        Path | None, typer.Argument(help="JSON problem or array of problems; default: stdin.")
    ] = None,
    as_json: JsonOption = False,  # noqa: ARG001 (the output is JSON in any case)
) -> None:
    """Clear a market as a pure function: JSON in, JSON out.

    Example:

        echo '{"tariff": {"grid_import_per_kwh": 300000, "grid_export_per_kwh": 80000,
        "local_fee_per_kwh": 20000}, "flows": [{"account": 2, "import_wh": 900, "export_wh": 0},
        {"account": 3, "import_wh": 0, "export_wh": 600}]}' | wattledger clear
    """
    from api.cli.clear import run_clear  # noqa: PLC0415

    raise typer.Exit(run_clear(file))


@app.command()
def statement(
    context: typer.Context,
    account: Annotated[int, typer.Argument(min=0, help="Account number.")],
    period: Annotated[
        int | None,
        typer.Option(parser=instant_s, metavar="TIME", help="Start of one period; default: all."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for the files.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an account's statement files, one for each period and run.

    Example:

        wattledger statement 3 --period 2016-06-01T00:00:00Z --out ./mine
    """
    from api.cli.community import run_statement  # noqa: PLC0415

    options = options_of(context, data_dir, as_json)
    finish(options, run_statement(options, account, period, out))


@app.command()
def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A statement or receipt file.")],
    rpc: Annotated[str | None, typer.Option(help="Compare with this JSON-RPC endpoint.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a statement or a charge's receipt: all of it again, and what the chain says.

    Of a statement rows, amount, leaf, proof and prices; of a receipt signatures, evidence, energy,
    cost and refund. Exit 0 only if everything agrees and it was compared with a chain.

    Examples:

        wattledger verify statements/3-20160601T000000Z.json

        wattledger verify receipt.json --rpc http://127.0.0.1:8000/rpc
    """
    from api.cli.verify import run_verify  # noqa: PLC0415

    options = options_of(context, data_dir, as_json)
    finish(options, run_verify(options, file, rpc))


@app.command()
def audit(
    context: typer.Context,
    rpc: Annotated[str | None, typer.Option(help="Read the chain at this endpoint.")] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Audit this bundle instead of the data directory's readings."),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the bundle that another auditor needs, and stop.")
    ] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Re-derive all settlements from chain events and signed readings; list every discrepancy.

    Examples:

        wattledger audit

        wattledger audit --export bundle.json

        wattledger audit --bundle bundle.json --rpc https://node.example
    """
    from api.cli.audit import run_audit  # noqa: PLC0415

    options = options_of(context, data_dir, as_json)
    finish(options, run_audit(options, rpc, bundle, export))


app.command()(charge)
app.command("simulate-charger")(simulate_charger)
app.command()(gateway)
app.command()(backup)
app.command()(restore)
app.command()(doctor)
app.command()(forget)
app.add_typer(keys_app, name="keys")


def run(arguments: list[str] | None = None) -> int:
    """Runs one command and gives its exit code; failures are one line on standard error."""
    from ledger.errors import LedgerError  # noqa: PLC0415

    words = sys.argv[1:] if arguments is None else arguments
    try:
        outcome = invoke(app, words)
    except WrongUsage as wrong:
        return _fail("usage", wrong.rule, words, exit_code=2)
    except LedgerError as error:
        return _fail(error.code, error.detail, words)
    except typer.Exit as leave:
        outcome = leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        outcome = INTERRUPTED
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # Wrong usage.
            return _fail("usage", usage_rule(error), words, exit_code=2)
        if DEBUG_VARIABLE in os.environ:
            raise
        detail = f"{type(error).__name__}: {error} (set {DEBUG_VARIABLE}=1 to see where)"
        return _fail("internal_error", detail, words)
    if outcome == INTERRUPTED:
        return _fail("interrupted", "nothing is lost: run the same command again", words)
    return outcome if isinstance(outcome, int) else 0


def _fail(code: str, detail: str, words: list[str], *, exit_code: int = 1) -> int:
    line = " ".join(detail.split())
    if wants_json(words):
        print(json.dumps({"error": {"code": code, "detail": line}}))
    print(f"wattledger: {code}: {line}", file=sys.stderr)
    return exit_code
