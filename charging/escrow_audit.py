"""Every session again, from the escrow's events, calldata and transfers alone.

What the contract must have done is derived here anew, event by event; whatever is not so is noted.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from charging.derived_charges import (
    Closing,
    DerivedCharger,
    DerivedSession,
    EscrowAct,
    Moves,
    charger_name,
    session_name,
)
from charging.desk import SessionState
from charging.escrow_words import order_of
from charging.orders import ChargerId, SessionId
from charging.record_checks import problems_of_record
from charging.sessions import CLOSE_WITHIN_S, SESSION_S_MAX
from ledger.errors import LedgerError
from ledger.units import Address, Hash32

CREDIT_MICRO_MAX: Final = 2**56 - 1  # What a charger's credit can hold.
CLOSABLE_S: Final = SESSION_S_MAX + CLOSE_WITHIN_S
Note = Callable[[str, str], None]  # Where, and what.


class EscrowAudit:
    """Folds the escrow's events; what they should have been is derived from those before."""

    def __init__(self, *, separator: bytes, escrow: Address, note: Note, remark: Note) -> None:
        """`remark` is told what is worth knowing and not wrong."""
        self._separator = separator
        self._escrow = escrow
        self._note = note
        self._remark = remark
        self.chargers: dict[ChargerId, DerivedCharger] = {}
        self.sessions: dict[SessionId, DerivedSession] = {}
        self.claimable_micro: dict[Address, int] = {}
        self._nonces: set[tuple[Address, int]] = set()
        self._folds: Mapping[str, Callable[[EscrowAct, Moves], None]] = {
            "ChargerRegistered": self._registered,
            "RegisterReset": self._register_reset,
            "HostPaid": self._host_paid,
            "Claimed": self._claimed,
            "NonceVoided": self._nonce_voided,
            "SessionOpened": self._opened,
            "ToppedUp": self._topped_up,
            "SessionClosed": self._ended,
            "SessionCancelled": self._ended,
            "SessionReclaimed": self._ended,
        }

    @property
    def owes_micro(self) -> int:
        """Open deposits, hosts' credits, and what waits to be claimed."""
        deposits = (each.deposit_micro for each in self.sessions.values() if each.end is None)
        credits_micro = sum(each.credit_micro for each in self.chargers.values())
        return sum(deposits) + credits_micro + sum(self.claimable_micro.values())

    def apply(self, act: EscrowAct) -> None:
        """One more event, in the chain's order."""
        moves = Moves(act, self._escrow)
        for owed, amount_micro in act.owed:
            self.claimable_micro[owed] = self.claimable_micro.get(owed, 0) + amount_micro
        if (fold := self._folds.get(act.name)) is not None:
            fold(act, moves)
        for text in moves.unexplained():
            self._note(f"{act.name} in 0x{act.tx_hash.hex()}", text)

    # Chargers.

    def _registered(self, act: EscrowAct, moves: Moves) -> None:
        arguments = act.arguments
        charger_id = ChargerId(arguments["chargerId"])
        charger = self.chargers.setdefault(charger_id, DerivedCharger())
        if charger.credit_micro and charger.host != arguments["host"]:
            if not moves.is_owed(charger.host, charger.credit_micro):
                self._note(
                    charger_name(charger_id), f"its host's {charger.credit_micro} micro are lost"
                )
            charger.credit_micro = 0
        charger.host = Address(arguments["host"])
        charger.record_key = Address(arguments["recordKey"])
        charger.power_w = arguments["powerW"]

    def _register_reset(self, act: EscrowAct, _moves: Moves) -> None:
        charger_id = ChargerId(act.arguments["chargerId"])
        charger = self.chargers.setdefault(charger_id, DerivedCharger())
        self._compare(
            charger_name(charger_id),
            "register",
            act.arguments["fromWh"],
            charger.last_wh,
            unit="Wh",
        )
        if charger.open_session is not None:
            self._note(charger_name(charger_id), "its register was reset during a session")
        charger.last_wh = act.arguments["toWh"]

    def _host_paid(self, act: EscrowAct, moves: Moves) -> None:
        arguments = act.arguments
        charger_id = ChargerId(arguments["chargerId"])
        charger = self.chargers.setdefault(charger_id, DerivedCharger())
        where, amount_micro = charger_name(charger_id), arguments["amountMicro"]
        self._compare(where, "credit that was paid out", amount_micro, charger.credit_micro)
        self._compare(where, "host", arguments["host"], charger.host)
        if not moves.left(charger.host, amount_micro):
            self._note(where, f"{amount_micro} micro did not reach its host")
        charger.credit_micro = 0

    def _claimed(self, act: EscrowAct, moves: Moves) -> None:
        owed, amount_micro = Address(act.arguments["owed"]), act.arguments["amountMicro"]
        where = f"claim of 0x{owed.hex()}"
        self._compare(where, "amount", amount_micro, self.claimable_micro.get(owed, 0))
        if not moves.left(Address(act.arguments["to"]), amount_micro):
            self._note(where, f"{amount_micro} micro were not paid")
        self.claimable_micro[owed] = 0

    def _nonce_voided(self, act: EscrowAct, _moves: Moves) -> None:
        self._use_nonce("nonce voided", Address(act.arguments["driver"]), act.arguments["nonce"])

    # Sessions.

    def _opened(self, act: EscrowAct, moves: Moves) -> None:
        arguments = act.arguments
        session_id, charger_id = (
            SessionId(arguments["sessionId"]),
            ChargerId(arguments["chargerId"]),
        )
        where = session_name(session_id)
        try:
            order = order_of(arguments)
        except LedgerError as error:
            self._note(where, f"its order cannot be read: {error}")
            moves.came(arguments["driver"], arguments["depositMicro"])
            return
        charger = self.chargers.setdefault(charger_id, DerivedCharger())
        self._compare(where, "digest of its order", session_id, order.session_id(self._separator))
        self._compare(where, "host", arguments["host"], charger.host)
        self._compare(where, "record key", arguments["recordKey"], charger.record_key)
        self._compare(where, "power", arguments["powerW"], charger.power_w, unit="W")
        if session_id in self.sessions:
            self._note(where, "was opened twice")
        if charger.open_session is not None:
            self._note(where, f"{charger_name(charger_id)} had an open session")
        if act.timestamp_s > order.valid_until_s:
            self._note(where, "was opened after its order had ended")
        self._use_nonce(where, order.driver, order.nonce)
        if not moves.came(order.driver, order.deposit_micro):
            self._note(where, f"its deposit of {order.deposit_micro} micro did not come")
        charger.open_session = session_id
        self.sessions[session_id] = DerivedSession(
            session_id=session_id,
            order=order,
            host=Address(arguments["host"]),
            record_key=Address(arguments["recordKey"]),
            power_w=arguments["powerW"],
            last_wh=charger.last_wh,
            opened_s=act.timestamp_s,
            deposits_micro=[order.deposit_micro],
            open_tx=act.tx_hash,
        )

    def _topped_up(self, act: EscrowAct, moves: Moves) -> None:
        session = self._open_one(act)
        if session is None:
            return
        add_micro, nonce = act.arguments["addMicro"], act.arguments["nonce"]
        stated_micro, sum_micro = act.arguments["depositMicro"], session.deposit_micro + add_micro
        self._compare(session.name, "deposit after a top-up", stated_micro, sum_micro)
        self._use_nonce(session.name, session.order.driver, nonce)
        if act.timestamp_s > session.opened_s + SESSION_S_MAX:
            self._note(session.name, "was topped up after its day")
        if not moves.came(session.order.driver, add_micro):
            self._note(session.name, f"its top-up of {add_micro} micro did not come")
        session.deposits_micro.append(sum_micro)
        session.top_ups[nonce] = add_micro

    def _ended(self, act: EscrowAct, moves: Moves) -> None:
        session = self._open_one(act)
        if session is None:
            return
        charger = self.chargers[session.order.charger_id]
        self._compare(session.name, "charger", act.arguments["chargerId"], session.order.charger_id)
        session.close_tx, session.closed_s = act.tx_hash, act.timestamp_s
        session.refunded_micro = act.arguments["refundedMicro"]
        closable_until_s = session.opened_s + CLOSABLE_S
        if act.name == "SessionClosed":
            if act.timestamp_s > closable_until_s:
                self._note(session.name, "was closed too late")
            self._closed(act, session, charger, moves)
        else:
            is_cancelled = act.name == "SessionCancelled"
            session.end = SessionState.CANCELLED if is_cancelled else SessionState.RECLAIMED
            if not is_cancelled and act.timestamp_s <= closable_until_s:
                self._note(session.name, "was reclaimed too early")
        whole_micro = session.paid_micro + session.refunded_micro
        self._compare(session.name, "paid and refunded", whole_micro, session.deposit_micro)
        self._require_refund(session, moves)
        charger.open_session = None

    def _closed(
        self, act: EscrowAct, session: DerivedSession, charger: DerivedCharger, moves: Moves
    ) -> None:
        arguments = act.arguments
        session.end = SessionState.CLOSED
        session.paid_micro = arguments["paidMicro"]
        session.start_wh, session.stop_wh = arguments["startWh"], arguments["stopWh"]
        session.evidence_hash = Hash32(arguments["evidenceHash"])
        if act.closings is None:
            self._remark(session.name, "another contract closed it: its record is not in calldata")
        else:
            self._take_record(act.closings, session)
        if session.start_wh < charger.last_wh:
            self._note(session.name, f"starts below its charger's register, {charger.last_wh} Wh")
        is_credited = (
            charger.host == session.host
            and charger.credit_micro + session.paid_micro <= CREDIT_MICRO_MAX
        )
        if is_credited:
            charger.credit_micro += session.paid_micro
        elif session.paid_micro and not moves.is_owed(session.host, session.paid_micro):
            self._note(session.name, f"its host was not credited with {session.paid_micro} micro")
        charger.last_wh = session.stop_wh

    def _take_record(self, closings: Sequence[Closing], session: DerivedSession) -> None:
        closing = next((each for each in closings if each.session == session.words), None)
        if closing is None:
            self._note(session.name, "its closing transaction does not state it")
            return
        try:
            session.record = closing.record()
        except LedgerError as error:
            self._note(session.name, f"its record is none: {error}")
            return
        session.record_signature = closing.signature
        problems = problems_of_record(session, session.record, closing.signature, self._separator)
        for text in problems:
            self._note(session.name, text)

    def _require_refund(self, session: DerivedSession, moves: Moves) -> None:
        """In the same transaction: pushed, or owed because it could not be."""
        driver, refunded_micro = session.order.driver, session.refunded_micro
        if not refunded_micro or moves.left(driver, refunded_micro):
            return
        if not moves.is_owed(driver, refunded_micro):
            self._note(session.name, f"its refund of {refunded_micro} micro did not leave")

    def _open_one(self, act: EscrowAct) -> DerivedSession | None:
        session_id = SessionId(act.arguments["sessionId"])
        session = self.sessions.get(session_id)
        if session is None or session.end is not None:
            self._note(session_name(session_id), f"{act.name}, and it was not open")
            return None
        return session

    def _use_nonce(self, where: str, driver: Address, nonce: int) -> None:
        if (driver, nonce) in self._nonces:
            self._note(where, f"nonce {nonce} of 0x{driver.hex()} was used before")
        self._nonces.add((driver, nonce))

    def _compare(
        self, where: str, what: str, stated: object, derived: object, *, unit: str = ""
    ) -> None:
        if stated != derived:
            self._note(
                where, f"{what}: stated {_show(stated, unit)}, derived {_show(derived, unit)}"
            )


def _show(value: object, unit: str) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return f"{value} {unit}".rstrip()
