"""The command `simulate-charger`: its options and help text."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import DataDirOption, JsonOption, finish, options_of


def simulate_charger(
    context: typer.Context,
    charger_id: Annotated[
        str | None, typer.Option("--id", help="The charge point's id, as the service knows it.")
    ] = None,
    url: Annotated[str, typer.Option(help="Of the service.")] = "ws://127.0.0.1:8000",
    password: Annotated[
        str | None,
        typer.Option(
            help="Of the charge point; else WATTLEDGER_CHARGER_PASSWORD, .env, or the data "
            "directory's own, if it is one of its charge points."
        ),
    ] = None,
    protocol: Annotated[str, typer.Option(help="OCPP 1.6 or 2.0.1.")] = "1.6",
    connectors: Annotated[int, typer.Option(help="How many it has.")] = 1,
    power_w: Annotated[int, typer.Option(help="The most that each gives, in W.")] = 11_000,
    interval_s: Annotated[int, typer.Option(help="Seconds between meter values.")] = 30,
    battery_wh: Annotated[int, typer.Option(min=1, help="What each car takes, in Wh.")] = 40_000,
    ocmf: Annotated[bool, typer.Option("--ocmf", help="Sign the values, with a new key.")] = False,
    ocmf_key: Annotated[
        Path | None,
        typer.Option(help="Sign with the key of this PEM file; it is made if there is none."),
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="Misbehave like this; can be repeated.")
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="Say what can go wrong, and stop.")
    ] = False,
    speed: Annotated[
        int | None,
        typer.Option(help="Run so many times as fast as time; default: as fast as the service."),
    ] = None,
    charges: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many charges; default: Ctrl-C.")
    ] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play a charge point with an empty car at each connector, and say what happens.

    It connects by OCPP, waits to be started from afar, charges until it is
    stopped or the car is full, and obeys power limits. Then the next car
    comes. Ctrl-C stops the charges and ends it. Its clock shows the time of the
    service, if that is Wattledger's, and goes as fast.

    Examples:

        wattledger simulate-charger --id CP1 --password secret

        wattledger simulate-charger --id CP1 --protocol 2.0.1 --ocmf-key meter.pem --speed 60

        wattledger simulate-charger --id CP1 --fault offline-replay --fault duplicates
    """
    from api.cli.simulate import run_list_faults, run_simulator  # noqa: PLC0415

    options = options_of(context, data_dir, as_json)
    if list_faults:
        finish(options, run_list_faults())
        return
    if charger_id is None:
        raise typer.BadParameter("--id is missing: which charge point is it?")
    outcome = run_simulator(
        options,
        url=url,
        charge_point_id=charger_id,
        password=password,
        protocol=protocol,
        connectors=connectors,
        power_w=power_w,
        interval_s=interval_s,
        battery_wh=battery_wh,
        signs=ocmf,
        key_file=ocmf_key,
        faults=fault or [],
        speed=speed,
        charges=charges,
    )
    finish(options, outcome)
