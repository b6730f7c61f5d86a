"""Whether what the service says of each session is what the chain and the charger said."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from api.jobs.audit_report import AuditReport
from api.jobs.charging_evidence import ChargingEvidence, KnownCharger
from api.jobs.evidence import KnownReading
from charging.derived_charges import DerivedSession, charger_name, session_name
from charging.desk import SessionState
from charging.evidence_audit import (
    problems_of_evidence,
    problems_of_messages,
    problems_of_replays,
    problems_of_settling,
)
from charging.kept_store import KeptSession
from charging.orders import ChargeRecord, SessionId
from charging.record_checks import problem_of_signature, problems_of_record
from charging.sessions import LIVE, ChargeSession
from ledger.chain.protocol import Chain
from ledger.errors import LedgerError
from ledger.keccak import recover
from ledger.units import Address, from_unix_s, to_unix_s
from metering.intake import StoredVersion, judge_meter
from metering.meters import MeterBook
from metering.readings import MeterId, Reading

NOT_ON_CHAIN = frozenset({SessionState.OPENING, SessionState.FAILED})


class MarketRegisters:
    """Registers that the market has, all versions."""

    def __init__(self, readings: Iterable[KnownReading], book: MeterBook) -> None:
        self._book = book
        self._series: dict[MeterId, list[StoredVersion]] = defaultdict(list)
        for version, each in enumerate(sorted(readings, key=lambda known: known.accepted_at_s)):
            reading, taken_s = each.signed.reading, to_unix_s(each.signed.reading.taken_at)
            self._series[reading.meter_id].append(
                StoredVersion(
                    taken_s=taken_s,
                    version=version,
                    import_wh=reading.import_wh,
                    export_wh=reading.export_wh,
                )
            )
        for series in self._series.values():
            series.sort(key=lambda stored: (stored.taken_s, stored.version))

    def lack(self, meter_id: MeterId, taken_s: int, register_wh: int) -> bool:
        """Whether a register is not there, that the market would have taken."""
        series, taken_at = self._series[meter_id], from_unix_s(taken_s)
        if any((each.taken_s, each.import_wh) == (taken_s, register_wh) for each in series):
            return False
        terms = self._book.terms_of_meter(meter_id)
        if not terms or not any(term.accepts(taken_at) for term in terms):
            return not terms
        reading = Reading(meter_id=meter_id, taken_at=taken_at, import_wh=register_wh, export_wh=0)
        return not judge_meter({0: reading}, series, terms).rejected


class SessionsAudit:
    """Compares the service's sessions with those that were derived."""

    def __init__(
        self,
        report: AuditReport,
        chain: Chain,
        separator: bytes,
        charging: ChargingEvidence,
        registers: MarketRegisters,
    ) -> None:
        self._report = report
        self._chain = chain
        self._separator = separator
        self._charging = charging
        self._registers = registers

    def check(
        self, derived: Mapping[SessionId, DerivedSession], *, later: Collection[SessionId]
    ) -> None:
        """Every session of the service, and every one of its chargers on the chain.

        Args:
            later: those that were opened after the evidence was collected.
        """
        for where, problem in self._charging.unreadable:
            self._report.note(where, f"its row cannot be read: {problem}")
        kept = {each.session.session_id: each for each in self._charging.sessions}
        for session_id, found in kept.items():
            self._check_order(found)
            for text in problems_of_messages(found):
                self._report.note(session_name(session_id), text)
            on_chain = derived.get(session_id)
            if on_chain is not None:
                self._check_session(found, on_chain)
            elif found.session.state not in NOT_ON_CHAIN:
                state = found.session.state.value
                self._report.note(session_name(session_id), f"is {state}, and not on the chain")
        for session_id, text in problems_of_replays(each.session for each in kept.values()):
            self._report.note(session_name(session_id), text)
        for session_id, session in derived.items():
            if session_id not in kept:
                self._missing(session, is_later=session_id in later)

    def _missing(self, session: DerivedSession, *, is_later: bool) -> None:
        charger_id = session.order.charger_id
        if is_later:
            self._report.remark(session.name, "was opened after the evidence was collected")
        elif charger_id in self._charging.chargers:
            self._report.note(session.name, "is on the chain, and not among the service's sessions")
        else:
            detail = f"is of {charger_name(charger_id)}, which this service does not run"
            self._report.remark(session.name, detail)

    def _check_order(self, kept: KeptSession) -> None:
        """The order and the charger that it names."""
        report, session = self._report, kept.session
        where, order = session_name(session.session_id), session.order
        report.compare(
            where,
            "digest of the stored order",
            order.session_id(self._separator),
            session.session_id,
        )
        self._check_driver(where, order.driver, session.session_id, session.order_signature)
        charger = self._charging.chargers.get(order.charger_id)
        if charger is None:
            report.note(where, f"{charger_name(order.charger_id)} is not a charger of the service")
            return
        place = (session.charge_point_id, session.connector_id)
        report.compare(where, "place", place, (charger.charge_point_id, charger.connector_id))
        report.compare(where, "VAT", session.vat_bps, charger.vat_bps)

    def _check_driver(self, where: str, driver: Address, digest: bytes, signature: bytes) -> None:
        """Whether the driver signed; a contract wallet was asked by the escrow."""
        try:
            if recover(digest, signature) == driver:
                return
        except LedgerError:
            pass
        if not self._chain.code(driver):
            self._report.note(where, f"is not signed by its driver, 0x{driver.hex()}")

    def _check_session(self, kept: KeptSession, derived: DerivedSession) -> None:
        session = kept.session
        if not self._check_state(session, derived):
            return
        self._check_opening(session, derived)
        self._check_top_ups(kept, derived)
        if derived.end is SessionState.CLOSED:
            self._check_closing(session, derived)
        if session.record is not None:
            self._check_evidence(kept, derived)
        elif session.record_signature is not None or session.evidence is not None:
            self._report.note(derived.name, "has evidence or a signature, and no record")
        if session.state is SessionState.CLOSED:
            self._check_readings(session, self._charging.chargers.get(session.order.charger_id))

    def _check_state(self, session: ChargeSession, derived: DerivedSession) -> bool:
        """Whether there is anything to compare: the service may be a step behind the chain."""
        where, state = derived.name, session.state
        has_ended = (session.paid_micro, session.refunded_micro, session.close_tx) != (None,) * 3
        expected = derived.end or SessionState.OPEN
        if state in NOT_ON_CHAIN and session.opened_s is None and not has_ended:
            self._report.remark(where, "the service has not followed its opening yet")
            return False
        if state in LIVE - NOT_ON_CHAIN and not has_ended:
            if derived.end is not None:
                self._report.remark(where, f"the service has not followed its end, {expected}")
            return True
        self._report.compare(where, "stored state", state, expected)
        return True

    def _check_opening(self, session: ChargeSession, derived: DerivedSession) -> None:
        stored: list[tuple[str, object, object]] = [
            ("opening", session.opened_s, derived.opened_s),
            ("opening's transaction", session.open_tx, derived.open_tx),
            ("host", session.host, derived.host),
            ("record key", session.record_key, derived.record_key),
            ("power", session.power_w, derived.power_w),
            ("register before", session.last_wh, derived.last_wh),
        ]
        is_live = session.state in LIVE
        if not (is_live and session.deposit_micro in derived.deposits_micro):
            stored.append(("deposit", session.deposit_micro, derived.deposit_micro))
        if not is_live:
            stored += [
                ("payment", session.paid_micro, derived.paid_micro),
                ("refund", session.refunded_micro, derived.refunded_micro),
                ("end's transaction", session.close_tx, derived.close_tx),
            ]
        for what, stated, found in stored:
            self._report.compare(derived.name, f"stored {what}", stated, found)

    def _check_top_ups(self, kept: KeptSession, derived: DerivedSession) -> None:
        for each in kept.top_ups:
            top_up = each.top_up
            where = f"{derived.name} top-up {top_up.nonce}"
            digest = top_up.digest(self._separator)
            self._check_driver(where, derived.order.driver, digest, each.signature)
            if top_up.nonce in derived.top_ups:
                taken_micro = derived.top_ups[top_up.nonce]
                self._report.compare(where, "amount", top_up.add_micro, taken_micro)
            else:
                self._report.remark(where, "is kept, and did not reach the chain")
        for nonce in derived.top_ups.keys() - {each.top_up.nonce for each in kept.top_ups}:
            where = f"{derived.name} top-up {nonce}"
            self._report.remark(where, "was brought to the chain by somebody else")

    def _check_closing(self, session: ChargeSession, derived: DerivedSession) -> None:
        """The stored record against that of the calldata, or in its place."""
        where, record, signature = derived.name, session.record, session.record_signature
        if derived.record is not None:
            self._report.compare(where, "stored record", record, derived.record)
            self._report.compare(
                where, "stored record's signature", signature, derived.record_signature
            )
        elif record is None or signature is None:
            self._report.note(where, "was closed, and its record is neither here nor in calldata")
        else:
            for text in problems_of_record(derived, record, signature, self._separator):
                self._report.note(where, text)

    def _check_evidence(self, kept: KeptSession, derived: DerivedSession) -> None:
        record, signature = kept.session.record, kept.session.record_signature
        charger = self._charging.chargers.get(kept.session.order.charger_id)
        if record is None or charger is None:
            return
        if kept.session.is_erased:
            self._check_erased(kept, derived, record)
            return
        problem = problem_of_signature(derived, record, signature or b"", self._separator)
        for text in (
            *filter(None, [problem]),
            *problems_of_evidence(record, kept.session.evidence, charger.public_key),
            *problems_of_settling(kept, derived, charger.public_key),
        ):
            self._report.note(derived.name, text)

    def _check_erased(
        self, kept: KeptSession, derived: DerivedSession, record: ChargeRecord
    ) -> None:
        """Of a charge whose evidence is gone its record is what the driver was billed by."""
        signature = kept.session.record_signature or b""
        if problem := problem_of_signature(derived, record, signature, self._separator):
            self._report.note(derived.name, problem)
        detail = "how it went was erased on request or by age: its record was not made again"
        self._report.remark(derived.name, detail)

    def _check_readings(self, session: ChargeSession, charger: KnownCharger | None) -> None:
        """Whether the market has the registers of start and stop."""
        record = session.record
        if record is None or charger is None or charger.meter_id is None:
            return
        if session.is_erased:  # The market's readings of that time may be gone as well.
            return
        where = session_name(session.session_id)
        if not session.metered:
            self._report.remark(where, "its registers were not brought to the market yet")
            return
        for what, taken_s, register_wh in (
            ("start", record.started_at_s, record.start_wh),
            ("stop", record.stopped_at_s, record.stop_wh),
        ):
            if self._registers.lack(charger.meter_id, taken_s, register_wh):
                detail = f"the market has no reading of its {what}, {register_wh} Wh"
                self._report.note(where, detail)
