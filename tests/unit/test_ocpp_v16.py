"""OCPP 1.6J: a charge point's requests become events."""

from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from charging.ocpp.faults import Version
from charging.points import (
    Alive,
    Authorised,
    Availability,
    Booted,
    MeterSample,
    PointEvent,
    Reply,
    SampledValue,
    StatusChanged,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from tests.ocpp_messages import ACCEPTED, ORIGIN, V16, answer, heard, refusal_of

REFUSED = Reply(accepted=False, transaction_id="8")


def said(action: str, **changes: Any) -> dict[str, Any]:
    payload = deepcopy(V16[action]) | changes
    return {name: value for name, value in payload.items() if value is not ...}


def event(action: str, **changes: Any) -> PointEvent | None:
    return heard(Version.V16, action, said(action, **changes)).event


def answered(action: str, reply: Reply = ACCEPTED, **changes: Any) -> dict[str, Any]:
    return answer(Version.V16, action, said(action, **changes), reply)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 3, hour, minute, tzinfo=UTC)


def test_a_boot_says_who_it_is_and_is_accepted_with_interval_and_time() -> None:
    expected = Booted(**ORIGIN, vendor="Vendor", model="Model", serial="S-1", firmware="1.2")
    assert event("BootNotification") == expected
    assert answered("BootNotification") == {
        "currentTime": "2026-11-03T12:00:00.000Z",
        "interval": 300,
        "status": "Accepted",
    }


def test_a_boot_may_give_its_serial_number_in_the_old_field() -> None:
    booted = event("BootNotification", chargePointSerialNumber=..., chargeBoxSerialNumber="B-2")
    assert isinstance(booted, Booted)
    assert booted.serial == "B-2"


def test_a_heartbeat_is_a_sign_of_life_and_is_told_the_time() -> None:
    assert event("Heartbeat") == Alive(**ORIGIN)
    assert answered("Heartbeat") == {"currentTime": "2026-11-03T12:00:00.000Z"}


def test_a_status_keeps_what_1_6_tells_apart() -> None:
    expected = StatusChanged(
        **ORIGIN, connector_id=1, availability=Availability.SUSPENDED_EV, at=at(11)
    )
    assert event("StatusNotification") == expected
    assert answered("StatusNotification") == {}


def test_a_fault_says_its_code_and_words() -> None:
    faulted = event(
        "StatusNotification",
        status="Faulted",
        errorCode="GroundFailure",
        info="phase 2",
        vendorErrorCode="E17",
    )
    assert isinstance(faulted, StatusChanged)
    assert (faulted.availability, faulted.error) == (
        Availability.FAULTED,
        "GroundFailure: E17: phase 2",
    )


@pytest.mark.parametrize(("reply", "status"), [(ACCEPTED, "Accepted"), (REFUSED, "Invalid")])
def test_a_card_is_accepted_or_not_as_the_sink_says(reply: Reply, status: str) -> None:
    assert event("Authorize") == Authorised(**ORIGIN, id_token="card-1")
    assert answered("Authorize", reply) == {"idTagInfo": {"status": status}}


def test_a_start_carries_its_register_and_gets_our_number() -> None:
    expected = TransactionStarted(
        **ORIGIN,
        transaction_id="",
        connector_id=1,
        id_token="Card-1",
        at=at(9),
        meter_start_text="1000",
    )
    assert event("StartTransaction") == expected
    assert answered("StartTransaction") == {
        "transactionId": 7,
        "idTagInfo": {"status": "Accepted"},
    }
    assert answered("StartTransaction", REFUSED)["idTagInfo"] == {"status": "Invalid"}


def test_a_start_without_a_number_from_the_sink_is_answered_all_the_same() -> None:
    assert answered("StartTransaction", Reply())["transactionId"] == 0


def test_meter_values_are_passed_on_as_they_are() -> None:
    values = (
        SampledValue(text="1200.5", unit="Wh", context="Sample.Clock"),
        SampledValue(text="7.36", measurand="Power.Active.Import", unit="kW"),
    )
    assert event("MeterValues") == TransactionUpdated(
        **ORIGIN,
        transaction_id="7",
        connector_id=1,
        at=at(11),
        samples=(MeterSample(taken_at=at(11), values=values),),
    )
    assert answered("MeterValues") == {}


