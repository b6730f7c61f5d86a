"""OCPP 2.0.1: what we ask of a charging station."""

from collections.abc import Sequence
from typing import Final

from ocpp.v201 import call
from ocpp.v201.datatypes import (
    ChargingProfileType,
    ChargingSchedulePeriodType,
    ChargingScheduleType,
    ComponentType,
    EVSEType,
    GetVariableDataType,
    IdTokenType,
    SetVariableDataType,
    VariableType,
)
from ocpp.v201.enums import (
    ChargingProfileKindEnumType,
    ChargingProfilePurposeEnumType,
    ChargingRateUnitEnumType,
    IdTokenEnumType,
    MessageTriggerEnumType,
    OperationalStatusEnumType,
    ResetEnumType,
)

from charging.ocpp.commands import ENERGY, ENERGY_AND_POWER, Command, PowerLimit, command_of
from charging.ocpp.frames import Payload
from charging.ocpp.hearing import Terms
from ledger.errors import OutOfRange

ID_TOKEN_CHARS_MAX: Final = 36  # Part 2, IdTokenType.
FIRST_PLUG: Final = 1
SAMPLED: Final = "SampledDataCtrlr"


class Commands201:
    """The commands of OCPP 2.0.1; a connector of ours is an EVSE."""

    def start(
        self, connector_id: int, *, id_token: str, remote_start_id: int, limit: PowerLimit | None
    ) -> Command:
        """RequestStartTransaction (use case F02). Raises OutOfRange for a token over 36."""
        if not 0 < len(id_token) <= ID_TOKEN_CHARS_MAX:
            raise OutOfRange(
                field="len(id_token)",
                value=len(id_token),
                value_min=1,
                value_max=ID_TOKEN_CHARS_MAX,
            )
        return command_of(
            call.RequestStartTransaction(
                # `Central`: made by the CSMS, for a charge that is started remotely.
                id_token=IdTokenType(id_token=id_token, type=IdTokenEnumType.central),
                remote_start_id=remote_start_id,
                evse_id=connector_id,
                charging_profile=None if limit is None else _profile(connector_id, limit),
            )
        )

    def stop(self, transaction_id: str) -> Command | None:
        """RequestStopTransaction (F03)."""
        if not transaction_id:
            return None
        return command_of(call.RequestStopTransaction(transaction_id=transaction_id))

    def limit(self, connector_id: int, transaction_id: str, limit: PowerLimit) -> Command | None:
        """SetChargingProfile, TxProfile (K01)."""
        if not transaction_id:
            return None
        profile = _profile(connector_id, limit, transaction_id)
        return command_of(call.SetChargingProfile(evse_id=connector_id, charging_profile=profile))

    def ask_meter(self, connector_id: int) -> Command:
        """TriggerMessage (F06)."""
        evse = EVSEType(id=connector_id)
        return command_of(call.TriggerMessage(MessageTriggerEnumType.meter_values, evse))

    def ask_status(self, connector_id: int) -> Command:
        """TriggerMessage (F06), which for a status must name the plug."""
        evse = EVSEType(id=connector_id, connector_id=FIRST_PLUG)
        return command_of(call.TriggerMessage(MessageTriggerEnumType.status_notification, evse))

    def unlock(self, connector_id: int) -> Command:
        """UnlockConnector (F05)."""
        return command_of(call.UnlockConnector(evse_id=connector_id, connector_id=FIRST_PLUG))

    def reset(self, *, hard: bool) -> Command:
        """Reset (B11 and B12)."""
        kind = ResetEnumType.immediate if hard else ResetEnumType.on_idle
        return command_of(call.Reset(type=kind))

    def set_available(self, connector_id: int, *, available: bool) -> Command:
        """ChangeAvailability (G03 and G04); connector 0 is the whole station."""
        status = (
            OperationalStatusEnumType.operative
            if available
            else OperationalStatusEnumType.inoperative
        )
        evse = EVSEType(id=connector_id) if connector_id else None
        return command_of(call.ChangeAvailability(operational_status=status, evse=evse))

    def settings(self, terms: Terms) -> Sequence[Sequence[Command]]:
        """SetVariables (B05), one at a time: some stations take no more."""
        return (
            (_set("TxUpdatedInterval", str(terms.sample_s)),),
            (_set("TxUpdatedMeasurands", ENERGY_AND_POWER), _set("TxUpdatedMeasurands", ENERGY)),
            (_set("TxStartedMeasurands", ENERGY),),
            (_set("TxEndedMeasurands", ENERGY),),
        )

    def ask_rate_units(self) -> Command:
        """GetVariables (B06) of the units of charging profiles."""
        rate_unit = GetVariableDataType(
            component=ComponentType(name="SmartChargingCtrlr"), variable=VariableType("RateUnit")
        )
        return command_of(call.GetVariables(get_variable_data=[rate_unit]))

    def takes_amperes_only(self, payload: Payload) -> bool:
        """The variable's value is a list of `A` and `W`."""
        results = payload.get("getVariableResult")
        if not isinstance(results, list) or not results or not isinstance(results[0], dict):
            return False
        value = results[0].get("attributeValue")
        return isinstance(value, str) and value.strip() == "A"


def _set(variable: str, value: str) -> Command:
    data = SetVariableDataType(
        attribute_value=value,
        component=ComponentType(name=SAMPLED),
        variable=VariableType(variable),
    )
    return command_of(call.SetVariables(set_variable_data=[data]))


def _profile(
    connector_id: int, limit: PowerLimit, transaction_id: str | None = None
) -> ChargingProfileType:
    """One profile for each EVSE: a later one takes the place of the one before (K01.FR.05)."""
    unit = ChargingRateUnitEnumType.amps if limit.in_amperes else ChargingRateUnitEnumType.watts
    period = ChargingSchedulePeriodType(start_period=0, limit=limit.rate)
    schedule = ChargingScheduleType(
        id=connector_id, charging_rate_unit=unit, charging_schedule_period=[period]
    )
    return ChargingProfileType(
        id=connector_id,
        stack_level=0,
        charging_profile_purpose=ChargingProfilePurposeEnumType.tx_profile,
        charging_profile_kind=ChargingProfileKindEnumType.relative,
        charging_schedule=[schedule],
        transaction_id=transaction_id,
    )
