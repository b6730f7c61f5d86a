"""What goes wrong in the field, on demand. Each was seen on real chargers (LESSONS, fields)."""

from enum import StrEnum
from typing import Final

from charging.simulator.errors import BadPointSetting


class Fault(StrEnum):
    """One way in which a charge point misbehaves."""

    OFFLINE_REPLAY = "offline-replay"
    STOP_BEFORE_START = "stop-before-start"
    DUPLICATES = "duplicates"
    DUPLICATES_NEW_ID = "duplicates-new-id"
    ENDLESS_STOP = "endless-stop"
    TRANSACTION_MINUS_ONE = "transaction-minus-one"
    NO_ENERGY = "no-energy"
    LATE_VALUES = "late-values"
    FLOAT_NOISE = "float-noise"
    MIXED_UNITS = "mixed-units"
    BEGIN_ZERO = "begin-zero"
    STOP_BELOW_START = "stop-below-start"
    METER_RESET = "meter-reset"
    CLOCK_HOUR_OFF = "clock-hour-off"
    CLOCK_1970 = "clock-1970"
    POWER_LOSS = "power-loss"
    POWER_LOSS_SILENT = "power-loss-silent"
    NEVER_STARTS = "never-starts"
    VANISHES = "vanishes"
    REFUSES_START = "refuses-start"
    REFUSES_STOP = "refuses-stop"
    IGNORES_LIMIT = "ignores-limit"
    RECONNECT_STORM = "reconnect-storm"
    MALFORMED_FRAMES = "malformed-frames"
    UPPER_CASE_TOKEN = "upper-case-token"  # noqa: S105 (a name, not a secret)
    FORGED_OCMF = "forged-ocmf"


MEANING: Final = {
    Fault.OFFLINE_REPLAY: "loses its connection after the start, replays all 3 hours after the end",
    Fault.STOP_BEFORE_START: "sends the stop first, then the start, then the meter values",
    Fault.DUPLICATES: "sends every transaction message twice, under one message id",
    Fault.DUPLICATES_NEW_ID: "sends every transaction message twice, under two message ids",
    Fault.ENDLESS_STOP: "does not hear the first two answers to its stop; repeats until it does",
    Fault.TRANSACTION_MINUS_ONE: "OCPP 1.6: repeats transactionId -1 in meter values and stop",
    Fault.NO_ENERGY: "sends meter values with power, voltage and no energy",
    Fault.LATE_VALUES: "sends meter values of the session after its stop",
    Fault.FLOAT_NOISE: "sends kWh as binary floating point makes them: 12.345000000000002",
    Fault.MIXED_UNITS: "sends Wh and kWh in turns within one session",
    Fault.BEGIN_ZERO: "starts with a meter value of 0, then sends its lifetime register",
    Fault.STOP_BELOW_START: "stops with the session's energy in place of the register",
    Fault.METER_RESET: "its register restarts from 0 in mid-session",
    Fault.CLOCK_HOUR_OFF: "its clock is an hour ahead",
    Fault.CLOCK_1970: "its clock started at 1970 when it was switched on",
    Fault.POWER_LOSS: "loses power in mid-session, boots, and stops with reason PowerLoss",
    Fault.POWER_LOSS_SILENT: "loses power in mid-session, boots, and has forgotten the session",
    Fault.NEVER_STARTS: "accepts a remote start and never starts",
    Fault.VANISHES: "vanishes in mid-session, without a word",
    Fault.REFUSES_START: "refuses remote starts",
    Fault.REFUSES_STOP: "refuses remote stops",
    Fault.IGNORES_LIMIT: "accepts charging profiles and charges at full power",
    Fault.RECONNECT_STORM: "reconnects 20 times in a row when a session starts",
    Fault.MALFORMED_FRAMES: "sends frames that are no OCPP between those that are",
    Fault.UPPER_CASE_TOKEN: "sends the token that it was given in capitals",
    Fault.FORGED_OCMF: "signs its meter values with another key than its own",
}

MALFORMED_FRAMES: Final[tuple[str | bytes, ...]] = (
    "",
    "not JSON",
    "{}",
    "[]",
    "null",
    "[2]",
    '[2, "x"]',
    "[9, 9, 9]",
    '[2, 7, "Heartbeat", {}]',
    '[2, "a", "Heartbeat", []]',
    '[2, "b", "NoSuchAction", {}]',
    '[2, "c", "MeterValues", {"connectorId": "one", "meterValue": {}}]',
    '[2, "d", "BootNotification", {}]',
    '[3, "nobody-asked", {}]',
    '[4, "nobody-asked", "InternalError", "", {}]',
    '[2, "e", "StopTransaction", {"meterStop": 1e400, "transactionId": 1, "timestamp": "soon"}]',
    "[" * 5_000,
    b"\x00\xff\xfe",
)


def faults_named(names: list[str]) -> frozenset[Fault]:
    """Faults by their names.

    Raises:
        BadPointSetting: there is no fault of this name.
    """
    known = [fault.value for fault in Fault]
    for name in names:
        if name not in known:
            raise BadPointSetting(field="fault", rule=f"{name!r} is none of {', '.join(known)}")
    return frozenset(Fault(name) for name in names)
