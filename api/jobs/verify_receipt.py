"""Checks a receipt file by itself, and against the two transactions that it names."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from api.jobs.verify import Verdict
from charging.escrow_words import record_of
from charging.orders import ChargeRecord
from charging.receipt_checks import (
    Closed,
    Opened,
    SessionFacts,
    check_alone,
    check_with_chain,
    session_id_of,
)
from charging.receipt_file import Receipt as ReceiptFile
from ledger.chain import escrow, settlement_token
from ledger.chain.abi import Event
from ledger.chain.errors import BadAbiValue, ContractReverted, UnknownAbiName
from ledger.chain.protocol import Chain, Log, Receipt, Transaction
from ledger.checks import Check
from ledger.units import Address, Hash32

_ENDS = frozenset({"SessionClosed", "CloseSkipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mined:
    """A transaction that is in a block, and what it did."""

    transaction: Transaction
    receipt: Receipt


class EscrowFacts:
    """What a chain says of one escrow's sessions."""

    def __init__(self, chain: Chain, address: Address) -> None:
        self._chain = chain
        self.address = address

    @cached_property
    def problem(self) -> str | None:
        """Why there is no escrow here; None if there is one."""
        if not self._chain.code(self.address):
            return "no contract at this address"
        try:
            _ = self.token
        except (ContractReverted, BadAbiValue) as error:
            return f"not a ChargingEscrow: {error}"
        return None

    @cached_property
    def token(self) -> Address:
        """The settlement token."""
        return escrow.EscrowReader(self._chain, self.address).token()

    def of(self, receipt: ReceiptFile) -> SessionFacts:
        """The facts that one receipt is compared with."""
        return SessionFacts(
            chain_id=self._chain.chain_id,
            escrow=self.address,
            driver_is_contract=bool(self._chain.code(receipt.order.driver)),
            opened=self._opened(receipt),
            closed=self._closed(receipt),
        )

    def _opened(self, receipt: ReceiptFile) -> Opened | str:
        mined = self._mined(receipt.open_tx)
        if isinstance(mined, str):
            return mined
        session_id = session_id_of(receipt)
        for event in self._events(mined.receipt.logs):
            if event.name == "SessionOpened" and event.arguments["sessionId"] == session_id:
                return Opened(
                    host=Address(event.arguments["host"]),
                    record_key=Address(event.arguments["recordKey"]),
                    signature=self._order_signature(mined.transaction),
                )
        return "this session was not opened in it"

    def _closed(self, receipt: ReceiptFile) -> Closed | str:
        mined = self._mined(receipt.close_tx)
        if isinstance(mined, str):
            return mined
        session_id = session_id_of(receipt)
        logs = mined.receipt.logs
        for place, log in enumerate(logs):
            event = self._event(log)
            if event is None or event.name != "SessionClosed":
                continue
            if event.arguments["sessionId"] == session_id:
                record, signature = self._record(mined.transaction, session_id)
                pushed, owed = self._refunds(logs[place + 1 :], receipt.order.driver)
                return Closed(
                    start_wh=event.arguments["startWh"],
                    stop_wh=event.arguments["stopWh"],
                    paid_micro=event.arguments["paidMicro"],
                    refunded_micro=event.arguments["refundedMicro"],
                    evidence_hash=Hash32(event.arguments["evidenceHash"]),
                    record=record,
                    record_signature=signature,
                    pushed_micro=tuple(pushed),
                    owed_micro=tuple(owed),
                )
        return "this session was not closed in it"

    def _mined(self, tx_hash: Hash32) -> _Mined | str:
        receipt, transaction = self._chain.receipt(tx_hash), self._chain.transaction(tx_hash)
        if receipt is None or transaction is None:
            return "the chain has no such transaction"
        if not receipt.succeeded:
            return "this transaction failed"
        return _Mined(transaction=transaction, receipt=receipt)

    def _event(self, log: Log) -> Event | None:
        return escrow.event_of(log) if log.address == self.address else None

    def _events(self, logs: tuple[Log, ...]) -> Iterator[Event]:
        for log in logs:
            event = self._event(log)
            if event is not None:
                yield event

    def _call(self, transaction: Transaction) -> tuple[str, dict[str, Any]]:
        """The escrow's function that a transaction calls; an empty name if it calls another."""
        if transaction.to != self.address:
            return "", {}
        try:
            return escrow.call_of(transaction.data)
        except (UnknownAbiName, BadAbiValue):
            return "", {}

    def _order_signature(self, transaction: Transaction) -> bytes | None:
        name, arguments = self._call(transaction)
        return bytes(arguments["signature"]) if name == "open" else None

    def _record(
        self, transaction: Transaction, session_id: bytes
    ) -> tuple[ChargeRecord | None, bytes | None]:
        name, arguments = self._call(transaction)
        closings = {"close": [arguments.get("closing")], "closeMany": arguments.get("closings")}
        for closing in closings.get(name) or []:
            if closing is not None and closing["record"]["sessionId"] == session_id:
                return record_of(closing["record"]), bytes(closing["signature"])
        return None, None

    def _refunds(self, logs: tuple[Log, ...], driver: Address) -> tuple[list[int], list[int]]:
        """What went to the driver, and what waits, until the next session of a batch."""
        pushed, owed = [], []
        for log in logs:
            event = self._event(log)
            if event is not None and event.name in _ENDS:
                break
            if event is not None and event.name == "Owed" and event.arguments["owed"] == driver:
                owed.append(event.arguments["amountMicro"])
            moved = settlement_token.event_of(log) if log.address == self.token else None
            if moved is not None and moved.name == "Transfer":
                parties = (moved.arguments["from"], moved.arguments["to"])
                if parties == (self.address, driver):
                    pushed.append(moved.arguments["value"])
        return pushed, owed


def verify_receipt(receipt: ReceiptFile, facts: EscrowFacts | None) -> Verdict:
    """Runs all checks; those with the chain only if there is one."""
    if facts is None:
        return Verdict(checks=tuple(check_alone(receipt)), compared_with_chain=False)
    if facts.problem is not None:
        missing = Check(name="escrow", passed=False, detail=f"escrow: {facts.problem}")
        return Verdict(checks=(*check_alone(receipt), missing), compared_with_chain=True)
    found = facts.of(receipt)
    alone = check_alone(receipt, driver_is_contract=found.driver_is_contract)
    checks = (*alone, *check_with_chain(receipt, found))
    return Verdict(checks=checks, compared_with_chain=True)