def test_meter_values_outside_of_a_charge_have_no_transaction() -> None:
    update = event("MeterValues", transactionId=...)
    assert isinstance(update, TransactionUpdated)
    assert update.transaction_id == ""


def test_a_stop_carries_register_reason_and_signed_values() -> None:
    signed = SampledValue(text="OCMF|{}|{}", signed=True)
    assert event("StopTransaction") == TransactionEnded(
        **ORIGIN,
        transaction_id="7",
        connector_id=None,
        id_token="card-1",
        at=at(11, 30),
        samples=(MeterSample(taken_at=at(11, 30), values=(signed,)),),
        meter_stop_text="9000",
        reason="EVDisconnected",
    )
    assert answered("StopTransaction") == {"idTagInfo": {"status": "Accepted"}}
    assert answered("StopTransaction", idTag=...) == {}


def test_a_stop_without_a_reason_was_local() -> None:
    ended = event("StopTransaction", reason=...)
    assert isinstance(ended, TransactionEnded)
    assert ended.reason == "Local"


def test_a_stop_of_minus_one_after_an_offline_start_is_heard() -> None:
    ended = event("StopTransaction", transactionId=-1)
    assert isinstance(ended, TransactionEnded)
    assert ended.transaction_id == "-1"


def test_a_time_that_is_none_does_not_hold_an_event_back() -> None:
    for action in ("StartTransaction", "StopTransaction", "StatusNotification"):
        told = event(action, timestamp="yesterday")
        assert told is not None
        assert getattr(told, "at") is None  # noqa: B009 It has another type for each.


@pytest.mark.parametrize(
    ("changes", "meter_stop_text"),
    [
        ({"meterStop": "9000"}, "9000"),
        ({"meterStop": ...}, None),
        ({"meterStop": None}, None),
        ({"meterStop": True}, None),
        ({"idTag": "x" * 21}, "9000"),
        ({"reason": "Because"}, "9000"),
        ({"timestamp": ...}, "9000"),
        ({"timestamp": 1762171200}, "9000"),
        ({"surplus": {"a": 1}}, "9000"),
        ({"transactionData": {}}, "9000"),
        ({"transactionData": [{"timestamp": "x"}]}, "9000"),
        ({"transactionId": 2**40}, "9000"),
    ],
)
def test_a_stop_is_never_refused_for_what_it_says_beside_its_number(
    changes: dict[str, Any], meter_stop_text: str | None
) -> None:
    ended = event("StopTransaction", **changes)
    assert isinstance(ended, TransactionEnded)
    assert ended.meter_stop_text == meter_stop_text


def test_a_stop_with_a_reason_of_the_vendors_keeps_it() -> None:
    ended = event("StopTransaction", reason="Because" * 20)
    assert isinstance(ended, TransactionEnded)
    assert ended.reason == ("Because" * 20)[:50]


def test_a_stop_loses_the_values_that_break_the_schema_and_keeps_the_others() -> None:
    values = [
        {"value": "1", "unit": "Wh"},
        {"value": "2", "unit": "furlong"},
        {"value": "3", "measurand": "Vendor.Thing"},
        {"value": 4},
        {"value": "5", "extra": 1},
    ]
    data = [
        {"timestamp": "2026-11-03T11:30:00Z", "sampledValue": values},
        {"timestamp": 5, "sampledValue": [{"value": "6"}]},
    ]
    ended = event("StopTransaction", transactionData=data)
    assert isinstance(ended, TransactionEnded)
    # A value without its unknown unit or measurand would have been taken for energy.
    assert [value.text for sample in ended.samples for value in sample.values] == ["1", "5"]


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (Decimal("910.0"), "910.0"),
        (Decimal("910000.4"), "910000.4"),
        (Decimal("910000.0000000001"), "910000.0000000001"),
        (910.5, None),  # JSON is read without floats; one that came in otherwise is not believed.
        ("910000", "910000"),
        (None, None),
        ([1], None),
    ],
)
def test_a_start_carries_its_register_however_it_is_written(sent: object, text: str | None) -> None:
    started = event("StartTransaction", meterStart=sent)
    assert isinstance(started, TransactionStarted)
    assert started.meter_start_text == text


