"""`wattledger simulate-charger`: a charge point to play with, and what happens at it in lines."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from api.cli.context import Options, Outcome, data_path
from api.datadir import DataDir
from api.driver.desk import fetch_market
from api.driver.http import Service
from api.errors import BadInput, NoCommunity, WrongUsage
from api.jobs.community import stored_config
from api.jobs.create import charger_password
from api.settings import read_settings
from charging.simulator.clock import RunningClock
from charging.simulator.connectors import Transaction
from charging.simulator.drive import drive
from charging.simulator.errors import BadPointSetting
from charging.simulator.faults import MEANING, Fault, faults_named
from charging.simulator.ocmf import OcmfSigner
from charging.simulator.point import ChargePoint
from ledger.errors import LedgerError
from ledger.units import to_rfc3339

LAST_WORDS_S: Final = 5  # Real time for telling of charges that end with the program.
PRIVATE: Final = 0o600


def run_list_faults() -> Outcome:
    """Every fault with what it does."""
    width = max(len(fault) for fault in Fault)
    return Outcome(
        document={"faults": {fault.value: MEANING[fault] for fault in Fault}},
        text="\n".join(f"{fault.value:<{width}}  {MEANING[fault]}" for fault in Fault),
    )


def run_simulator(
    options: Options,
    *,
    url: str,
    charge_point_id: str,
    password: str | None,
    protocol: str,
    connectors: int,
    power_w: int,
    interval_s: int,
    battery_wh: int,
    signs: bool,
    key_file: Path | None,
    faults: list[str],
    speed: int | None,
    charges: int | None,
) -> Outcome:
    """Plays a charge point until Ctrl-C, or until so many charges are over.

    Raises:
        CentralUnreachable, PointRefused: why it cannot connect.
        WrongUsage: an option that no charge point can have.
        BadInput: a key file that cannot be written.
    """
    with _options_named():
        clock = _clock(url, speed)
        signer = _signer(key_file, signs=signs, serial=charge_point_id)
        note = _noter(clock, shown=not options.as_json)
        point = ChargePoint(
            url,
            charge_point_id,
            password if password is not None else _password(options, charge_point_id),
            protocol=protocol,
            connectors=connectors,
            clock=clock,
            power_w=power_w,
            interval_s=interval_s,
            signer=signer,
            faults=faults_named(faults),
            note=note,
        )
    if signer is not None:
        note(f"the meter signs with {signer.curve}, public key {signer.public_key_hex}")
    asyncio.run(_live(point, connectors=connectors, battery_wh=battery_wh, charges=charges))
    done = _over(point)
    energy_wh = sum(charge.energy_wh for charge in done)
    return Outcome(
        document={
            "charge_point": charge_point_id,
            "protocol": protocol,
            "connections": point.connections,
            "ocmf_public_key": signer.public_key_hex if signer else None,
            "energy_wh": energy_wh,
            "charges": [_charge_document(charge) for charge in done],
        },
        text=f"charges told: {len(done)}, together {energy_wh} Wh",
    )


async def _live(
    point: ChargePoint, *, connectors: int, battery_wh: int, charges: int | None
) -> None:
    """Ctrl-C ends it as a person would: charges are stopped, and that is told."""
    life = asyncio.ensure_future(_play(point, connectors, battery_wh, charges))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, life.cancel)
    with suppress(asyncio.CancelledError):
        await life


async def _play(point: ChargePoint, connectors: int, battery_wh: int, charges: int | None) -> None:
    def enough() -> bool:
        return charges is not None and len(_over(point)) >= charges

    async with point:
        cars: asyncio.Future[list[None]] = asyncio.gather(
            *(drive(point, place, battery_wh=battery_wh) for place in range(1, connectors + 1))
        )
        counting = asyncio.ensure_future(point.wait_until(enough, None))
        try:
            both: list[asyncio.Future[Any]] = [cars, counting]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if cars.done():
                await cars
        finally:
            counting.cancel()
            cars.cancel()
            await asyncio.gather(cars, counting, return_exceptions=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    for place in range(1, connectors + 1):
                        await point.stop(place)


@contextmanager
def _options_named() -> Iterator[None]:
    """Says by which option a charge point was asked for that there cannot be."""
    try:
        yield
    except BadPointSetting as error:
        option = "--" + error.field.replace("_", "-")
        raise WrongUsage(rule=f"Invalid value for '{option}': {error.rule}") from error


def _over(point: ChargePoint) -> list[Transaction]:
    return [charge for charge in point.transactions if charge.stopped_at is not None]


def _signer(key_file: Path | None, *, signs: bool, serial: str) -> OcmfSigner | None:
    """The meter's key: of the file, made there if there is none, or made for this run."""
    if key_file is None:
        return OcmfSigner.made(serial=serial) if signs else None
    if not key_file.exists():
        signer = OcmfSigner.made(serial=serial)
        try:
            key_file.touch(mode=PRIVATE)
            key_file.write_bytes(signer.private_key_pem())
        except OSError as error:
            rule = f"{key_file} cannot be written"
            raise BadInput(field="--ocmf-key", rule=rule) from error
    return OcmfSigner.from_file(key_file, serial=serial)


def _password(options: Options, charge_point_id: str) -> str | None:
    """Of the settings, else of the data directory, if the charge point is one of its trials."""
    stated = read_settings().charger_password
    if stated is not None:
        return stated.get_secret_value()
    directory = DataDir(data_path(options))
    try:
        directory.require()
    except NoCommunity:
        return None
    return charger_password(stored_config(directory), directory.keys(), charge_point_id)


def _clock(url: str, speed: int | None) -> RunningClock:
    """A clock at the service's time and speed, where it tells them; a stated speed wins."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    try:
        told = fetch_market(Service(f"{scheme}://{parts.netloc}")).clock
    except LedgerError:  # Another kind of central system; whether it is one is seen in a moment.
        return RunningClock(speed=1 if speed is None else speed)
    return RunningClock(speed=told.speed if speed is None else speed, start_at=told.now())


def _noter(clock: RunningClock, *, shown: bool) -> Callable[[str], None]:
    def note(line: str) -> None:
        if shown:
            print(f"{clock.now_at():%H:%M:%S}  {line}", flush=True)

    return note


def _charge_document(charge: Transaction) -> dict[str, Any]:
    return {
        "connector": charge.connector_id,
        "transaction_id": str(charge.central_id or charge.local_id),
        "id_token": charge.id_token,
        "started_at": to_rfc3339(charge.started_at),
        "stopped_at": to_rfc3339(charge.stopped_at) if charge.stopped_at else None,
        "start_wh": charge.start_wh,
        "stop_wh": charge.stop_wh,
        "energy_wh": charge.energy_wh,
        "reason": charge.reason,
    }
