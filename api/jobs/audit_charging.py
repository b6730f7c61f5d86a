"""The audit of charging: every session again from the chain, then the service's beside it."""

from dataclasses import dataclass

from api.jobs.audit_report import AuditReport, Progress
from api.jobs.audit_sessions import MarketRegisters, SessionsAudit
from api.jobs.escrow_acts import EscrowReading
from api.jobs.evidence import Evidence
from charging.derived_charges import DerivedSession, charger_name
from charging.escrow_audit import EscrowAudit
from ledger.chain.escrow import EscrowReader
from ledger.chain.protocol import Chain
from ledger.chain.settlement_token import TokenReader
from ledger.keccak import domain_separator, keccak256
from ledger.units import Address, Hash32
from metering.meters import MeterBook

WORD = 32
FREE = Hash32(bytes(32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What the market's audit knows already."""

    token: Address
    book: MeterBook


def audit_charging(
    report: AuditReport, chain: Chain, evidence: Evidence, market: Market, *, progress: Progress
) -> None:
    """Lists every discrepancy of every session; nothing where there is no escrow.

    Raises:
        ChainUnavailable: the chain does not answer.
    """
    charging = evidence.charging
    if charging is None:
        return
    escrow, token = charging.escrow, market.token
    if not chain.code(escrow):
        report.note("escrow", f"no contract at 0x{escrow.hex()}")
        return
    to_block = chain.head().number
    reader = EscrowReader(chain, escrow, at_block=to_block)
    report.compare("escrow", "token", reader.token(), token)
    separator = domain_separator(chain.chain_id, escrow)
    derived = EscrowAudit(
        separator=separator, escrow=escrow, note=report.note, remark=report.remark
    )
    reading = EscrowReading(chain, escrow=escrow, token=token, to_block=to_block)
    transactions = reading.transactions()
    told = 0  # Sessions that were opened before the evidence was collected.
    for place, (block_number, tx_hash) in enumerate(transactions):
        for act in reading.acts(block_number, tx_hash):
            derived.apply(act)
        if block_number <= evidence.balances_at_block:
            told = len(derived.sessions)
        progress("charges", place + 1, len(transactions))
    _check_storage(report, derived, reader)
    held_micro = TokenReader(chain, token, at_block=to_block).balance_micro_of(escrow)
    _check_custody(report, held_micro, derived.owes_micro)
    _sum_up(report, derived)
    sessions = SessionsAudit(
        report, chain, separator, charging, MarketRegisters(evidence.readings, market.book)
    )
    sessions.check(derived.sessions, later=frozenset(list(derived.sessions)[told:]))


def _check_storage(report: AuditReport, derived: EscrowAudit, reader: EscrowReader) -> None:
    """Whether the contract remembers what its events say."""
    for charger_id, charger in derived.chargers.items():
        found, where = reader.charger_of(charger_id), charger_name(charger_id)
        report.compare(where, "host", found.host, charger.host)
        report.compare(where, "record key", found.record_key, charger.record_key)
        report.compare(where, "power", found.power_w, charger.power_w)
        report.compare(where, "register", found.last_wh, charger.last_wh)
        report.compare(where, "credit", found.credit_micro, charger.credit_micro)
        session = charger.open_session
        open_hash = FREE if session is None else session_hash(derived.sessions[session])
        report.compare(where, "open session", found.session_hash, open_hash)
    for owed, amount_micro in derived.claimable_micro.items():
        found_micro = reader.claimable_micro_of(owed)
        report.compare(f"claimable of 0x{owed.hex()}", "micro", found_micro, amount_micro)


def session_hash(session: DerivedSession) -> Hash32:
    """What a charger's slot holds while a session is open (`sessionHashOf`)."""
    return keccak256(
        session.session_id
        + session.host.rjust(WORD, b"\0")
        + session.record_key.rjust(WORD, b"\0")
        + session.power_w.to_bytes(WORD)
        + session.opened_s.to_bytes(WORD)
        + session.deposit_micro.to_bytes(WORD)
    )


def _check_custody(report: AuditReport, held_micro: int, owes_micro: int) -> None:
    if held_micro < owes_micro:
        report.note("escrow", f"it holds {held_micro} micro and owes {owes_micro} micro")
    elif held_micro > owes_micro:
        gift_micro = held_micro - owes_micro
        report.remark("escrow", f"somebody gave it {gift_micro} micro, which are nobody's")


def _sum_up(report: AuditReport, derived: EscrowAudit) -> None:
    sums = report.charging
    for session in derived.sessions.values():
        sums.sessions += 1
        sums.energy_wh += session.stop_wh - session.start_wh
        sums.deposits_micro += session.deposit_micro
        sums.paid_micro += session.paid_micro
        sums.refunded_micro += session.refunded_micro
