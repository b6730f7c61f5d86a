"""Fields of a tariff in JSON or TOML: each is of its type and known, or refused by its name."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NoReturn

from charging.errors import BadTariff

NAME_CHARS_SHOWN: Final = 80
_DECIMAL_ADJUSTED_MAX: Final = 11
_DECIMAL_EXPONENT_MIN: Final = -12


def refuse(field: str, rule: str) -> NoReturn:
    """Raises BadTariff."""
    raise BadTariff(field=field[:NAME_CHARS_SHOWN], rule=rule)


def require_known(
    parts: Mapping[str, object], names: frozenset[str] | set[str], prefix: str = ""
) -> None:
    """Refuses a name that nobody knows: it may be one that bears on the price."""
    for name in parts:
        if name not in names:
            refuse(f"{prefix}{name}", f"one of {', '.join(sorted(names))}")


def mapping_of(value: object, field: str) -> Mapping[str, object]:
    """An object of JSON, a table of TOML."""
    if not isinstance(value, Mapping):
        refuse(field, "names and values")
    return value


def list_of(value: object, field: str, most: int) -> list[object]:
    """A list."""
    if not isinstance(value, list | tuple) or len(value) > most:
        refuse(field, f"a list of at most {most}")
    return list(value)


def text_of(value: object, field: str) -> str:
    """A text."""
    if not isinstance(value, str):
        refuse(field, "a text")
    return value


def decimal_of(value: object, field: str) -> Decimal:
    """A number that is not negative, with the digits that were written; never a float."""
    if type(value) is not int and not isinstance(value, Decimal):
        refuse(field, "a number")
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if (
        number < 0
        or number.adjusted() > _DECIMAL_ADJUSTED_MAX
        or not isinstance(exponent, int)
        or exponent < _DECIMAL_EXPONENT_MIN
    ):
        refuse(field, "not negative, below 10¹², at most 12 decimals")
    return number
