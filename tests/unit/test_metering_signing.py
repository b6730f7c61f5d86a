"""Signatures of readings: equal to a general encoder's, and refused for each way to be wrong."""

from datetime import timedelta

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from ledger.errors import BadSignature, LedgerError, MalleableSignature
from ledger.keccak import address_of, domain_separator
from ledger.units import REGISTER_WH_MAX, to_unix_s
from metering.errors import MeterNotValidAt, UnknownMeter
from metering.meters import MeterBook
from metering.readings import SignedReading
from metering.signing import BATCH_READINGS_MIN, sign_reading, signer_of, verify, verify_many
from tests.meter_worlds import (
    HOUR,
    KEY,
    NOON,
    OTHER_KEY,
    REGISTRY,
    SEPARATOR,
    meter,
    reading,
    signed,
    term,
)

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
BOOK = MeterBook([term()])


@pytest.mark.parametrize("register_wh", [0, 1, 123_456_789, REGISTER_WH_MAX])
def test_a_signature_is_the_one_that_eth_account_makes_and_recovers(register_wh: int) -> None:
    value = reading(NOON, register_wh, REGISTER_WH_MAX - register_wh)
    message = encode_typed_data(
        {
            "name": "Wattledger",
            "version": "1",
            "chainId": 1337,
            "verifyingContract": "0x" + REGISTRY.hex(),
        },
        {
            "MeterReading": [
                {"name": "meterId", "type": "bytes32"},
                {"name": "takenAt", "type": "uint64"},
                {"name": "importWh", "type": "uint64"},
                {"name": "exportWh", "type": "uint64"},
            ]
        },
        {
            "meterId": value.meter_id,
            "takenAt": to_unix_s(value.taken_at),
            "importWh": value.import_wh,
            "exportWh": value.export_wh,
        },
    )
    ours = sign_reading(value, KEY, SEPARATOR)
    assert ours.signature == bytes(Account.sign_message(message, KEY).signature)
    recovered = Account.recover_message(message, signature=ours.signature)
    assert bytes.fromhex(recovered[2:]) == signer_of(ours, SEPARATOR) == address_of(KEY)


def test_a_reading_signed_by_another_key_is_refused() -> None:
    with pytest.raises(BadSignature):
        verify(signed(reading(NOON, 1), key=OTHER_KEY)[0], BOOK, SEPARATOR)


def test_a_reading_signed_for_another_chain_is_refused() -> None:
    foreign = sign_reading(reading(NOON, 1), KEY, domain_separator(1, REGISTRY))
    with pytest.raises(BadSignature):
        verify(foreign, BOOK, SEPARATOR)


def test_a_signature_moved_to_another_value_is_refused() -> None:
    honest = signed(reading(NOON, 1))[0]
    with pytest.raises(BadSignature):
        verify(SignedReading(reading=reading(NOON, 2), signature=honest.signature), BOOK, SEPARATOR)


def test_the_other_form_of_a_signature_is_refused_as_malleable() -> None:
    honest = signed(reading(NOON, 1))[0]
    s = int.from_bytes(honest.signature[32:64])
    other = (
        honest.signature[:32]
        + (CURVE_ORDER - s).to_bytes(32)
        + bytes([27 + 28 - honest.signature[64]])
    )
    with pytest.raises(MalleableSignature):
        verify(SignedReading(reading=honest.reading, signature=other), BOOK, SEPARATOR)


@pytest.mark.parametrize("last", [0, 1, 26, 29, 255])
def test_a_signature_with_another_v_is_refused(last: int) -> None:
    honest = signed(reading(NOON, 1))[0]
    broken = SignedReading(reading=honest.reading, signature=honest.signature[:64] + bytes([last]))
    with pytest.raises(BadSignature):
        verify(broken, BOOK, SEPARATOR)


def test_a_signature_of_zeros_is_refused() -> None:
    broken = SignedReading(reading=reading(NOON, 1), signature=bytes(64) + b"\x1b")
    with pytest.raises(BadSignature):
        verify(broken, BOOK, SEPARATOR)


@pytest.mark.parametrize("size", [0, 64, 66])
def test_a_signature_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(BadSignature):
        SignedReading(reading=reading(NOON, 1), signature=bytes(size))


def test_a_meter_that_nobody_registered_is_unknown() -> None:
    with pytest.raises(UnknownMeter):
        verify(signed(reading(NOON, 1, meter_id=meter(2)))[0], BOOK, SEPARATOR)


def test_a_retired_meter_is_not_valid_after_its_closing_register() -> None:
    book = MeterBook([term(valid_until=NOON)])
    verify(signed(reading(NOON, 1))[0], book, SEPARATOR)
    with pytest.raises(MeterNotValidAt):
        verify(signed(reading(NOON + timedelta(seconds=1), 1))[0], book, SEPARATOR)


def test_a_meter_is_not_valid_before_its_first_term() -> None:
    book = MeterBook([term(valid_from=NOON)])
    verify(signed(reading(NOON, 1))[0], book, SEPARATOR)
    with pytest.raises(MeterNotValidAt):
        verify(signed(reading(NOON - timedelta(seconds=1), 1))[0], book, SEPARATOR)


def test_after_a_rotation_the_old_key_signs_the_closing_register_and_no_more() -> None:
    book = MeterBook([term(valid_until=NOON), term(key=OTHER_KEY, valid_from=NOON)])
    verify(signed(reading(NOON, 1))[0], book, SEPARATOR)
    verify(signed(reading(NOON, 1), key=OTHER_KEY)[0], book, SEPARATOR)
    verify(signed(reading(NOON + HOUR, 1), key=OTHER_KEY)[0], book, SEPARATOR)
    with pytest.raises(BadSignature):
        verify(signed(reading(NOON + HOUR, 1))[0], book, SEPARATOR)
    with pytest.raises(BadSignature):
        verify(signed(reading(NOON - HOUR, 1), key=OTHER_KEY)[0], book, SEPARATOR)


def test_many_are_checked_as_one_by_one_and_keep_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("metering.signing._cores", lambda: 3)
    batch = []
    for number in range(2 * BATCH_READINGS_MIN + 7):
        value = reading(NOON + number * HOUR, number, meter_id=meter(1 + (number % 97 == 0)))
        batch += signed(value, key=OTHER_KEY if number % 89 == 0 else KEY)
    expected: list[str | None] = []
    for each in batch:
        try:
            verify(each, BOOK, SEPARATOR)
        except LedgerError as error:
            expected.append(error.code)
        else:
            expected.append(None)
    checked = verify_many(batch, BOOK, SEPARATOR)
    assert [error and error.code for error in checked.errors] == expected
    assert {None, "unknown_meter", "bad_signature"} == set(expected)
    assert checked.signed is batch
