"""The statement file `wattledger.statement/1`, read strictly: nothing is guessed.

Every field of INTERFACES §5 is required; `meters`, which is ours, may be absent.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from ledger.errors import LedgerError
from ledger.json_fields import (
    INSTANT_S_MAX,
    BadField,
    Fields,
    choice,
    flag,
    instant_s,
    instant_text,
    listed,
    octets,
    refuse,
    text,
    whole,
    whole_text,
)
from ledger.keccak import checksum_address
from ledger.statements import AMOUNT_NANO_MAX, FORMAT, Statement, StatementMeter
from ledger.units import (
    ENERGY_WH_MAX,
    PERIOD_WINDOWS_MAX,
    PRICE_PER_KWH_MAX,
    AccountId,
    Address,
    Hash32,
    from_unix_s,
)
from ledger.words import StatementRow, WindowPrice, WindowTotals

TOTAL_WH_MAX = 2**64 - 1
METER_CLASSES = ("certified", "gateway", "imported")
RESIDUALS = ("settled", "external")
_amount = whole_text(
    -AMOUNT_NANO_MAX, AMOUNT_NANO_MAX, "must be a decimal string of a 64-bit integer"
)


@dataclass(eq=False, kw_only=True)
class BadStatement(LedgerError):
    """A statement file that does not have the form of INTERFACES §5."""

    code: ClassVar[str] = "bad_statement"
    field: str
    rule: str


def statement_file_name(period_start_s: int, account: int, run: int) -> str:
    """`3-20160601T000000Z.json`, with `-r1` for run 1."""
    start = from_unix_s(period_start_s).strftime("%Y%m%dT%H%M%SZ")
    return f"{account}-{start}{f'-r{run}' if run else ''}.json"


def statement_to_json(statement: Statement) -> dict[str, Any]:
    """The file's JSON object, in the order of INTERFACES §5."""
    return {
        "format": FORMAT,
        "chain_id": statement.chain_id,
        "market": checksum_address(statement.market),
        "account": statement.account,
        "period_start": instant_text(statement.period_start_s),
        "run": statement.run,
        "window_s": statement.window_s,
        "residual": statement.residual,
        **_meters_to_json(statement.meters),
        "rows": [
            {
                "start": instant_text(statement.period_start_s + place * statement.window_s),
                **asdict(row),
            }
            for place, row in enumerate(statement.rows)
        ],
        "prices": [asdict(price) for price in statement.prices],
        "totals": [asdict(total) for total in statement.totals],
        "totals_salt": _hex(statement.totals_salt),
        "amount_nano": str(statement.amount_nano),
        "applied_before_nano": str(statement.applied_before_nano),
        "shortfall_nano": str(statement.shortfall_nano),
        "salt": _hex(statement.salt),
        "leaf": _hex(statement.leaf),
        "proof": [_hex(sibling) for sibling in statement.proof],
        "statements_root": _hex(statement.statements_root),
        "deltas_root": _hex(statement.deltas_root),
        "cutoff_at": instant_text(statement.cutoff_at_s),
        "transaction": _hex(statement.transaction),
    }


def _meters_to_json(meters: tuple[StatementMeter, ...] | None) -> dict[str, Any]:
    if meters is None:
        return {}
    return {
        "meters": [
            {"meter_id": _hex(meter.meter_id), "class": meter.meter_class} for meter in meters
        ]
    }


def statement_from_json(document: object) -> Statement:
    """Reads a statement file's JSON object.

    Raises:
        BadStatement: naming the field and the rule that it breaks.
    """
    try:
        return _statement(document)
    except BadField as error:
        raise BadStatement(field=error.field, rule=error.rule) from error


