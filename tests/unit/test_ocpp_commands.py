"""What we ask of chargers fits the standard's schemas, and what they say to it is understood."""

from collections.abc import Callable
from typing import Any

import pytest

from charging.ocpp.commands import Command, Commands, PowerLimit, answer_of
from charging.ocpp.faults import Version
from charging.ocpp.frames import CallError, CallResult
from charging.ocpp.hearing import Terms
from charging.ocpp.schemas import schema_name, validator_of
from charging.ocpp.v16_commands import Commands16
from charging.ocpp.v201_commands import Commands201
from charging.points import Answer
from ledger.errors import OutOfRange

WATTS = PowerLimit(limit_w=11_000, in_amperes=False)
AMPERES = PowerLimit(limit_w=11_000, in_amperes=True)
COMMANDS: dict[Version, Commands] = {Version.V16: Commands16(), Version.V201: Commands201()}
ASKED: dict[str, Callable[[Commands], Command | None]] = {
    "start": lambda c: c.start(1, id_token="token", remote_start_id=5, limit=None),
    "start, limited": lambda c: c.start(1, id_token="token", remote_start_id=5, limit=WATTS),
    "start, in amperes": lambda c: c.start(1, id_token="token", remote_start_id=5, limit=AMPERES),
    "stop": lambda c: c.stop("7"),
    "limit": lambda c: c.limit(1, "7", WATTS),
    "limit of nothing": lambda c: c.limit(1, "7", PowerLimit(limit_w=0, in_amperes=False)),
    "ask_meter": lambda c: c.ask_meter(1),
    "ask_status": lambda c: c.ask_status(1),
    "unlock": lambda c: c.unlock(1),
    "reset": lambda c: c.reset(hard=False),
    "reset, hard": lambda c: c.reset(hard=True),
    "open": lambda c: c.set_available(1, available=True),
    "close all": lambda c: c.set_available(0, available=False),
    "ask_rate_units": lambda c: c.ask_rate_units(),
}


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("name", list(ASKED))
def test_every_command_fits_the_schema_of_its_version(version: Version, name: str) -> None:
    command = ASKED[name](COMMANDS[version])
    assert command is not None
    validator_of(version, schema_name(version, command.action)).validate(command.payload)


@pytest.mark.parametrize("version", Version)
def test_every_setting_fits_the_schema_and_the_last_alternative_asks_the_least(
    version: Version,
) -> None:
    settings = COMMANDS[version].settings(Terms(sample_s=15))
    for alternatives in settings:
        for command in alternatives:
            name = schema_name(version, command.action)
            validator_of(version, name).validate(command.payload)
    assert "'15'" in str(settings[0])


def test_a_start_in_1_6_carries_tag_connector_and_profile() -> None:
    command = ASKED["start, limited"](Commands16())
    assert command is not None
    assert command.action == "RemoteStartTransaction"
    assert command.payload == {
        "idTag": "token",
        "connectorId": 1,
        "chargingProfile": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11_000}],
            },
        },
    }


def test_a_start_in_2_0_1_carries_a_central_token_and_its_number() -> None:
    command = ASKED["start"](Commands201())
    assert command is not None
    assert command.action == "RequestStartTransaction"
    assert command.payload == {
        "idToken": {"idToken": "token", "type": "Central"},
        "remoteStartId": 5,
        "evseId": 1,
    }


def test_a_limit_names_its_transaction() -> None:
    sixteen, two = (ASKED["limit"](COMMANDS[version]) for version in Version)
    assert sixteen is not None
    assert two is not None
    assert sixteen.payload["csChargingProfiles"]["transactionId"] == 7
    assert two.payload["chargingProfile"]["transactionId"] == "7"


@pytest.mark.parametrize(
    ("limit_w", "amperes"),
    [
        (11_000, 15),  # 15 A · 230 V · 3 = 10,350 W.
        (4_140, 6),
        (4_139, 17),  # Three phases would get 5 A: it is meant for one.
        (3_700, 16),
        (1_380, 6),
        (1_379, 6),
        (1, 6),
        (0, 0),
    ],
)
def test_amperes_are_rounded_down_and_never_so_few_that_no_car_charges(
    limit_w: int, amperes: int
) -> None:
    assert PowerLimit(limit_w=limit_w, in_amperes=True).rate == amperes
    assert PowerLimit(limit_w=limit_w, in_amperes=False).rate == limit_w


