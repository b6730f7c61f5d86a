"""The statement file `wattledger.statement/1`, read strictly: nothing is guessed.

Every field of INTERFACES §5 is required; `meters`, which is ours, may be absent.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar, NoReturn, TypeVar

from ledger.errors import LedgerError
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
    to_rfc3339,
    to_unix_s,
)
from ledger.words import StatementRow, WindowPrice, WindowTotals

T = TypeVar("T")
TOTAL_WH_MAX = 2**64 - 1
INSTANT_S_MAX = 253_402_300_799  # The end of the year 9999, which four digits can tell.
METER_CLASSES = ("certified", "gateway", "imported")
RESIDUALS = ("settled", "external")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_INTEGER = re.compile(r"0|-?[1-9]\d{0,19}", re.ASCII)


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
        "period_start": _instant(statement.period_start_s),
        "run": statement.run,
        "window_s": statement.window_s,
        "residual": statement.residual,
        **_meters_to_json(statement.meters),
        "rows": [
            {
                "start": _instant(statement.period_start_s + place * statement.window_s),
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
        "cutoff_at": _instant(statement.cutoff_at_s),
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
    top = _Fields(document, "")
    if top.take("format", _text) != FORMAT:
        _refuse("format", f"must be {FORMAT!r}")
    period_start_s = top.take("period_start", _instant_s)
    window_s = top.take("window_s", _whole(1, 86_400))
    statement = Statement(
        chain_id=top.take("chain_id", _whole(1, 2**256 - 1)),
        market=Address(top.take("market", _bytes(20))),
        account=AccountId(top.take("account", _whole(0, 2**32 - 1))),
        period_start_s=period_start_s,
        run=top.take("run", _whole(0, 2**32 - 1)),
        window_s=window_s,
        residual=top.take("residual", _choice(RESIDUALS)),
        meters=top.take("meters", _list(_meter)) if "meters" in top else None,
        rows=top.take("rows", _list(_row)),
        prices=top.take("prices", _list(_price)),
        totals=top.take("totals", _list(_totals)),
        totals_salt=Hash32(top.take("totals_salt", _bytes(32))),
        amount_nano=top.take("amount_nano", _amount),
        applied_before_nano=top.take("applied_before_nano", _amount),
        shortfall_nano=top.take("shortfall_nano", _amount),
        salt=Hash32(top.take("salt", _bytes(32))),
        leaf=Hash32(top.take("leaf", _bytes(32))),
        proof=tuple(Hash32(sibling) for sibling in top.take("proof", _list(_bytes(32)))),
        statements_root=Hash32(top.take("statements_root", _bytes(32))),
        deltas_root=Hash32(top.take("deltas_root", _bytes(32))),
        cutoff_at_s=top.take("cutoff_at", _instant_s),
        transaction=Hash32(top.take("transaction", _bytes(32))),
    )
    top.done()
    _check_lengths(statement)
    _check_starts(document, statement)
    return statement


def _check_lengths(statement: Statement) -> None:
    windows = len(statement.rows)
    if not 1 <= windows <= PERIOD_WINDOWS_MAX:
        _refuse("rows", f"must have one entry a window, from 1 to {PERIOD_WINDOWS_MAX}")
    for name in ("prices", "totals"):
        if len(getattr(statement, name)) != windows:
            _refuse(name, f"must have as many entries as rows: {windows}")


def _check_starts(document: Any, statement: Statement) -> None:
    if statement.period_start_s + len(statement.rows) * statement.window_s > INSTANT_S_MAX:
        _refuse("period_start", "must be a period that ends before the year 10000")
    for place, row in enumerate(document["rows"]):
        expected = _instant(statement.period_start_s + place * statement.window_s)
        if row["start"] != expected:
            _refuse(f"rows[{place}].start", f"must be {expected}, is {row['start']}")


class _Fields:
    """One JSON object whose fields are taken by name, each exactly once."""

    def __init__(self, document: object, path: str) -> None:
        if not isinstance(document, dict):
            _refuse(path or "file", "must be a JSON object")
        self._left: dict[str, object] = dict(document)
        self._path = path

    def take(self, name: str, read: Callable[[object, str], T]) -> T:
        path = f"{self._path}.{name}" if self._path else name
        if name not in self._left:
            _refuse(path, "is missing")
        return read(self._left.pop(name), path)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def done(self) -> None:
        for name in self._left:
            _refuse(f"{self._path}.{name}" if self._path else name, "is not a field of this format")


def _meter(value: object, path: str) -> StatementMeter:
    fields = _Fields(value, path)
    meter = StatementMeter(
        meter_id=fields.take("meter_id", _bytes(32)),
        meter_class=fields.take("class", _choice(METER_CLASSES)),
    )
    fields.done()
    return meter


def _row(value: object, path: str) -> StatementRow:
    fields = _Fields(value, path)
    fields.take("start", _instant_s)
    row = StatementRow(
        **{name: fields.take(name, _whole(0, ENERGY_WH_MAX)) for name in _ROW_ENERGIES},
        estimated=fields.take("estimated", _flag),
        uncovered=fields.take("uncovered", _flag),
    )
    fields.done()
    return row


def _price(value: object, path: str) -> WindowPrice:
    fields = _Fields(value, path)
    price = WindowPrice(
        **{name: fields.take(name, _whole(0, PRICE_PER_KWH_MAX)) for name in _PRICES}
    )
    fields.done()
    return price


def _totals(value: object, path: str) -> WindowTotals:
    fields = _Fields(value, path)
    total = WindowTotals(**{name: fields.take(name, _whole(0, TOTAL_WH_MAX)) for name in _TOTALS})
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


def _whole(value_min: int, value_max: int) -> Callable[[object, str], int]:
    def read(value: object, path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            _refuse(path, "must be an integer")
        if not value_min <= value <= value_max:
            _refuse(path, f"must be between {value_min} and {value_max}")
        return value

    return read


def _amount(value: object, path: str) -> int:
    text = _text(value, path)
    if not _INTEGER.fullmatch(text) or abs(int(text)) > AMOUNT_NANO_MAX:
        _refuse(path, "must be a decimal string of a 64-bit integer")
    return int(text)


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        _refuse(path, "must be true or false")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        _refuse(path, "must be a string")
    return value


def _choice(choices: Sequence[str]) -> Callable[[object, str], str]:
    def read(value: object, path: str) -> str:
        text = _text(value, path)
        if text not in choices:
            _refuse(path, f"must be one of {', '.join(choices)}")
        return text

    return read


def _bytes(size: int) -> Callable[[object, str], bytes]:
    pattern = re.compile(rf"0x[0-9a-fA-F]{{{2 * size}}}", re.ASCII)

    def read(value: object, path: str) -> bytes:
        text = _text(value, path)
        if not pattern.fullmatch(text):
            _refuse(path, f"must be 0x and {2 * size} hex digits")
        return bytes.fromhex(text[2:])

    return read


def _instant_s(value: object, path: str) -> int:
    text = _text(value, path)
    if not _INSTANT.fullmatch(text):
        _refuse(path, "must be a time like 2016-06-01T00:00:00Z")
    try:
        instant_s = to_unix_s(datetime.fromisoformat(text))
    except ValueError:
        _refuse(path, "must be a time that exists")
    if instant_s < 0 or _instant(instant_s) != text:  # On the chain no time is before 1970.
        _refuse(path, "must be a time from 1970 on, spelled in its only way")
    return instant_s


def _list(read_item: Callable[[object, str], T]) -> Callable[[object, str], tuple[T, ...]]:
    def read(value: object, path: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            _refuse(path, "must be a list")
        return tuple(read_item(item, f"{path}[{place}]") for place, item in enumerate(value))

    return read


def _refuse(field: str, rule: str) -> NoReturn:
    raise BadStatement(field=field, rule=rule)


def _instant(instant_s: int) -> str:
    return to_rfc3339(from_unix_s(instant_s))


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
