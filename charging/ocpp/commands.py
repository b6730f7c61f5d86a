"""What we ask of chargers, in either version, and how their answers are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from charging.ocpp.frames import CallError, CallResult, Payload
from charging.ocpp.hearing import Terms
from charging.ocpp.messages import payload_of
from charging.points import Answer

ENERGY_AND_POWER: Final = "Energy.Active.Import.Register,Power.Active.Import"
ENERGY: Final = "Energy.Active.Import.Register"
PHASE_VOLTS: Final = 230
PHASES: Final = 3
AMPERES_MIN: Final = 6  # Below that no car charges (IEC 61851-1, annex A).
THREE_PHASES_W_MIN: Final = PHASES * PHASE_VOLTS * AMPERES_MIN

ANSWERS: Final[Mapping[str, Answer]] = {
    "Accepted": Answer.ACCEPTED,
    "Scheduled": Answer.ACCEPTED,
    "Unlocked": Answer.ACCEPTED,
    "RebootRequired": Answer.ACCEPTED,
    "Rejected": Answer.REJECTED,
    "UnlockFailed": Answer.REJECTED,
    "OngoingAuthorizedTransaction": Answer.REJECTED,
    "NotSupported": Answer.UNKNOWN,
    "NotImplemented": Answer.UNKNOWN,
    "UnknownConnector": Answer.UNKNOWN,
    "UnknownComponent": Answer.UNKNOWN,
    "UnknownVariable": Answer.UNKNOWN,
    "NotSupportedAttributeType": Answer.UNKNOWN,
}  # Every status of the answers to the commands below, both versions.
UNKNOWN_CODES: Final = frozenset({"NotImplemented", "NotSupported"})
UNKNOWN_REASONS: Final = frozenset({"TxNotFound", "UnsupportedRequest"})  # Part 2, appendix 5.


@dataclass(frozen=True, slots=True)
class Command:
    """A request of ours, ready to be sent."""

    action: str
    payload: Payload


def command_of(message: Any) -> Command:
    """The request that a `call` dataclass of the library stands for."""
    return Command(type(message).__name__, payload_of(message))


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLimit:
    """The largest power of a charge, and whether the charger takes it in amperes only."""

    limit_w: int
    in_amperes: bool

    @property
    def rate(self) -> int:
        """Watts, or amperes on each phase, rounded down, but nothing from 1 to 5 A.

        How many phases are charged on is not known. A limit that three cannot keep at 6 A is meant
        for one.
        """
        if not self.in_amperes or not self.limit_w:
            return self.limit_w
        phases = PHASES if self.limit_w >= THREE_PHASES_W_MIN else 1
        return max(self.limit_w // (PHASE_VOLTS * phases), AMPERES_MIN)


class Commands(Protocol):
    """The commands of one version; None: it has none for what was asked."""

    def start(
        self, connector_id: int, *, id_token: str, remote_start_id: int, limit: PowerLimit | None
    ) -> Command | None: ...

    def stop(self, transaction_id: str) -> Command | None: ...

    def limit(
        self, connector_id: int, transaction_id: str, limit: PowerLimit
    ) -> Command | None: ...

    def ask_meter(self, connector_id: int) -> Command: ...

    def ask_status(self, connector_id: int) -> Command: ...

    def unlock(self, connector_id: int) -> Command: ...

    def reset(self, *, hard: bool) -> Command: ...

    def set_available(self, connector_id: int, *, available: bool) -> Command: ...

    def settings(self, terms: Terms) -> Sequence[Sequence[Command]]:
        """What a charger is set to after it booted; of alternatives the first it accepts."""
        ...

    def ask_rate_units(self) -> Command:
        """Asks in which units it takes charging profiles."""
        ...

    def takes_amperes_only(self, payload: Payload) -> bool:
        """What the answer to `ask_rate_units` says."""
        ...


def answer_of(outcome: CallResult | CallError) -> Answer:
    """What a charger said to a command; NO_ANSWER if it cannot be told."""
    if isinstance(outcome, CallError):
        return Answer.UNKNOWN if outcome.code in UNKNOWN_CODES else Answer.REJECTED
    said = outcome.payload
    results = said.get("setVariableResult")
    if isinstance(results, list) and results and isinstance(results[0], dict):
        return _answer(results[0].get("attributeStatus"))
    answer, information = _answer(said.get("status")), said.get("statusInfo")
    if answer is Answer.REJECTED and isinstance(information, dict):
        reason = information.get("reasonCode")
        return Answer.UNKNOWN if reason in UNKNOWN_REASONS else answer
    return answer


def _answer(status: object) -> Answer:
    return ANSWERS.get(status, Answer.NO_ANSWER) if isinstance(status, str) else Answer.NO_ANSWER
