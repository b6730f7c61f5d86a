"""The library's dataclasses as JSON objects: its `call` and `call_result`, in OCPP's camel case."""

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from ocpp.charge_point import snake_to_camel_case


def payload_of(message: Any) -> dict[str, Any]:
    """A message's payload; fields that are None are left out."""
    payload = {}
    kind: type = type(message)
    for name, camel_name in _names(kind):
        value = getattr(message, name)
        if value is not None:
            payload[camel_name] = _item(value)
    return payload


def _item(value: Any) -> Any:
    if is_dataclass(value):
        return payload_of(value)
    if isinstance(value, list):
        return [_item(item) for item in value]
    return value


@cache
def _names(message_type: type) -> tuple[tuple[str, str], ...]:
    names = {field.name: field.name for field in fields(message_type)}
    camel_names: dict[str, str] = snake_to_camel_case(names)  # type: ignore[no-untyped-call]
    return tuple((name, camel_name) for camel_name, name in camel_names.items())
