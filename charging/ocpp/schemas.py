"""The library's JSON schemas of OCPP, compiled: is a payload what its action says?"""

import json
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any, Final

import jsonschema_rs

from charging.ocpp.faults import Fault, Refusal, Version
from charging.ocpp.frames import Payload

DIRECTORIES: Final = {Version.V16: "v16", Version.V201: "v201"}
SURPLUS: Final = "additionalProperties"
FAULTS: Final = {
    "required": Fault.OCCURRENCE,
    "minItems": Fault.OCCURRENCE,
    "maxItems": Fault.OCCURRENCE,
    "type": Fault.TYPE,
    SURPLUS: Fault.FORM,
}  # Every other keyword is about a value.
MENDINGS_MAX: Final = 10  # One for each level of nesting is enough: a list that lost all its items.


def check_request(version: Version, action: str, payload: Payload) -> None:
    """Raises Refusal, naming the first field and its rule, unless the payload fits the schema."""
    validator = _validator(version, action)
    if not validator.is_valid(payload):
        raise _refusal(next(iter(validator.iter_errors(payload))))


def mended(version: Version, action: str, payload: Payload) -> Payload:
    """The payload without what breaks the schema; fields that are missing stay missing.

    For messages that must not be refused, because the charger would repeat them for ever.
    """
    validator = _validator(version, action)
    if validator.is_valid(payload):
        return payload
    payload = deepcopy(payload)
    for _ in range(MENDINGS_MAX):
        errors = [error for error in validator.iter_errors(payload) if _is_mendable(error)]
        if not errors:
            return payload
        _drop(payload, errors)
    raise _refusal(errors[0])


def mended_around(version: Version, action: str, payload: Payload, *kept: str) -> Payload:
    """The payload without what breaks the schema beside the fields `kept`.

    Raises:
        Refusal: a required field is missing, or nothing of a kept one that is there fits.
    """
    errors = list(_validator(version, action).iter_errors(payload))
    if not errors:
        return payload
    missing = [error for error in errors if not _is_mendable(error)]
    found = mended(version, action, payload)
    lost = {name for name in kept if name in payload and name not in found}
    faulty = [error for error in errors if lost.intersection(tuple(error.instance_path)[:1])]
    if missing or faulty:
        raise _refusal((missing or faulty)[0])
    return found


def schema_name(version: Version, action: str, *, response: bool = False) -> str:
    """The schema's file name without its ending: 1.6 has none for requests, 2.0.1 `Request`."""
    if response:
        return f"{action}Response"
    return action if version is Version.V16 else f"{action}Request"


@cache
def _validator(version: Version, action: str) -> jsonschema_rs.Validator:
    # `action` comes from the table of what is heard, never from the wire.
    return validator_of(version, schema_name(version, action))


def validator_of(version: Version, name: str) -> jsonschema_rs.Validator:
    """A schema of the library, compiled; times are not judged, since chargers write them freely."""
    path = files("ocpp").joinpath(DIRECTORIES[version], "schemas", f"{name}.json")
    schema = json.loads(path.read_text(encoding="utf-8-sig"))
    return jsonschema_rs.validator_for(schema, validate_formats=False)


def _refusal(error: jsonschema_rs.ValidationError) -> Refusal:
    field = ".".join(str(step) for step in error.instance_path) or "payload"
    fault = FAULTS.get(error.kind.name, Fault.VALUE)
    return Refusal(fault=fault, cause=f"{field}: {error.message}")


def _is_mendable(error: jsonschema_rs.ValidationError) -> bool:
    return bool(error.instance_path) or error.kind.name == SURPLUS


def _drop(payload: Payload, errors: list[jsonschema_rs.ValidationError]) -> None:
    """Takes out what the errors are about, the last ones first."""
    paths = {path for error in errors for path in _faulty_paths(error)}
    for *parents, last in sorted(paths, reverse=True):
        holder: Any = payload
        for step in parents:
            holder = holder[step]
        del holder[last]


def _faulty_paths(error: jsonschema_rs.ValidationError) -> list[tuple[str | int, ...]]:
    """Surplus fields; a field; but of a list the whole item.

    A meter value without its unknown measurand would be taken for energy.
    """
    path = tuple(error.instance_path)
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        return [(*path, name) for name in error.kind.unexpected]
    items = [place for place, step in enumerate(path) if isinstance(step, int)]
    return [path[: items[-1] + 1] if items else path]
