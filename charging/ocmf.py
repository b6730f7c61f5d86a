"""Signed meter values: the Open Charge Metering Format of S.A.F.E. e.V., version 1.0 and before.

A record is `OCMF|payload|signature`: what is signed is the payload's text, byte by byte, so nothing
here writes it anew. Numbers keep the digits that the meter wrote. A charge is proved by one record
with the readings of its begin and its end, or by two of the same meter, of rising pagination.

https://github.com/SAFE-eV/OCMF-Open-Charge-Metering-Format, tables 1 to 23.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Final, NoReturn

from charging.errors import BadEvidence, BadMeterValue
from charging.meter_values import wh_down
from charging.ocmf_keys import (
    CURVE_DEFAULT,
    bytes_of_text,
    public_key_of,
    require_signed,
    spki_hex,
)
from ledger.json_text import NotJson, require_shallow
from ledger.keccak import keccak256
from ledger.units import Hash32

TEXT_CHARS_MAX: Final = 65_536
RECORDS_MAX: Final = 500  # That are looked at for one charge.
READINGS_MAX: Final = 1_000
BEGIN: Final = frozenset("B")
END: Final = frozenset("ELRAP")
TIMES_TRUSTED: Final = frozenset("SR")  # Of a clock that may be billed by (table 11).
_PREFIX: Final = "OCMF|"
_INHERITED: Final = ("TM", "TX", "RI", "RU", "RT", "EF", "ST")  # Left out where they do not change.
_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:[,.](\d{1,6}))?(Z|[+-]\d{2}:?\d{2})(?: ([A-Z]))?",
    re.ASCII,
)
_OBIS: Final = re.compile(
    r"0?1-[0-9a-z]{1,2}:([0-9A-F]{1,2})\.([0-9A-F]{1,2})\.([0-9A-Za-z]{1,2})(?:[.*][0-9A-F]{1,3})?",
    re.ASCII,
)
# Registers of energy taken from the charger, best first: for the car and for this transaction,
# for the car, the plain import, this transaction's import; then with the losses of the cable.
_IMPORTS: Final = ("B3", "B1", "1", "98", "B2", "B0")


class _Literal(str):
    """A number of JSON, with the digits that were written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OcmfReading:
    """One reading of a record."""

    taken_at: datetime  # Aware UTC.
    time_status: str  # `S` synchronised, `R` relative, `I` informative, `U` or empty: unknown.
    reason: str  # `TX`: `B` begin, `C` charging, `E` and others end.
    register: str  # OBIS code as written; empty: the reading has none.
    value_text: str  # As the meter wrote it; empty: an event without a value.
    unit: str
    status: str  # `G`: the meter is good.
    error_flags: str  # `E`: the energy is not to be billed; `t`: the time.

    def register_wh(self) -> int:
        """Whole Wh, rounded down.

        Raises:
            BadEvidence: no energy, or the meter says that it must not be billed.
        """
        if self.status != "G":
            _refuse("ST", f"a good meter, not {self.status[:10]!r}")
        if "E" in self.error_flags:
            _refuse("EF", "energy that may be billed")
        try:
            return wh_down(self.value_text, unit=self.unit, field="RV")
        except BadMeterValue as error:
            _refuse(error.field, error.rule)

    @property
    def import_rank(self) -> tuple[int, str] | None:
        """How well its register suits for billing, least best; None: no energy of import."""
        found = _OBIS.fullmatch(self.register)
        if found is None:
            return None
        quantity, kind, tariff = (part.lstrip("0") or "0" for part in found.groups())
        if quantity not in _IMPORTS or kind != "8":
            return None
        total = "" if tariff.lower() in {"0", "e"} else tariff  # A total before a tariff's part.
        return (_IMPORTS.index(quantity), total)


