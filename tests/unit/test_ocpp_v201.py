"""OCPP 2.0.1: a charging station's requests become events."""

from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from charging.ocpp.faults import Version
from charging.ocpp.v201_hearing import Listener
from charging.points import (
    Alive,
    Authorised,
    Availability,
    Booted,
    Flow,
    MeterSample,
    PointEvent,
    Reply,
    SampledValue,
    StatusChanged,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    TransactionUpdated,
)
from tests.ocpp_messages import ACCEPTED, ORIGIN, TERMS, V201, answer, heard, refusal_of

AT = datetime(2026, 11, 3, 11, 0, tzinfo=UTC)
REFUSED = Reply(accepted=False)


def said(action: str, **changes: Any) -> dict[str, Any]:
    payload = deepcopy(V201[action]) | changes
    return {name: value for name, value in payload.items() if value is not ...}


def event(action: str, **changes: Any) -> PointEvent | None:
    return heard(Version.V201, action, said(action, **changes)).event


def transaction(**changes: Any) -> TransactionEvent:
    told = event("TransactionEvent", **changes)
    assert isinstance(told, TransactionEvent)
    return told


def answered(action: str, reply: Reply = ACCEPTED, **changes: Any) -> dict[str, Any]:
    return answer(Version.V201, action, said(action, **changes), reply)


def test_a_boot_says_who_it_is_and_is_accepted_with_interval_and_time() -> None:
    assert event("BootNotification") == Booted(
        **ORIGIN, vendor="Vendor", model="Model", serial="S-1", firmware="1.2", reason="PowerUp"
    )
    assert answered("BootNotification") == {
        "currentTime": "2026-11-03T12:00:00.000Z",
        "interval": 300,
        "status": "Accepted",
    }


def test_a_heartbeat_is_a_sign_of_life() -> None:
    assert event("Heartbeat") == Alive(**ORIGIN)
    assert answered("Heartbeat") == {"currentTime": "2026-11-03T12:00:00.000Z"}


@pytest.mark.parametrize(("reply", "status"), [(ACCEPTED, "Accepted"), (REFUSED, "Invalid")])
def test_a_token_is_accepted_or_not_as_the_sink_says(reply: Reply, status: str) -> None:
    assert event("Authorize") == Authorised(**ORIGIN, id_token="card-1")
    assert answered("Authorize", reply) == {"idTokenInfo": {"status": status}}


def test_an_evse_is_a_connector() -> None:
    assert event("StatusNotification") == StatusChanged(
        **ORIGIN, connector_id=2, availability=Availability.OCCUPIED, at=AT
    )


def test_an_evse_with_two_plugs_is_occupied_while_one_of_them_is() -> None:
    listener = Listener()

    def state(plug: int, status: str) -> Availability:
        payload = said("StatusNotification", connectorId=plug, connectorStatus=status)
        told = listener.hear("StatusNotification", payload, ORIGIN, TERMS).event
        assert isinstance(told, StatusChanged)
        return told.availability

    assert state(1, "Available") is Availability.AVAILABLE
    assert state(2, "Available") is Availability.AVAILABLE
    assert state(1, "Occupied") is Availability.OCCUPIED
    assert state(2, "Unavailable") is Availability.OCCUPIED
    assert state(1, "Available") is Availability.AVAILABLE
    assert state(1, "Faulted") is Availability.FAULTED


def test_a_start_carries_everything_and_its_signed_value_stands_beside_the_plain_one() -> None:
    plain = {"multiplier": 2, "unit": "Wh", "context": "Transaction.Begin"}
    values = (
        SampledValue(text="12", **plain),  # type: ignore[arg-type]
        SampledValue(
            text="T0NNRg==",
            signed=True,
            encoding="OCMF",
            public_key="a2V5",
            **plain,  # type: ignore[arg-type]
        ),
    )
    assert event("TransactionEvent") == TransactionStarted(
        **ORIGIN,
        transaction_id="tx-1",
        connector_id=2,
        id_token="Card-1",
        remote_start_id=5,
        at=AT,
        sequence=0,
        samples=(MeterSample(taken_at=AT, values=values),),
        flow=Flow.CHARGING,
    )


def test_a_transaction_is_answered_with_its_cost_and_its_token_if_it_told_one() -> None:
    assert answered("TransactionEvent") == {
        "totalCost": Decimal("1.500000"),
        "idTokenInfo": {"status": "Accepted"},
    }
    assert answered("TransactionEvent", Reply(), idToken=...) == {}
    assert answered("TransactionEvent", REFUSED) == {"idTokenInfo": {"status": "Invalid"}}


def test_the_kind_of_event_follows_the_messages_type() -> None:
    assert isinstance(transaction(eventType="Updated"), TransactionUpdated)
    ended = transaction(
        eventType="Ended", transactionInfo={"transactionId": "t", "stoppedReason": "PowerLoss"}
    )
    assert isinstance(ended, TransactionEnded)
    assert ended.reason == "PowerLoss"
    local = transaction(eventType="Ended", transactionInfo={"transactionId": "t"})
    assert isinstance(local, TransactionEnded)
    assert local.reason == "Local"


@pytest.mark.parametrize(
    ("state", "flow"),
    [
        ("Charging", Flow.CHARGING),
        ("EVConnected", Flow.CONNECTED),
        ("SuspendedEV", Flow.SUSPENDED_EV),
        ("SuspendedEVSE", Flow.SUSPENDED_EVSE),
        ("Idle", Flow.IDLE),
        (None, None),
    ],
)
def test_the_charging_state_is_the_flow(state: str | None, flow: Flow | None) -> None:
    info = {"transactionId": "t"} | ({} if state is None else {"chargingState": state})
    assert transaction(transactionInfo=info).flow is flow


