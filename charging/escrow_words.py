"""Orders, records and sessions in the words of the escrow's ABI and of INTERFACES §4, and back."""

from collections.abc import Mapping
from typing import Any

from charging.desk import Permit
from charging.orders import ChargeOrder, ChargeRecord, ChargerId, SessionId, TopUp
from charging.sessions import ChargeSession
from charging.tariffs import ChargeTariff
from ledger.units import Address, Hash32

NO_PERMIT: Mapping[str, Any] = {"deadline": 0, "signature": b""}


def tariff_words(tariff: ChargeTariff) -> dict[str, int]:
    """`Tariff`."""
    return {
        "energyPerKwh": tariff.energy_per_kwh,
        "startFee": tariff.start_fee,
        "timePerHour": tariff.time_per_hour,
        "idlePerHour": tariff.idle_per_hour,
    }


def tariff_of(words: Mapping[str, Any]) -> ChargeTariff:
    """The tariff of `Tariff`."""
    return ChargeTariff(
        energy_per_kwh=words["energyPerKwh"],
        start_fee=words["startFee"],
        time_per_hour=words["timePerHour"],
        idle_per_hour=words["idlePerHour"],
    )


def order_words(order: ChargeOrder) -> dict[str, Any]:
    """`ChargeOrder`."""
    return {
        "driver": order.driver,
        "chargerId": order.charger_id,
        "depositMicro": order.deposit_micro,
        "tariff": tariff_words(order.tariff),
        "validUntil": order.valid_until_s,
        "nonce": order.nonce,
    }


def order_of(words: Mapping[str, Any]) -> ChargeOrder:
    """The order of `ChargeOrder`."""
    return ChargeOrder(
        driver=Address(words["driver"]),
        charger_id=ChargerId(words["chargerId"]),
        deposit_micro=words["depositMicro"],
        tariff=tariff_of(words["tariff"]),
        valid_until_s=words["validUntil"],
        nonce=words["nonce"],
    )


def record_words(record: ChargeRecord) -> dict[str, Any]:
    """`ChargeRecord`."""
    return {
        "sessionId": record.session_id,
        "startWh": record.start_wh,
        "stopWh": record.stop_wh,
        "startedAt": record.started_at_s,
        "stoppedAt": record.stopped_at_s,
        "idleS": record.idle_s,
        "evidenceHash": record.evidence_hash,
    }


def record_of(words: Mapping[str, Any]) -> ChargeRecord:
    """The record of `ChargeRecord`."""
    return ChargeRecord(
        session_id=SessionId(words["sessionId"]),
        start_wh=words["startWh"],
        stop_wh=words["stopWh"],
        started_at_s=words["startedAt"],
        stopped_at_s=words["stoppedAt"],
        idle_s=words["idleS"],
        evidence_hash=Hash32(words["evidenceHash"]),
    )


def top_up_words(top_up: TopUp) -> dict[str, Any]:
    """`TopUp`."""
    return {"sessionId": top_up.session_id, "addMicro": top_up.add_micro, "nonce": top_up.nonce}


def permit_words(permit: Permit | None) -> Mapping[str, Any]:
    """`Permit`; without one the allowance must suffice."""
    if permit is None:
        return NO_PERMIT
    return {"deadline": permit.deadline_s, "signature": permit.signature}


def session_words(session: ChargeSession) -> dict[str, Any]:
    """`Session`, as the escrow wants it back; only for a session that it opened."""
    if session.opened_s is None:
        raise LookupError(session.session_id.hex())
    return {
        "order": order_words(session.order),
        "host": session.host,
        "recordKey": session.record_key,
        "powerW": session.power_w,
        "openedAt": session.opened_s,
        "depositMicro": session.deposit_micro,
    }
