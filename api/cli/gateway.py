"""The command `gateway`: its options and help text."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import JsonOption, finish, options_of
from api.logs import LogFormat


class MeterKind(StrEnum):
    """How a meter speaks."""

    DSMR = "dsmr"
    SML = "sml"


def gateway(
    context: typer.Context,
    key: Annotated[Path, typer.Option(help="The meter's key file, as /home makes it.")],
    read: Annotated[
        MeterKind, typer.Option(help="dsmr: a P1 port (DSMR, ESMR); sml: an optical head.")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="A device, as /dev/ttyUSB0; tcp://HOST:PORT; a file; - for what is piped.",
        ),
    ],
    service: Annotated[
        str | None,
        typer.Option(help="Its address, as https://street.example; else the key file's."),
    ] = None,
    every: Annotated[int, typer.Option(min=1, max=86_400, help="Seconds between readings.")] = 900,
    queue: Annotated[
        Path, typer.Option(help="File that keeps readings until the service has them.")
    ] = Path("gateway.sqlite"),
    once: Annotated[
        bool, typer.Option("--once", help="Take one reading now, send what waits, and end.")
    ] = False,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(help="Of the log on standard error; default: text on a terminal, else json."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read a real meter at home, sign what it says with its key, and send it.

    One reading is taken at each whole multiple of --every: the last telegram at or before it, with
    the meter's own time where it tells one, in whole Wh, rounded down. It is kept in the queue
    before it is sent, through outages, restarts and power cuts, and goes out oldest first.
    Telegrams with a wrong checksum are passed over. Needs pip install 'wattledger\\[gateway]'.

    It runs until Ctrl-C, or to the end of a file. Exit 0 if all was well, 1 if something was
    refused, 2 on wrong usage.

    Examples:

        wattledger gateway --key meter-key.json --read dsmr --from /dev/ttyUSB0

        wattledger gateway --key meter-key.json --read sml --from tcp://192.168.1.7:2000
        --service https://street.example --queue /var/lib/gateway.sqlite

        wattledger gateway --key meter-key.json --read dsmr --from telegram.txt --once --json
    """
    from api.cli.gateway_run import run_gateway_command  # noqa: PLC0415

    options = options_of(context, None, as_json)
    outcome = run_gateway_command(
        key_path=key,
        kind=read,
        source=source,
        service=service,
        every_s=every,
        queue_path=queue,
        once=once,
        log_format=log_format,
    )
    finish(options, outcome)