def _statement(document: object) -> Statement:
    top = Fields(document, "")
    if top.take("format", text) != FORMAT:
        refuse("format", f"must be {FORMAT!r}")
    period_start_s = top.take("period_start", instant_s)
    window_s = top.take("window_s", whole(1, 86_400))
    statement = Statement(
        chain_id=top.take("chain_id", whole(1, 2**256 - 1)),
        market=Address(top.take("market", octets(20))),
        account=AccountId(top.take("account", whole(0, 2**32 - 1))),
        period_start_s=period_start_s,
        run=top.take("run", whole(0, 2**32 - 1)),
        window_s=window_s,
        residual=top.take("residual", choice(RESIDUALS)),
        meters=top.take("meters", listed(_meter)) if "meters" in top else None,
        rows=top.take("rows", listed(_row)),
        prices=top.take("prices", listed(_price)),
        totals=top.take("totals", listed(_totals)),
        totals_salt=Hash32(top.take("totals_salt", octets(32))),
        amount_nano=top.take("amount_nano", _amount),
        applied_before_nano=top.take("applied_before_nano", _amount),
        shortfall_nano=top.take("shortfall_nano", _amount),
        salt=Hash32(top.take("salt", octets(32))),
        leaf=Hash32(top.take("leaf", octets(32))),
        proof=tuple(Hash32(sibling) for sibling in top.take("proof", listed(octets(32)))),
        statements_root=Hash32(top.take("statements_root", octets(32))),
        deltas_root=Hash32(top.take("deltas_root", octets(32))),
        cutoff_at_s=top.take("cutoff_at", instant_s),
        transaction=Hash32(top.take("transaction", octets(32))),
    )
    top.done()
    _check_lengths(statement)
    _check_starts(document, statement)
    return statement


def _check_lengths(statement: Statement) -> None:
    windows = len(statement.rows)
    if not 1 <= windows <= PERIOD_WINDOWS_MAX:
        refuse("rows", f"must have one entry a window, from 1 to {PERIOD_WINDOWS_MAX}")
    for name in ("prices", "totals"):
        if len(getattr(statement, name)) != windows:
            refuse(name, f"must have as many entries as rows: {windows}")


def _check_starts(document: Any, statement: Statement) -> None:
    if statement.period_start_s + len(statement.rows) * statement.window_s > INSTANT_S_MAX:
        refuse("period_start", "must be a period that ends before the year 10000")
    for place, row in enumerate(document["rows"]):
        expected = instant_text(statement.period_start_s + place * statement.window_s)
        if row["start"] != expected:
            refuse(f"rows[{place}].start", f"must be {expected}, is {row['start']}")


def _meter(value: object, path: str) -> StatementMeter:
    fields = Fields(value, path)
    meter = StatementMeter(
        meter_id=fields.take("meter_id", octets(32)),
        meter_class=fields.take("class", choice(METER_CLASSES)),
    )
    fields.done()
    return meter


def _row(value: object, path: str) -> StatementRow:
    fields = Fields(value, path)
    fields.take("start", instant_s)
    row = StatementRow(
        **{name: fields.take(name, whole(0, ENERGY_WH_MAX)) for name in _ROW_ENERGIES},
        estimated=fields.take("estimated", flag),
        uncovered=fields.take("uncovered", flag),
    )
    fields.done()
    return row


def _price(value: object, path: str) -> WindowPrice:
    fields = Fields(value, path)
    price = WindowPrice(
        **{name: fields.take(name, whole(0, PRICE_PER_KWH_MAX)) for name in _PRICES}
    )
    fields.done()
    return price


def _totals(value: object, path: str) -> WindowTotals:
    fields = Fields(value, path)
    total = WindowTotals(**{name: fields.take(name, whole(0, TOTAL_WH_MAX)) for name in _TOTALS})
    fields.done()
    return total


_ROW_ENERGIES = ("import_wh", "export_wh", "bought_wh", "sold_wh")
_PRICES = ("local_per_kwh", "local_fee_per_kwh", "grid_import_per_kwh", "grid_export_per_kwh")
_TOTALS = (
    "import_wh",
    "export_wh",
    "traded_wh",
    "uncovered_import_wh",
    "eligible_import_wh",
    "eligible_export_wh",
)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
