"""One thing that was compared, and what came of it: what `verify` consists of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was compared; `detail` names what differs, or what was found equal."""

    name: str
    passed: bool
    detail: str


def equal(name: str, field: str, stated: object, found: object) -> Check:
    """What a file states, compared with what was found to be so."""
    if stated == found:
        return Check(name=name, passed=True, detail=field)
    return Check(
        name=name, passed=False, detail=f"{field}: stated {_show(stated)}, is {_show(found)}"
    )


def _show(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
