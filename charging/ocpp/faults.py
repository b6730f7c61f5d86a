"""What can be wrong with a charger's message, and how each version of OCPP calls it.

OCPP-J 1.6 §4.2.3 and OCPP 2.0.1 part 4 §4.3 list the error codes. `FormationViolation` and
`OccurenceConstraintViolation` are 1.6's own spellings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

from ocpp import exceptions

DESCRIPTION_CHARS_MAX: Final = 255  # OCPP-J 1.6 §4.2.3, OCPP 2.0.1 part 4 §4.2.3.


class Version(StrEnum):
    """The versions of OCPP that are spoken here, by the number in their schemas' paths."""

    V16 = "1.6"
    V201 = "2.0.1"


class Fault(Enum):
    """What is wrong, whatever the version calls it."""

    FRAME = auto()  # The array around the payload is not a request.
    MESSAGE_TYPE = auto()  # The number at its start is unknown.
    FORM = auto()  # The payload has another structure: a field too many, not an object.
    OCCURRENCE = auto()  # A field is missing, a list too short or too long.
    TYPE = auto()  # A field has another JSON type.
    VALUE = auto()  # A field's value is not allowed.
    UNKNOWN_ACTION = auto()  # No action of this version.
    UNSUPPORTED_ACTION = auto()  # An action of this version that is not a charger's to ask.
    INTERNAL = auto()  # It could not be kept; the charger may send it again.


COMMON: Final = {
    Fault.TYPE: exceptions.TypeConstraintViolationError.code,
    Fault.VALUE: exceptions.PropertyConstraintViolationError.code,
    Fault.UNKNOWN_ACTION: exceptions.NotImplementedError.code,
    Fault.UNSUPPORTED_ACTION: exceptions.NotSupportedError.code,
    Fault.INTERNAL: exceptions.InternalError.code,
}
CODES: Final[Mapping[Version, Mapping[Fault, str]]] = {
    Version.V16: {
        **COMMON,
        Fault.FRAME: exceptions.ProtocolError.code,
        Fault.MESSAGE_TYPE: exceptions.ProtocolError.code,
        Fault.FORM: exceptions.FormationViolationError.code,
        Fault.OCCURRENCE: exceptions.OccurenceConstraintViolationError.code,
    },
    Version.V201: {
        **COMMON,
        Fault.FRAME: "RpcFrameworkError",  # These two are not in the library.
        Fault.MESSAGE_TYPE: "MessageTypeNotSupported",
        Fault.FORM: exceptions.FormatViolationError.code,
        Fault.OCCURRENCE: exceptions.OccurrenceConstraintViolationError.code,
    },
}


@dataclass(eq=False, kw_only=True)
class Refusal(Exception):
    """A message that is answered with a CALLERROR: the fault, and the field and rule in words."""

    fault: Fault
    cause: str

    def code(self, version: Version) -> str:
        """The error code that this version has for the fault."""
        return CODES[version][self.fault]

    @property
    def description(self) -> str:
        """The cause, as long as OCPP lets it be."""
        return self.cause[:DESCRIPTION_CHARS_MAX]

    def __str__(self) -> str:
        return f"{self.fault.name.lower()}: {self.cause}"