@dataclass(frozen=True, slots=True, kw_only=True)
class OcmfRecord:
    """One record, parsed; its signature is not verified yet."""

    text: str  # As received, without encoding and surrounding space.
    payload: str  # What is signed.
    signature: bytes
    algorithm: str  # `SA`; empty if it is not stated.
    meter: tuple[str, str]  # Serial numbers of gateway and meter.
    pagination: tuple[str, int]  # `T` or `F`, and the number.
    readings: tuple[OcmfReading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCharge:
    """A charge as its meter signed it."""

    start_wh: int  # Whole Wh, rounded down, of the signed register.
    stop_wh: int
    started_at: datetime  # By the meter's clock, aware UTC.
    stopped_at: datetime
    start_time_status: str  # `S` and `R` may be billed by, `I` and `U` inform.
    time_status: str  # Of the end.
    register: str
    meter_serial: str
    pagination: str  # Of the last record, like `T12345`.
    records: tuple[str, ...]  # One or two, as received.
    public_key: str  # Hex SPKI of the key that verified it; empty if none did.
    reason: str = ""  # Why it is not verified.

    @property
    def verified(self) -> bool:
        """Whether the charger's configured key signed all of it."""
        return not self.reason

    @property
    def energy_wh(self) -> int:
        """What the signed register rose by."""
        return self.stop_wh - self.start_wh


def parse_record(text: str) -> OcmfRecord:
    """A record from its text, or from hex or base64 of it (OCPP 1.6 and 2.0.1).

    Raises:
        BadEvidence: naming the part that is not OCMF.
    """
    if len(text) > 4 * TEXT_CHARS_MAX:
        _refuse("record", f"at most {TEXT_CHARS_MAX} characters")
    plain = _plain(text)
    parts = plain.split("|")
    if len(parts) not in {3, 4} or len(plain) > TEXT_CHARS_MAX:
        _refuse("record", "OCMF|payload|signature")
    payload = _object(parts[1], "payload")
    signature = _object(parts[2], "signature")
    return OcmfRecord(
        text=plain,
        payload=parts[1],
        signature=_signature(signature),
        algorithm=_string(signature, "SA"),
        meter=(_string(payload, "GS"), _string(payload, "MS")),
        pagination=_pagination(_string(payload, "PG")),
        readings=_readings(payload.get("RD")),
    )


def is_ocmf(text: str) -> bool:
    """Whether a signed value looks like OCMF at all: other formats are kept, not read."""
    try:
        _plain(text)
    except BadEvidence:
        return False
    return True


def signed_digest(text: str) -> Hash32 | None:
    """What a record is known by in whatever encoding it comes; None for what is no OCMF.

    Of the signed part alone: a signature can be written in more than one way.
    """
    try:
        return keccak256(parse_record(text).payload.encode())
    except BadEvidence:
        return None


def verify_record(record: OcmfRecord, public_key: str) -> str:
    """Refuses a record that the charger's key did not sign; gives the key as hex SPKI.

    Raises:
        BadEvidence: no such key, another curve, or not signed by it.
    """
    _, _, curve = record.algorithm.partition("-")
    key = public_key_of(public_key, curve.rpartition("-")[0] or CURVE_DEFAULT)
    require_signed(
        key,
        signature=record.signature,
        signed=record.payload.encode(),
        algorithm=record.algorithm,
    )
    return spki_hex(key)


def signed_charge_of(texts: Iterable[str], public_key: str | None) -> SignedCharge:
    """The charge that signed values prove, in whatever order and encoding they came.

    Args:
        public_key: of the charger's configuration; None: the charge is read and not verified.

    Raises:
        BadEvidence: no record, none with a begin and an end, or one that the key did not sign.
    """
    records, problem = _parsed(texts, public_key)
    found = [
        (pair, readings)
        for pair in _pairs(records)
        if (readings := _begin_and_end(pair)) is not None
    ]
    if not found:
        raise problem or BadEvidence(field="RD", rule="a reading at the begin and one at the end")
    # The last charge that ended, from its last begin; one record that has both before two.
    pair, (begin, end) = max(found, key=lambda each: _latest(*each))
    start_wh, stop_wh = begin.register_wh(), end.register_wh()
    if stop_wh < start_wh:
        _refuse("RV", "a register does not run backwards")
    if end.taken_at < begin.taken_at:
        _refuse("TM", "the end is not before the begin")
    return SignedCharge(
        start_wh=start_wh,
        stop_wh=stop_wh,
        started_at=begin.taken_at,
        stopped_at=end.taken_at,
        start_time_status=begin.time_status,
        time_status=end.time_status,
        register=end.register,
        meter_serial=pair[-1].meter[1] or pair[-1].meter[0],
        pagination="{}{}".format(*pair[-1].pagination),
        records=tuple(record.text for record in pair),
        public_key=verify_record(pair[-1], public_key) if public_key is not None else "",
        reason="" if public_key is not None else "the charger's configuration has no public key",
    )


_Pair = tuple[OcmfRecord, ...]


def _parsed(
    texts: Iterable[str], public_key: str | None
) -> tuple[list[OcmfRecord], BadEvidence | None]:
    """The records that count, and what was wrong with the first that does not."""
    records: dict[str, OcmfRecord] = {}
    problem: BadEvidence | None = None
    for text in list(dict.fromkeys(texts))[-RECORDS_MAX:]:
        try:
            record = parse_record(text)
            if public_key is not None:
                verify_record(record, public_key)
        except BadEvidence as error:
            problem = problem or error.with_traceback(None)
        else:
            records[record.text] = record
    return list(records.values()), problem


def _pairs(records: list[OcmfRecord]) -> Iterable[_Pair]:
    """Each record alone; then those of one meter, begin before end, by pagination."""
    yield from ((record,) for record in records)
    begins = [record for record in records if _has(record, BEGIN)]
    ends = [record for record in records if _has(record, END)]
    for begin, end in product(begins, ends):
        if (
            begin.meter == end.meter
            and begin.pagination[0] == end.pagination[0]
            and begin.pagination[1] < end.pagination[1]
        ):
            yield begin, end


def _has(record: OcmfRecord, reasons: frozenset[str]) -> bool:
    return any(reading.reason in reasons for reading in record.readings)


def _begin_and_end(pair: _Pair) -> tuple[OcmfReading, OcmfReading] | None:
    """The best register that both ends of a charge have."""
    begins = _by_register(pair[0], BEGIN)
    ends = _by_register(pair[-1], END)
    shared = [register for register in begins if register in ends]
    if not shared:
        return None
    best = min(shared, key=lambda register: (begins[register].import_rank or (), register))
    return begins[best], ends[best]


def _by_register(record: OcmfRecord, reasons: frozenset[str]) -> dict[str, OcmfReading]:
    return {
        reading.register: reading
        for reading in record.readings
        if reading.reason in reasons and reading.import_rank is not None
    }


def _latest(
    pair: _Pair, readings: tuple[OcmfReading, OcmfReading]
) -> tuple[int, int, datetime, str]:
    return (pair[-1].pagination[1], pair[0].pagination[1], readings[1].taken_at, pair[-1].text)


def _plain(text: str) -> str:
    stripped = text.strip()
    if stripped.startswith(_PREFIX):
        return stripped
    try:
        decoded = bytes_of_text(stripped, "record").decode().strip()
    except UnicodeDecodeError:
        decoded = ""
    if not decoded.startswith(_PREFIX):
        _refuse("record", "OCMF|payload|signature, or hex or base64 of it")
    return decoded


def _object(text: str, field: str) -> Mapping[str, object]:
    try:
        require_shallow(text)
        value = json.loads(
            text, parse_float=_Literal, parse_int=_Literal, parse_constant=_no_constant
        )
    except (ValueError, NotJson):
        value = None
    if not isinstance(value, dict):
        _refuse(field, "a JSON object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _string(parts: Mapping[str, object], name: str) -> str:
    value = parts.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        _refuse(name, "a text")
    return str(value)


def _signature(parts: Mapping[str, object]) -> bytes:
    if _string(parts, "SM") not in {"", "application/x-der"}:
        _refuse("SM", "application/x-der")
    if _string(parts, "SE") not in {"", "hex", "base64"}:
        _refuse("SE", "hex or base64")
    return bytes_of_text(_string(parts, "SD"), "SD")


def _pagination(text: str) -> tuple[str, int]:
    if not re.fullmatch(r"[TF]\d{1,18}", text, re.ASCII):
        _refuse("PG", "T or F and a number")
    return text[0], int(text[1:])


def _readings(value: object) -> tuple[OcmfReading, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= READINGS_MAX:
        _refuse("RD", f"a list of 1 to {READINGS_MAX} readings")
    readings: list[OcmfReading] = []
    inherited: dict[str, object] = {}
    for stated in value:
        if not isinstance(stated, dict):
            _refuse("RD", "a list of objects")
        inherited = {name: stated.get(name, inherited.get(name)) for name in _INHERITED}
        taken_at, time_status = _time(_string(inherited, "TM"))
        readings.append(
            OcmfReading(
                taken_at=taken_at,
                time_status=time_status,
                reason=_string(inherited, "TX"),
                register=_string(inherited, "RI"),
                value_text=_string(stated, "RV"),
                unit=_string(inherited, "RU"),
                status=_string(inherited, "ST"),
                error_flags=_string(inherited, "EF"),
            )
        )
    return tuple(readings)


def _time(text: str) -> tuple[datetime, str]:
    found = _TIME.fullmatch(text)
    if found is None:
        _refuse("TM", "a time like 2018-07-24T13:22:04,000+0200 S")
    whole, fraction, offset, status = found.groups()
    try:
        at = datetime.fromisoformat(f"{whole}.{(fraction or '0').ljust(6, '0')}{offset}")
        return at.astimezone(UTC), status or ""
    except (ValueError, OverflowError):
        _refuse("TM", "no such date or time of day")


def _refuse(field: str, rule: str) -> NoReturn:
    raise BadEvidence(field=field, rule=rule)
