"""Charges as a table: comma-separated, one header line (RFC 4180), energies and money in integers.

The names tell the units: Wh, seconds, micro-tokens, VAT included. Nothing says who drove.
"""

import csv
import io
from collections.abc import AsyncIterable, AsyncIterator, Iterable

from charging.desk import SessionView
from charging.tariffs import vat_micro_down
from ledger.units import to_rfc3339

MEDIA_TYPE = "text/csv; charset=utf-8"
COLUMNS = (
    "session_id",
    "charge_point_id",
    "connector_id",
    "created_at",
    "started_at",
    "stopped_at",
    "energy_wh",
    "time_s",
    "idle_s",
    "energy_per_kwh",
    "start_fee",
    "time_per_hour",
    "idle_per_hour",
    "paid_micro",
    "vat_bps",
    "vat_micro",
    "transaction",
)


async def charges_csv(pages: AsyncIterable[Iterable[SessionView]]) -> AsyncIterator[str]:
    """Text in pieces: a table of years is never whole in memory."""
    yield _lines([COLUMNS])
    async for views in pages:
        yield _lines(_row(view) for view in views)


def _row(view: SessionView) -> tuple[object, ...]:
    paid_micro, tariff = view.paid_micro or 0, view.tariff
    return (
        "0x" + view.session_id.hex(),
        view.charge_point_id,
        view.connector_id,
        to_rfc3339(view.created_at),
        "" if view.started_at is None else to_rfc3339(view.started_at),
        "" if view.stopped_at is None else to_rfc3339(view.stopped_at),
        view.energy_wh,
        view.time_s,
        view.idle_s,
        tariff.energy_per_kwh,
        tariff.start_fee,
        tariff.time_per_hour,
        tariff.idle_per_hour,
        paid_micro,
        view.vat_bps,
        vat_micro_down(paid_micro, view.vat_bps),
        "" if view.close_tx is None else "0x" + view.close_tx.hex(),
    )


def _lines(rows: Iterable[tuple[object, ...]]) -> str:
    piece = io.StringIO()
    csv.writer(piece).writerows(rows)
    return piece.getvalue()
