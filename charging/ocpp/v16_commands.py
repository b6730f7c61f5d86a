"""OCPP 1.6J: what we ask of a charge point."""

from collections.abc import Sequence
from typing import Final

from ocpp.v16 import call
from ocpp.v16.datatypes import ChargingProfile, ChargingSchedule, ChargingSchedulePeriod
from ocpp.v16.enums import (
    AvailabilityType,
    ChargingProfileKindType,
    ChargingProfilePurposeType,
    ChargingRateUnitType,
    MessageTrigger,
    ResetType,
)

from charging.ocpp.commands import ENERGY, ENERGY_AND_POWER, Command, PowerLimit, command_of
from charging.ocpp.frames import Payload
from charging.ocpp.hearing import INTEGER_MAX, Terms
from ledger.errors import OutOfRange

ID_TAG_CHARS_MAX: Final = 20  # OCPP 1.6 §7.28, IdToken.
RATE_UNITS: Final = "ChargingScheduleAllowedChargingRateUnit"


class Commands16:
    """The commands of OCPP 1.6."""

    def start(
        self,
        connector_id: int,
        *,
        id_token: str,
        remote_start_id: int,  # noqa: ARG002 1.6 has no place for it.
        limit: PowerLimit | None,
    ) -> Command:
        """RemoteStartTransaction (§5.11). Raises OutOfRange for an id tag over 20 characters."""
        if not 0 < len(id_token) <= ID_TAG_CHARS_MAX:
            raise OutOfRange(
                field="len(id_token)",
                value=len(id_token),
                value_min=1,
                value_max=ID_TAG_CHARS_MAX,
            )
        return command_of(
            call.RemoteStartTransaction(
                id_tag=id_token,
                connector_id=connector_id,
                charging_profile=None if limit is None else _profile(connector_id, limit),
            )
        )

    def stop(self, transaction_id: str) -> Command | None:
        """RemoteStopTransaction (§5.12)."""
        number = _number(transaction_id)
        if number is None:
            return None
        return command_of(call.RemoteStopTransaction(transaction_id=number))

    def limit(self, connector_id: int, transaction_id: str, limit: PowerLimit) -> Command | None:
        """SetChargingProfile, TxProfile (§5.16)."""
        number = _number(transaction_id)
        if number is None:
            return None
        profile = _profile(connector_id, limit, number)
        return command_of(
            call.SetChargingProfile(connector_id=connector_id, cs_charging_profiles=profile)
        )

    def ask_meter(self, connector_id: int) -> Command:
        """TriggerMessage (§5.17)."""
        return command_of(call.TriggerMessage(MessageTrigger.meter_values, connector_id))

    def ask_status(self, connector_id: int) -> Command:
        """TriggerMessage (§5.17)."""
        return command_of(call.TriggerMessage(MessageTrigger.status_notification, connector_id))

    def unlock(self, connector_id: int) -> Command:
        """UnlockConnector (§5.18)."""
        return command_of(call.UnlockConnector(connector_id=connector_id))

    def reset(self, *, hard: bool) -> Command:
        """Reset (§5.14)."""
        return command_of(call.Reset(type=ResetType.hard if hard else ResetType.soft))

    def set_available(self, connector_id: int, *, available: bool) -> Command:
        """ChangeAvailability (§5.2); connector 0 is the whole charge point."""
        kind = AvailabilityType.operative if available else AvailabilityType.inoperative
        return command_of(call.ChangeAvailability(connector_id=connector_id, type=kind))

    def settings(self, terms: Terms) -> Sequence[Sequence[Command]]:
        """ChangeConfiguration (§5.3) of standard keys (§9.1)."""
        return (
            (_set("MeterValueSampleInterval", str(terms.sample_s)),),
            (
                _set("MeterValuesSampledData", ENERGY_AND_POWER),
                _set("MeterValuesSampledData", ENERGY),
            ),
            (_set("StopTxnSampledData", ENERGY),),
        )

    def ask_rate_units(self) -> Command:
        """GetConfiguration (§5.8) of the units of charging profiles (§9.4)."""
        return command_of(call.GetConfiguration(key=[RATE_UNITS]))

    def takes_amperes_only(self, payload: Payload) -> bool:
        """The key's value is a list of `Current` and `Power`."""
        keys = payload.get("configurationKey")
        for key in keys if isinstance(keys, list) else ():
            if isinstance(key, dict) and key.get("key") == RATE_UNITS:
                value = key.get("value")
                return isinstance(value, str) and "Current" in value and "Power" not in value
        return False


def _set(key: str, value: str) -> Command:
    return command_of(call.ChangeConfiguration(key=key, value=value))


def _profile(
    connector_id: int, limit: PowerLimit, transaction_number: int | None = None
) -> ChargingProfile:
    """One profile for each connector: a later one takes the place of the one before (§5.16.3)."""
    unit = ChargingRateUnitType.amps if limit.in_amperes else ChargingRateUnitType.watts
    schedule = ChargingSchedule(
        charging_rate_unit=unit,
        charging_schedule_period=[ChargingSchedulePeriod(start_period=0, limit=limit.rate)],
    )
    return ChargingProfile(
        charging_profile_id=connector_id,
        stack_level=0,
        charging_profile_purpose=ChargingProfilePurposeType.tx_profile,
        charging_profile_kind=ChargingProfileKindType.relative,
        charging_schedule=schedule,
        transaction_id=transaction_number,
    )


def _number(transaction_id: str) -> int | None:
    """The id of a transaction as a number; None: no transaction of 1.6 is called so."""
    if not transaction_id.isdecimal() or len(transaction_id) > len(str(INTEGER_MAX)):
        return None
    return int(transaction_id)
