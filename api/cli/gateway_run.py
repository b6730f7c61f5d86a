"""`wattledger gateway`: from what was typed to a process, and from its report to an outcome."""

from pathlib import Path
from typing import Final

from api.cli.context import Outcome
from api.cli.gateway import MeterKind
from api.driver.http import Service
from api.errors import BadInput
from api.gateway.key_file import read_meter_key
from api.gateway.process import GatewayPlan, run_gateway
from api.gateway.sources import require_library, source_of
from api.logs import LogFormat, default_format, write_logs
from metering.dsmr import DSMR
from metering.sml import SML
from metering.telegrams import TelegramFormat

FORMATS: Final[dict[MeterKind, TelegramFormat]] = {MeterKind.DSMR: DSMR, MeterKind.SML: SML}


def run_gateway_command(
    *,
    key_path: Path,
    kind: MeterKind,
    source: str,
    service: str | None,
    every_s: int,
    queue_path: Path,
    once: bool,
    log_format: LogFormat | None,
) -> Outcome:
    """Runs a gateway until it ends.

    Raises:
        LedgerError: what was typed cannot be used, or what does not pass by itself.
    """
    telegram_format = FORMATS[kind]
    key = read_meter_key(key_path)
    address = service or key.service
    if address is None:
        raise BadInput(field="--service", rule="is needed: the key file names none")
    plan = GatewayPlan(
        key=key,
        source=source_of(source, telegram_format.baud),
        telegram_format=telegram_format,
        service=Service(address, option="--service"),
        queue_path=queue_path,
        every_s=every_s,
        once=once,
    )
    if kind is MeterKind.DSMR:
        require_library("dsmr_parser", "dsmr-parser")
    write_logs(log_format or default_format())
    report = run_gateway(plan)
    return Outcome(document=report.document(), text=report.text(), passed=report.passed)
