"""OCPP-J frames: what is a request, what is an answer, and what is neither."""

import sys
from decimal import Decimal

import pytest

from charging.ocpp.faults import CODES, Fault, Version
from charging.ocpp.frames import (
    BrokenCall,
    Call,
    CallError,
    CallResult,
    Unreadable,
    call_text,
    error_text,
    read_frame,
    result_text,
)


def test_a_request_an_answer_and_an_error_are_told_apart() -> None:
    assert read_frame('[2,"m","Heartbeat",{}]') == Call("m", "Heartbeat", {})
    assert read_frame('[3,"m",{"status":"Accepted"}]') == CallResult("m", {"status": "Accepted"})
    assert read_frame('[4,"m","GenericError","why",{}]') == CallError("m", "GenericError", "why")


def test_an_error_may_leave_out_its_description_and_details() -> None:
    assert read_frame('[4,"m","GenericError"]') == CallError("m", "GenericError", "")
    assert read_frame('[4,"m","GenericError",null,null]') == CallError("m", "GenericError", "")


def test_numbers_with_a_fraction_are_decimals_with_every_digit() -> None:
    frame = read_frame('[2,"m","X",{"value":12345678901234567890.10,"whole":3}]')
    assert isinstance(frame, Call)
    assert frame.payload == {"value": Decimal("12345678901234567890.10"), "whole": 3}
    assert str(frame.payload["value"]) == "12345678901234567890.10"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "{}",
        "[]",
        "[2]",
        "null",
        "2",
        '"[2]"',
        '[2,7,"Heartbeat",{}]',
        '[2,"","Heartbeat",{}]',
        '[2,null,"Heartbeat",{}]',
        '[2,"' + "m" * 256 + '","Heartbeat",{}]',
        '[3,"m"]',
        '[3,"m",[]]',
        '[4,"m"]',
        '[4,"m",4]',
        "[" * 60_000,
        '[2,"m","Heartbeat",{}',
        '[2,"\ud800","Heartbeat",{}]',
        '[2,"\\ud800","Heartbeat",{}]',
        '[2,"m","Heartbeat",{"a":NaN}]',
        '[2,"m","Heartbeat",{"a":1' + "0" * 5_000 + "}]",
    ],
)
def test_what_cannot_be_answered_is_unreadable(text: str) -> None:
    assert isinstance(read_frame(text), Unreadable)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[2,"m"]', Fault.FRAME),
        ('[2,"m","Heartbeat"]', Fault.FRAME),
        ('[2,"m","Heartbeat",{},{}]', Fault.FRAME),
        ('[2,"m",7,{}]', Fault.FRAME),
        ('[2,"m","Heartbeat",[]]', Fault.FORM),
        ('[2,"m","Heartbeat",null]', Fault.FORM),
        ('[5,"m","Heartbeat",{}]', Fault.MESSAGE_TYPE),
        ('["2","m","Heartbeat",{}]', Fault.MESSAGE_TYPE),
        ('[2.0,"m","Heartbeat",{}]', Fault.MESSAGE_TYPE),
        ('[true,"m","Heartbeat",{}]', Fault.MESSAGE_TYPE),
    ],
)
def test_a_broken_request_with_an_id_is_refused_by_that_id(text: str, fault: Fault) -> None:
    frame = read_frame(text)
    assert isinstance(frame, BrokenCall)
    assert (frame.message_id, frame.refusal.fault) == ("m", fault)


def test_nul_characters_are_taken_out_since_no_database_keeps_them() -> None:
    frame = read_frame(r'[2,"m\u0000","X",{"a\u0000":["b\u0000",1,{"c":"\\u0000"}]}]')
    assert frame == Call("m", "X", {"a": ["b", 1, {"c": r"\u0000"}]})


def test_what_we_send_is_an_array_without_spaces_and_decimals_are_numbers() -> None:
    assert call_text("m", "Reset", {"type": "Hard"}) == '[2,"m","Reset",{"type":"Hard"}]'
    assert result_text("m", {"totalCost": Decimal("1.500000")}) == '[3,"m",{"totalCost":1.500000}]'
    assert error_text("m", "GenericError", "why") == '[4,"m","GenericError","why",{}]'


def test_each_version_has_its_own_spelling_of_a_fault() -> None:
    assert CODES[Version.V16][Fault.FORM] == "FormationViolation"
    assert CODES[Version.V201][Fault.FORM] == "FormatViolation"
    assert CODES[Version.V16][Fault.OCCURRENCE] == "OccurenceConstraintViolation"
    assert CODES[Version.V201][Fault.OCCURRENCE] == "OccurrenceConstraintViolation"
    assert CODES[Version.V16][Fault.FRAME] == "ProtocolError"
    assert CODES[Version.V201][Fault.FRAME] == "RpcFrameworkError"
    for version in Version:
        assert set(CODES[version]) == set(Fault)
        assert CODES[version][Fault.UNKNOWN_ACTION] == "NotImplemented"
        assert CODES[version][Fault.UNSUPPORTED_ACTION] == "NotSupported"


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_a_deep_frame_is_refused_where_a_library_has_lifted_the_recursion_limit(
    opening: str,
) -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)  # As py-evm does, in the same process.
    try:
        found = read_frame('[2,"m","Heartbeat",' + opening * 10_000)
    finally:
        sys.setrecursionlimit(before)
    assert isinstance(found, Unreadable)
