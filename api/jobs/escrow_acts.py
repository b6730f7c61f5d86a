"""The escrow's events with what they moved, from logs, receipts and calldata of a chain."""

from collections.abc import Iterator, Sequence

from charging.derived_charges import Closing, EscrowAct, Transfer
from ledger.chain import escrow as escrow_calls
from ledger.chain import settlement_token
from ledger.chain.abi import Event
from ledger.chain.errors import BadAbiValue, ChainUnavailable, UnknownAbiName
from ledger.chain.protocol import Chain, Log
from ledger.units import Address, Hash32


class EscrowReading:
    """Reads one escrow's events up to a block."""

    def __init__(self, chain: Chain, *, escrow: Address, token: Address, to_block: int) -> None:
        self._chain = chain
        self._escrow = escrow
        self._token = token
        self._to_block = to_block

    def transactions(self) -> list[tuple[int, Hash32]]:
        """Block and hash of each transaction in which the escrow said something, in order."""
        logs = self._chain.logs([self._escrow], from_block=0, to_block=self._to_block)
        return list(dict.fromkeys((log.block_number, log.tx_hash) for log in logs))

    def acts(self, block_number: int, tx_hash: Hash32) -> Iterator[EscrowAct]:
        """The events of a transaction; transfers and debts belong to the event before them.

        Raises:
            ChainUnavailable: the chain does not show what it said that it has.
        """
        receipt, block = self._chain.receipt(tx_hash), self._chain.block(block_number)
        if receipt is None or block is None:
            raise ChainUnavailable(rule=f"the chain does not show its transaction {tx_hash.hex()}")
        groups: list[tuple[Event, list[Log]]] = []
        for log in sorted(receipt.logs, key=lambda each: each.log_index):
            event = self._escrow_event(log)
            if event is not None and event.name != "Owed":
                groups.append((event, []))
            elif groups:
                groups[-1][1].append(log)
        is_closing = any(event.name == "SessionClosed" for event, _ in groups)
        closings = self._closings(tx_hash) if is_closing else None
        for event, followers in groups:
            yield EscrowAct(
                name=event.name,
                arguments=event.arguments,
                timestamp_s=block.timestamp_s,
                tx_hash=tx_hash,
                transfers=[found for log in followers for found in self._transfers(log)],
                owed=[found for log in followers for found in self._owed(log)],
                closings=closings,
            )

    def _owed(self, log: Log) -> Iterator[tuple[Address, int]]:
        event = self._escrow_event(log)
        if event is not None:
            yield Address(event.arguments["owed"]), event.arguments["amountMicro"]

    def _escrow_event(self, log: Log) -> Event | None:
        return escrow_calls.event_of(log) if log.address == self._escrow else None

    def _transfers(self, log: Log) -> Iterator[Transfer]:
        event = settlement_token.event_of(log) if log.address == self._token else None
        if event is None or event.name != "Transfer":
            return
        sender, to = event.arguments["from"], event.arguments["to"]
        if self._escrow in (sender, to) and sender != to:
            yield Transfer(sender=sender, to=to, amount_micro=event.arguments["value"])

    def _closings(self, tx_hash: Hash32) -> Sequence[Closing] | None:
        """What a call of `close` or `closeMany` states; None if another contract made it."""
        transaction = self._chain.transaction(tx_hash)
        if transaction is None or transaction.to != self._escrow:
            return None
        try:
            name, arguments = escrow_calls.call_of(transaction.data)
        except (UnknownAbiName, BadAbiValue):
            return ()
        if name == "close":
            stated = [arguments["closing"]]
        else:
            stated = arguments["closings"] if name == "closeMany" else []
        return [
            Closing(
                session=each["session"], record_words=each["record"], signature=each["signature"]
            )
            for each in stated
        ]