def test_what_happened_offline_says_so_and_keeps_its_number() -> None:
    replayed = transaction(offline=True, seqNo=17, timestamp="2026-11-01T08:00:00Z", evse=...)
    assert (replayed.offline, replayed.sequence, replayed.connector_id) == (True, 17, None)
    assert replayed.at == datetime(2026, 11, 1, 8, 0, tzinfo=UTC)


def test_a_value_keeps_its_digits() -> None:
    value = {"value": Decimal("1234.50"), "measurand": "Energy.Active.Import.Register"}
    meter_value = [{"timestamp": "2026-11-03T11:00:00Z", "sampledValue": [value]}]
    assert transaction(meterValue=meter_value).samples[0].values[0].text == "1234.50"
    alone = event("MeterValues", meterValue=meter_value)
    assert isinstance(alone, TransactionUpdated)
    assert (alone.transaction_id, alone.connector_id) == ("", 1)
    assert alone.samples[0].values == (SampledValue(text="1234.50"),)


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": ...},
        {"triggerReason": "Boredom"},
        {"seqNo": "one"},
        {"seqNo": 2**40},
        {"evse": {"id": 2**40}},
        {"evse": "two"},
        {"idToken": {"idToken": "x"}},
        {"idToken": {"idToken": "x" * 37, "type": "Central"}},
        {"surplus": 1},
        {"meterValue": []},
        {"meterValue": [{"timestamp": "x", "sampledValue": [{"value": "12"}]}]},
        {"transactionInfo": {"transactionId": "tx-1", "stoppedReason": "Why", "more": 1}},
        {"transactionInfo": {"transactionId": "tx-1", "remoteStartId": 2**40}},
        {"offline": "yes"},
    ],
)
def test_an_end_is_never_refused_for_what_it_says_beside_its_transaction(
    changes: dict[str, Any],
) -> None:
    ended = transaction(eventType="Ended", **changes)
    assert isinstance(ended, TransactionEnded)
    assert ended.transaction_id == "tx-1"


@pytest.mark.parametrize(
    "info", [..., "tx-1", {}, {"transactionId": 5}, {"transactionId": "x" * 37}]
)
def test_an_end_without_a_transaction_is_refused(info: object) -> None:
    payload = said("TransactionEvent", eventType="Ended", transactionInfo=info)
    code, words = refusal_of(Version.V201, "TransactionEvent", payload)
    assert code == "OccurrenceConstraintViolation"
    assert "transactionId" in words


@pytest.mark.parametrize(
    ("action", "changes", "code"),
    [
        ("BootNotification", {"reason": ...}, "OccurrenceConstraintViolation"),
        ("TransactionEvent", {"seqNo": ...}, "OccurrenceConstraintViolation"),
        ("TransactionEvent", {"idToken": {"idToken": 5}}, "OccurrenceConstraintViolation"),
        ("TransactionEvent", {"transactionInfo": {"transactionId": 5}}, "TypeConstraintViolation"),
        ("TransactionEvent", {"eventType": "Paused"}, "PropertyConstraintViolation"),
        ("Heartbeat", {"surplus": 1}, "FormatViolation"),
        ("MeterValues", {"evseId": "one"}, "TypeConstraintViolation"),
        ("StatusNotification", {"evseId": 2**40}, "PropertyConstraintViolation"),
        ("MeterValues", {"meterValue": {}}, "TypeConstraintViolation"),
    ],
)
def test_a_payload_that_breaks_the_schema_is_refused(
    action: str, changes: dict[str, Any], code: str
) -> None:
    assert refusal_of(Version.V201, action, said(action, **changes))[0] == code


@pytest.mark.parametrize("event_type", ["Started", "Updated"])
@pytest.mark.parametrize(
    "changes",
    [
        {"seqNo": "0"},
        {"triggerReason": "Boredom"},
        {"timestamp": 5},
        {"evse": "two"},
        {"reservationId": None},
        {"surplus": 1},
        {"transactionInfo": {"transactionId": "tx-1", "chargingState": "Odd", "more": 1}},
    ],
)
def test_an_event_is_not_refused_for_what_can_be_left_out(
    event_type: str, changes: dict[str, Any]
) -> None:
    told = transaction(eventType=event_type, **changes)
    assert (told.transaction_id, told.id_token, len(told.samples)) == ("tx-1", "Card-1", 1)


def test_an_event_whose_token_is_null_has_none() -> None:
    assert transaction(idToken=None).id_token == ""


def test_meter_values_lose_the_value_that_breaks_the_schema_and_keep_the_others() -> None:
    values: list[dict[str, Any]] = [{"value": 1}, {"value": 2, "measurand": "Vendor"}, {"value": 3}]
    told = [{"timestamp": "2026-11-03T11:00:00Z", "sampledValue": values}]
    for update in (event("MeterValues", meterValue=told), transaction(meterValue=told)):
        assert isinstance(update, TransactionEvent)
        assert [value.text for value in update.samples[0].values] == ["1", "3"]


def test_actions_are_unknown_or_not_a_stations_to_ask() -> None:
    assert refusal_of(Version.V201, "StartTransaction", {})[0] == "NotImplemented"
    assert refusal_of(Version.V201, "RequestStartTransaction", {})[0] == "NotSupported"


@pytest.mark.parametrize("action", list(V201))
def test_every_request_of_a_station_has_an_answer_that_fits_the_schema(action: str) -> None:
    for reply in (ACCEPTED, REFUSED):
        assert answered(action, reply) is not None