@pytest.mark.parametrize("transaction_id", ["", "-1", "tx-1", "1.5", "9" * 11])
def test_1_6_has_no_command_for_a_transaction_that_is_not_its_number(transaction_id: str) -> None:
    assert Commands16().stop(transaction_id) is None
    assert Commands16().limit(1, transaction_id, WATTS) is None


def test_2_0_1_has_no_command_for_no_transaction() -> None:
    assert Commands201().stop("") is None
    assert Commands201().limit(1, "", WATTS) is None


@pytest.mark.parametrize(
    ("commands", "length"), [(Commands16(), 21), (Commands201(), 37), (Commands16(), 0)]
)
def test_a_token_that_no_charger_takes_is_a_mistake_of_ours(
    commands: Commands, length: int
) -> None:
    with pytest.raises(OutOfRange) as refused:
        commands.start(1, id_token="x" * length, remote_start_id=5, limit=None)
    assert refused.value.field == "len(id_token)"


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        ({"status": "Accepted"}, Answer.ACCEPTED),
        ({"status": "Scheduled"}, Answer.ACCEPTED),
        ({"status": "Unlocked"}, Answer.ACCEPTED),
        ({"status": "Rejected"}, Answer.REJECTED),
        ({"status": "Rejected", "statusInfo": {"reasonCode": "TxNotFound"}}, Answer.UNKNOWN),
        ({"status": "Rejected", "statusInfo": {"reasonCode": "InUse"}}, Answer.REJECTED),
        ({"status": "UnlockFailed"}, Answer.REJECTED),
        ({"status": "OngoingAuthorizedTransaction"}, Answer.REJECTED),
        ({"status": "NotImplemented"}, Answer.UNKNOWN),
        ({"status": "NotSupported"}, Answer.UNKNOWN),
        ({"status": "UnknownConnector"}, Answer.UNKNOWN),
        ({"setVariableResult": [{"attributeStatus": "Accepted"}]}, Answer.ACCEPTED),
        ({"setVariableResult": [{"attributeStatus": "UnknownVariable"}]}, Answer.UNKNOWN),
        ({"setVariableResult": []}, Answer.NO_ANSWER),
        ({"status": "Maybe"}, Answer.NO_ANSWER),
        ({"status": ["Accepted"]}, Answer.NO_ANSWER),
        ({}, Answer.NO_ANSWER),
    ],
)
def test_what_a_charger_says_becomes_one_of_five_answers(
    payload: dict[str, Any], answer: Answer
) -> None:
    assert answer_of(CallResult("m", payload)) is answer


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("NotImplemented", Answer.UNKNOWN),
        ("NotSupported", Answer.UNKNOWN),
        ("InternalError", Answer.REJECTED),
        ("Whatever", Answer.REJECTED),
    ],
)
def test_an_error_is_a_refusal_or_ignorance(code: str, answer: Answer) -> None:
    assert answer_of(CallError("m", code, "")) is answer


@pytest.mark.parametrize(
    ("value", "only"),
    [("Current", True), ("Power", False), ("Current,Power", False), (None, False), (7, False)],
)
def test_1_6_says_in_which_units_it_takes_limits(value: object, only: bool) -> None:
    key = {"key": "ChargingScheduleAllowedChargingRateUnit", "readonly": True, "value": value}
    assert Commands16().takes_amperes_only({"configurationKey": [key]}) is only


@pytest.mark.parametrize(
    ("value", "only"), [("A", True), ("W", False), ("A,W", False), (None, False), (7, False)]
)
def test_2_0_1_says_in_which_units_it_takes_limits(value: object, only: bool) -> None:
    result = {"attributeStatus": "Accepted", "attributeValue": value}
    assert Commands201().takes_amperes_only({"getVariableResult": [result]}) is only


@pytest.mark.parametrize("payload", [{}, {"configurationKey": 7}, {"configurationKey": [7]}])
def test_a_1_6_charger_that_does_not_say_takes_watts(payload: dict[str, Any]) -> None:
    assert Commands16().takes_amperes_only(payload) is False


@pytest.mark.parametrize("payload", [{}, {"getVariableResult": 7}, {"getVariableResult": [7]}])
def test_a_2_0_1_charger_that_does_not_say_takes_watts(payload: dict[str, Any]) -> None:
    assert Commands201().takes_amperes_only(payload) is False