@pytest.mark.parametrize(
    "changes",
    [{"reservationId": None}, {"reservationId": "x"}, {"surplus": 1}, {"timestamp": 1762171200}],
)
def test_a_start_is_not_refused_for_what_may_be_left_out(changes: dict[str, Any]) -> None:
    started = event("StartTransaction", **changes)
    assert isinstance(started, TransactionStarted)
    assert (started.id_token, started.meter_start_text) == ("Card-1", "1000")


def test_meter_values_lose_the_value_that_breaks_the_schema_and_keep_the_others() -> None:
    values = [{"value": "1"}, {"value": "2", "measurand": "Vendor.Thing"}, {"value": "3"}]
    told = [{"timestamp": "2026-11-03T11:00:00Z", "sampledValue": values}]
    update = event("MeterValues", meterValue=told, surplus=1)
    assert isinstance(update, TransactionUpdated)
    assert [value.text for value in update.samples[0].values] == ["1", "3"]
    assert update.transaction_id == "7"


def test_meter_values_without_a_number_that_can_be_read_have_no_transaction() -> None:
    for number in (None, "seven"):
        update = event("MeterValues", transactionId=number)
        assert isinstance(update, TransactionUpdated)
        assert (update.transaction_id, len(update.samples)) == ("", 1)


@pytest.mark.parametrize("number", [..., "7", None, [7], 7.5])
def test_a_stop_without_a_number_is_refused(number: object) -> None:
    code, description = refusal_of(
        Version.V16, "StopTransaction", said("StopTransaction", transactionId=number)
    )
    assert code == "OccurenceConstraintViolation"
    assert "transactionId" in description


@pytest.mark.parametrize(
    ("action", "changes", "code", "words"),
    [
        ("BootNotification", {"chargePointVendor": ...}, "Occurence", "chargePointVendor"),
        ("MeterValues", {"meterValue": []}, "Occurence", "meterValue"),
        ("MeterValues", {"meterValue": [{"timestamp": "x"}]}, "Occurence", "sampledValue"),
        ("MeterValues", {"connectorId": ...}, "Occurence", "connectorId"),
        ("MeterValues", {"connectorId": None, "surplus": 1}, "Type", "connectorId"),
        ("StartTransaction", {"meterStart": ...}, "Occurence", "meterStart"),
        ("StartTransaction", {"timestamp": ..., "surplus": 1}, "Occurence", "timestamp"),
        ("StartTransaction", {"idTag": None, "reservationId": None}, "Type", "idTag"),
        ("StartTransaction", {"connectorId": "one"}, "Type", "connectorId"),
        ("Heartbeat", {"surplus": 1}, "Formation", "surplus"),
        ("StartTransaction", {"idTag": "x" * 21}, "Property", "idTag"),
        ("StatusNotification", {"status": "Asleep"}, "Property", "status"),
        ("StartTransaction", {"connectorId": 2**40}, "Property", "connectorId"),
        ("MeterValues", {"transactionId": -(2**40)}, "Property", "transactionId"),
    ],
)
def test_a_payload_that_breaks_the_schema_is_refused_with_field_and_rule(
    action: str, changes: dict[str, Any], code: str, words: str
) -> None:
    refused = refusal_of(Version.V16, action, said(action, **changes))
    assert refused[0].startswith(code)
    assert words in refused[1]
    assert len(refused[1]) <= 255


@pytest.mark.parametrize("action", ["DoTheDishes", "", "heartbeat", "TransactionEvent", "x" * 999])
def test_an_action_that_1_6_does_not_know_is_not_implemented(action: str) -> None:
    assert refusal_of(Version.V16, action, {})[0] == "NotImplemented"


@pytest.mark.parametrize("action", ["Reset", "ChangeConfiguration", "GetLog"])
def test_an_action_that_is_ours_to_ask_is_not_supported(action: str) -> None:
    assert refusal_of(Version.V16, action, {})[0] == "NotSupported"


@pytest.mark.parametrize("action", list(V16))
def test_every_request_of_a_charge_point_has_an_answer_that_fits_the_schema(action: str) -> None:
    for reply in (ACCEPTED, REFUSED):
        assert answered(action, reply) is not None


def test_what_is_not_offered_is_declined() -> None:
    assert answered("DataTransfer") == {"status": "UnknownVendorId"}
    assert answered("SignCertificate") == {"status": "Rejected"}
