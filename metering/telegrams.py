"""Telegrams: what a meter says of itself, over and over, at its own interface.

Bytes come as they come, in pieces, cut and disturbed. A format takes whole frames out of them and
reads a frame's registers; what is common to all formats is here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Context, Decimal, Inexact
from typing import Final

from ledger.errors import LedgerError
from ledger.units import REGISTER_WH_MAX
from metering.errors import BadTelegram, RegisterMissing, RegisterOutOfRange
from metering.readings import check_instant

FRAME_BYTES_MAX: Final = 16_384  # Longer than any meter's telegram.
DIGITS_MAX: Final = 24  # Before and after a register's point: more than any meter shows.
IMPORT: Final = "1.8"  # OBIS 1-0:1.8.t, t = 0 the total, above it the tariffs.
EXPORT: Final = "2.8"
NAMES: Final = {IMPORT: "import_wh", EXPORT: "export_wh"}
TARIFFS_MIN: Final = ("1", "2")  # Of which the sum is taken where there is no total.
TARIFFS_MORE: Final = ("3", "4")
OBIS_CODES: Final = tuple(
    f"{kind}.{tariff}" for kind in (IMPORT, EXPORT) for tariff in ("0", *TARIFFS_MIN, *TARIFFS_MORE)
)
_EXACT: Final = Context(prec=4 * DIGITS_MAX, traps=[Inexact])
Registers = Mapping[str, Decimal]  # Exact Wh by the last three parts of the OBIS code.


@dataclass(frozen=True, slots=True, kw_only=True)
class Telegram:
    """Both registers of a meter, as one telegram has them."""

    import_wh: int  # Whole Wh: what is below one is left to the next telegram.
    export_wh: int
    measured_at: datetime | None  # By the meter's own clock, if it tells.

    def __post_init__(self) -> None:
        if self.measured_at is not None:
            check_instant(self.measured_at)
        for register_wh in (self.import_wh, self.export_wh):
            if not 0 <= register_wh <= REGISTER_WH_MAX:
                raise RegisterOutOfRange(register_wh=register_wh, register_wh_max=REGISTER_WH_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What one frame says, before anything is summed or rounded."""

    registers: Registers
    measured_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramFormat:
    """How one kind of meter speaks."""

    name: str
    baud: int  # Of its serial line, with 8 bits, no parity and one stop bit.
    # The next whole frame, which is taken out of the buffer; None while more bytes are needed.
    # What is no frame is taken out, too, and raised as BadTelegram.
    take: Callable[[bytearray], bytes | None]
    # Raises BadTelegram, BadChecksum.
    read: Callable[[bytes], Frame]


class TelegramReader:
    """Turns a meter's bytes into telegrams; what cannot be read stops nothing."""

    def __init__(self, telegram_format: TelegramFormat) -> None:
        self._format = telegram_format
        self._buffer = bytearray()
        self._known = set[str]()  # Registers that the meter has.

    def feed(self, octets: bytes) -> list[Telegram | LedgerError]:
        """What has become whole with these bytes, in order."""
        self._buffer += octets
        found: list[Telegram | LedgerError] = []
        while True:
            try:
                frame = self._format.take(self._buffer)
                if frame is None:
                    return found
                found.append(self._telegram(self._format.read(frame)))
            except LedgerError as error:
                found.append(error.with_traceback(None))

    def forget_half(self) -> None:
        """Drops what has come of a telegram: its other half will not come."""
        self._buffer.clear()

    def _telegram(self, frame: Frame) -> Telegram:
        totals = {kind: _total_wh(frame.registers, kind) for kind in (IMPORT, EXPORT)}
        seen = {kind for kind, total_wh in totals.items() if total_wh is not None}
        if not seen:
            raise RegisterMissing(register=NAMES[IMPORT], rule="nor is there one of export")
        # A register that the meter never has is 0; one that it had is not.
        for kind in self._known - seen:
            raise RegisterMissing(register=NAMES[kind], rule="earlier telegrams had it")
        telegram = Telegram(
            import_wh=totals[IMPORT] or 0,
            export_wh=totals[EXPORT] or 0,
            measured_at=frame.measured_at,
        )
        self._known |= seen
        return telegram


def exact_wh(value: Decimal, exponent: int = 0) -> Decimal:
    """`value * 10 ** exponent`, exactly.

    Raises:
        BadTelegram: no number, or one with more digits than any meter has.
    """
    if not value.is_finite() or (value and abs(value.adjusted() + exponent) > DIGITS_MAX):
        raise BadTelegram(rule="a register is no number that a meter can have")
    if len(value.as_tuple().digits) > DIGITS_MAX:
        raise BadTelegram(rule="a register has more digits than any meter has")
    return value.scaleb(exponent, _EXACT)


def _total_wh(registers: Registers, kind: str) -> int | None:
    """Whole Wh, rounded down once: the total, or the sum of the tariffs; None without any."""
    total = registers.get(f"{kind}.0")
    if total is None:
        tariffs = [f"{kind}.{tariff}" for tariff in (*TARIFFS_MIN, *TARIFFS_MORE)]
        if not any(code in registers for code in tariffs):
            return None
        total = Decimal(0)
        for code in tariffs:
            if code not in registers and code[-1] in TARIFFS_MIN:
                raise RegisterMissing(register=NAMES[kind], rule=f"neither {kind}.0 nor {code}")
            total = _EXACT.add(total, registers.get(code, Decimal(0)))
    return int(total.to_integral_value(rounding=ROUND_FLOOR))
