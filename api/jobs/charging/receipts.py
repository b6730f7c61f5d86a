"""Receipts: what a charge came to, why, and what is needed to check it (INTERFACES §5)."""

from collections.abc import Mapping
from typing import Any

from api.errors import Erased
from api.jobs.community import Community
from api.jobs.create import record_key_name
from charging.desk import SessionState
from charging.errors import WrongState
from charging.escrow_words import order_words, record_words
from charging.receipt_file import ATTESTATION, FORMAT, attested_digest, typed_json
from charging.sessions import ChargeSession
from charging.store import ChargingStore
from charging.tariffs import vat_micro_down
from ledger.keccak import checksum_address
from ledger.units import AccountId, from_unix_s, to_rfc3339
from metering.flows import flows_of
from metering.meters import MeterClass, MeterTerm
from metering.readings import MeterId
from metering.series import WindowGrid


class Receipts:
    """Makes receipts from sessions that were closed."""

    def __init__(self, community: Community, store: ChargingStore) -> None:
        self._community = community
        self._store = store

    def of(self, session: ChargeSession) -> Mapping[str, object]:
        """The receipt file's JSON.

        Raises:
            WrongState: the session is not closed.
            Erased: its evidence is gone.
        """
        if session.is_erased:
            raise Erased(rule="how this charge went was erased; its record is on the chain")
        record, signature = session.record, session.record_signature
        paid_micro, refunded_micro = session.paid_micro, session.refunded_micro
        if (
            session.state is not SessionState.CLOSED
            or record is None
            or signature is None
            or paid_micro is None
            or refunded_micro is None
        ):
            rule = "there is a receipt once a session was closed"
            name = "0x" + session.session_id.hex()
            raise WrongState(session=name, state=session.state.value, rule=rule)
        community = self._community
        document: dict[str, Any] = {
            "format": FORMAT,
            "chain_id": community.config.chain.chain_id,
            "escrow": checksum_address(community.contracts.escrow),
            "session_id": "0x" + session.session_id.hex(),
            "charge_point_id": session.charge_point_id,
            "connector_id": session.connector_id,
            "order": typed_json(order_words(session.order)),
            "order_signature": "0x" + session.order_signature.hex(),
            "record": typed_json(record_words(record)),
            "record_signature": "0x" + signature.hex(),
            "record_signer": "host",  # The service holds the registered record key.
            "record_key": checksum_address(session.record_key),
            "host": checksum_address(session.host),
            "evidence": _evidence(session),
            "energy_wh": record.energy_wh,
            "time_s": record.time_s,
            "idle_s": record.idle_s,
            "started_at": to_rfc3339(from_unix_s(record.started_at_s)),
            "stopped_at": to_rfc3339(from_unix_s(record.stopped_at_s)),
            "stop_reason": session.stop_reason,
            "deposit_micro": str(session.deposit_micro),
            "paid_micro": str(paid_micro),
            "refunded_micro": str(refunded_micro),
            "sun_wh": self.sun_wh(session),
            "vat_bps": session.vat_bps,
            "vat_micro": str(vat_micro_down(paid_micro, session.vat_bps)),
            "currency": community.config.currency,
            "transactions": {"open": _hex(session.open_tx), "close": _hex(session.close_tx)},
        }
        return {**document, ATTESTATION: self._attestation(session, document)}

    def _attestation(self, session: ChargeSession, document: Mapping[str, Any]) -> str:
        """The record key's signature of everything else."""
        name = record_key_name(session.charge_point_id, session.connector_id)
        key = self._community.keys.wallet(name)
        return "0x" + key.sign_digest(attested_digest(document)).hex()

    def sun_wh(self, session: ChargeSession) -> int | None:
        """The share of neighbours' sun in a charge; None until its periods are final.

        `Σ_w session_wh(w) * bought_wh(w) // import_wh(w)` over the windows of the charge, with the
        rows of the account that the charger's meter belongs to (DESIGN §3).
        """
        record, community = session.record, self._community
        if record is None:
            return None
        schedule = community.schedule
        first_s = schedule.period_start_of(record.started_at_s)
        if first_s < schedule.first_period_start_s:
            return None
        sun_wh = 0
        for start_s in range(first_s, max(record.stopped_at_s, first_s + 1), schedule.period_s):
            rows = self._rows(session, start_s)
            if rows is None:
                return None
            flows = self._energies(session, start_s)
            for session_wh, (import_wh, bought_wh) in zip(flows, rows, strict=True):
                if import_wh:
                    sun_wh += session_wh * bought_wh // import_wh
        return sun_wh

    def _rows(self, session: ChargeSession, start_s: int) -> list[tuple[int, int]] | None:
        """Import and bought Wh of the host's account in each window of a final period."""
        final = [
            run
            for run in self._community.settlements.runs()
            if run.period_start_s == start_s and run.state == "final"
        ]
        account = self._account(session)
        if not final or account is None:
            return None
        last = max(final, key=lambda run: run.run)
        for statement in self._community.settlements.statements(start_s, last.run):
            if statement.account == account and statement.result.rows:
                return [(row.import_wh, row.bought_wh) for row in statement.result.rows]
        return None

    def _energies(self, session: ChargeSession, start_s: int) -> list[int]:
        """The charge's Wh in each window of a period, by its meter's readings."""
        record, account = session.record, self._account(session)
        meter_id = self._meter(session)
        if record is None or account is None or meter_id is None:
            return []
        schedule = self._community.schedule
        grid = WindowGrid(
            start_at=from_unix_s(start_s),
            window_s=schedule.window_s,
            count=schedule.period_s // schedule.window_s,
        )
        term = MeterTerm(
            meter_id=meter_id,
            key=session.record_key,
            account=AccountId(account),
            meter_class=MeterClass.GATEWAY,
            limit_w=session.power_w,
            valid_from=from_unix_s(record.started_at_s),
            valid_until=from_unix_s(max(record.stopped_at_s, record.started_at_s + 1)),
        )
        series = self._community.readings.series(
            [meter_id], from_at=grid.start_at, until_at=grid.end_at
        )
        return [flow.import_wh for flow in flows_of(AccountId(account), [term], series, grid)]

    def _account(self, session: ChargeSession) -> int | None:
        for section in self._community.config.chargers:
            if section.charge_point_id == session.charge_point_id:
                return section.host
        return None

    def _meter(self, session: ChargeSession) -> MeterId | None:
        label = f"{session.charge_point_id}/{session.connector_id}"
        for meter in self._community.readings.meters():
            if meter.label == label:
                return meter.meter_id
        return None


def _evidence(session: ChargeSession) -> dict[str, object] | None:
    evidence = session.evidence
    if evidence is None:
        return None
    return {
        "kind": evidence.kind,
        "hash": "0x" + evidence.hash.hex(),
        "data": evidence.text,
        "verified": evidence.verified,
        "signer": evidence.signer or None,
        "start_from": evidence.start_from,
        "stop_from": evidence.stop_from,
        "notes": list(evidence.notes),
        "not_billed_wh": evidence.left_out_wh,
    }


def _hex(tx_hash: bytes | None) -> str | None:
    return None if tx_hash is None else "0x" + tx_hash.hex()
