"""Whatever comes over a meter's line: named refusals only, and no telegram but whole ones."""

from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError
from metering.dsmr import DSMR
from metering.sml import SML
from metering.telegrams import Telegram, TelegramFormat, TelegramReader
from tests.meters import (
    ESCAPE,
    Signed,
    p1_of,
    p1_telegram,
    sml_entry,
    sml_frame,
    sml_of,
    sml_transport,
)

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
WHOLE = {
    "dsmr": [p1_of(AT, 3_000, 600), p1_of(AT, 12_345_678)],
    "sml": [sml_of({"1.8.0": 3_000, "2.8.0": 600}), sml_of({"1.8.1": 9, "1.8.2": 1})],
}
MEANT = {"dsmr": {(3_000, 600), (12_345_678, 0)}, "sml": {(3_000, 600), (10, 0)}}
FORMATS = st.sampled_from([DSMR, SML])
MARKS = st.sampled_from(
    [b"/", b"!", b"\r\n", b"!E47C\r\n", ESCAPE, ESCAPE + b"\x01" * 4, ESCAPE + b"\x1a\0\0\0"]
)


def registers_of(found: list[Telegram | LedgerError]) -> set[tuple[int, int]]:
    """Of the telegrams; whatever else there is must be a refusal with a code."""
    assert all(isinstance(each, Telegram) or each.code != LedgerError.code for each in found)
    return {(each.import_wh, each.export_wh) for each in found if isinstance(each, Telegram)}


@given(telegram_format=FORMATS, pieces=st.lists(st.binary(max_size=200) | MARKS, max_size=12))
def test_any_bytes_are_refused_by_name_and_are_no_telegram(
    telegram_format: TelegramFormat, pieces: list[bytes]
) -> None:
    reader = TelegramReader(telegram_format)
    for piece in pieces:
        assert not registers_of(reader.feed(piece))


@given(
    telegram_format=FORMATS,
    which=st.integers(0, 1),
    place=st.integers(0, 10**6),
    octet=st.integers(1, 255),
    cut=st.booleans(),
)
def test_one_spoiled_or_lost_byte_never_makes_another_register(
    telegram_format: TelegramFormat, which: int, place: int, octet: int, *, cut: bool
) -> None:
    whole = WHOLE[telegram_format.name][which]
    place %= len(whole)
    spoiled = b"" if cut else bytes([whole[place] ^ octet])
    octets = whole[:place] + spoiled + whole[place + 1 :] + whole
    found = registers_of(TelegramReader(telegram_format).feed(octets))
    assert found <= MEANT[telegram_format.name]


@given(telegram_format=FORMATS, noise=st.lists(st.binary(max_size=60), min_size=2, max_size=2))
def test_a_whole_telegram_is_read_after_whatever_noise_once_the_next_one_begins(
    telegram_format: TelegramFormat, noise: list[bytes]
) -> None:
    whole = WHOLE[telegram_format.name][0]
    before, after = noise
    found = TelegramReader(telegram_format).feed(before + whole + whole + after + whole)
    assert registers_of(found) == {(3_000, 600)}


@given(content=st.binary(max_size=120))
@example(content=b"\x76" + b"\xff" * 40)
def test_a_frame_with_a_good_crc_around_nonsense_is_refused_by_name(content: bytes) -> None:
    found = TelegramReader(SML).feed(sml_transport(content))
    assert not registers_of(found)


@given(text=st.text(st.characters(codec="ascii", exclude_characters="/!"), max_size=60))
def test_a_line_with_a_good_crc_around_nonsense_is_refused_by_name(text: str) -> None:
    TelegramReader(DSMR).feed(p1_telegram([f"1-0:1.8.0({text})", f"0-0:1.0.0({text})", text]))


@settings(max_examples=50)
@given(value=st.integers(-(2**63), 2**63 - 1), scaler=st.integers(-9, 9))
def test_an_sml_register_is_the_floor_of_its_exact_value(value: int, scaler: int) -> None:
    (found,) = TelegramReader(SML).feed(sml_frame([sml_entry("1.8.0", Signed(value, 8), scaler)]))
    exact_wh = value * 10**scaler if scaler >= 0 else value // 10**-scaler
    if 0 <= exact_wh <= 10**12:
        assert isinstance(found, Telegram)
        assert found.import_wh == exact_wh
    else:
        assert isinstance(found, LedgerError)
        assert found.code in {"register_out_of_range", "bad_telegram"}
