"""Whatever a charger sends: it is heard or refused, and never anything else."""

import json
from contextlib import suppress
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from charging.ocpp.faults import Refusal, Version
from charging.ocpp.frames import BrokenCall, Call, read_frame
from charging.ocpp.instants import instant_of
from charging.points import TransactionEnded
from tests.ocpp_messages import ACCEPTED, EVERY_MESSAGE, MESSAGES, V16, V201, answer, heard

numbers = st.integers(-(2**70), 2**70) | st.decimals(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | st.text(max_size=30)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [path]
    if isinstance(value, list):
        value = dict(enumerate(value))
    for step, item in value.items() if isinstance(value, dict) else ():
        found += places(item, (*path, step))
    return found


@st.composite
def altered(draw: st.DrawFn, payload: dict[str, Any]) -> dict[str, Any]:
    """A valid payload in which up to three things were replaced, removed or added."""
    payload = deepcopy(payload)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(payload)))
        if not path:
            payload[draw(st.text(max_size=5))] = draw(values)
            continue
        holder: Any = payload
        for step in path[:-1]:
            holder = holder[step]
        if draw(st.booleans()):
            holder[path[-1]] = draw(values)
        else:
            del holder[path[-1]]
    return payload


@given(st.data())
def test_an_altered_message_is_heard_and_answered_or_refused(data: st.DataObject) -> None:
    version, action = data.draw(st.sampled_from(EVERY_MESSAGE))
    payload = data.draw(altered(MESSAGES[version][action]))
    with suppress(Refusal):
        assert answer(version, action, payload, ACCEPTED) is not None


@given(st.data())
def test_an_end_whose_transaction_can_be_read_is_always_heard(data: st.DataObject) -> None:
    stop = data.draw(altered(V16["StopTransaction"])) | {"transactionId": 7}
    heard_stop = heard(Version.V16, "StopTransaction", stop).event
    assert isinstance(heard_stop, TransactionEnded)
    assert heard_stop.transaction_id == "7"
    fixed = {"eventType": "Ended", "transactionInfo": {"transactionId": "tx-1"}}
    end = data.draw(altered(V201["TransactionEvent"])) | fixed
    heard_end = heard(Version.V201, "TransactionEvent", end).event
    assert isinstance(heard_end, TransactionEnded)
    assert heard_end.transaction_id == "tx-1"


@given(st.text())
def test_any_text_is_some_frame(text: str) -> None:
    read_frame(text)


@given(values, values, values)
def test_any_json_in_a_call_is_a_call_or_broken(kind: Any, action: Any, payload: Any) -> None:
    text = json.dumps([2, "m", action, payload], default=float)
    frame = read_frame(text)
    assert isinstance(frame, Call | BrokenCall)
    assert frame.message_id == "m"
    read_frame(json.dumps([kind, action, payload], default=float))


@given(st.text() | st.datetimes().map(str) | st.datetimes().map(lambda at: at.isoformat() + "Z"))
def test_any_text_is_an_aware_instant_or_none(text: str) -> None:
    instant = instant_of(text)
    assert instant is None or instant.utcoffset() is not None
