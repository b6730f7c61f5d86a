"""The command `charge`: its options and help text."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import DataDirOption, JsonOption, finish, options_of
from api.cli.values import amount_micro, energy_wh, session_id


def charge(
    context: typer.Context,
    charger: Annotated[
        str | None, typer.Option(help="Id of the charge point, as on its sign.")
    ] = None,
    connector: Annotated[int, typer.Option(min=1, help="Which of its connectors.")] = 1,
    deposit: Annotated[
        int | None,
        typer.Option(
            parser=amount_micro,
            metavar="AMOUNT",
            help="What you put down, in tokens, as 20.00; the rest comes back.",
        ),
    ] = None,
    wallet: Annotated[
        Path | None,
        typer.Option(
            help="Encrypted key file (JSON V3); its password is asked for, or is in "
            "WATTLEDGER_WALLET_PASSWORD."
        ),
    ] = None,
    demo_wallet: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Play a driver of the data directory's trial chain; tokens are made as needed.",
        ),
    ] = None,
    url: Annotated[str, typer.Option(help="Of the service.")] = "http://127.0.0.1:8000",
    rpc: Annotated[
        str | None, typer.Option(help="JSON-RPC endpoint of the chain; default: the service's.")
    ] = None,
    kwh: Annotated[
        int | None,
        typer.Option(parser=energy_wh, metavar="KWH", help="Stop after so many kWh."),
    ] = None,
    minutes: Annotated[int | None, typer.Option(min=1, help="Stop after so many minutes.")] = None,
    top_up: Annotated[
        int | None,
        typer.Option(
            parser=amount_micro,
            metavar="AMOUNT",
            help="Add so much, once, when the deposit is nearly used.",
        ),
    ] = None,
    receipt: Annotated[Path | None, typer.Option(help="Write the receipt to this file.")] = None,
    session: Annotated[
        bytes | None,
        typer.Option(
            parser=session_id,
            metavar="ID",
            help="Follow this session of yours instead of a new one.",
        ),
    ] = None,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="Put the deposit down, and leave.")
    ] = False,
    list_chargers: Annotated[
        bool, typer.Option("--list", help="List all chargers with their prices, and leave.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Sign without being asked.")] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Charge a car: see the price, sign, watch the kWh and the cost, get the rest back.

    Nothing is paid before you sign, and you need no gas. Ctrl-C stops the charge; then the refund
    and the receipt come, which is checked against the chain at once. A connection that drops, or a
    service that starts again, changes nothing. Exit 0 if it was paid and the receipt agrees.

    Examples:

        wattledger charge --list --url https://charge.example

        wattledger charge --charger CP1 --deposit 20.00 --wallet me.json --receipt receipt.json

        wattledger charge --charger CP1 --deposit 20.00 --demo-wallet anna --kwh 5 --yes
    """
    from api.cli.charge import ChargeOptions, run_charge, run_list  # noqa: PLC0415
    from charging.orders import SessionId  # noqa: PLC0415

    options = options_of(context, data_dir, as_json)
    if list_chargers:
        finish(options, run_list(url))
        return
    wanted = ChargeOptions(
        url=url,
        rpc=rpc,
        charger=charger,
        connector=connector,
        deposit_micro=deposit,
        wallet=wallet,
        demo_wallet=demo_wallet,
        energy_wh=kwh,
        minutes=minutes,
        top_up_micro=top_up,
        receipt=receipt,
        session=None if session is None else SessionId(session),
        follow=not no_follow,
        yes=yes,
    )
    finish(options, run_charge(options, wanted))
