"""A data directory with a chain and a database, and an outbox that can die and be opened again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, event
from sqlmodel import SQLModel

from ledger.chain.embedded import CHAIN_ID, EmbeddedChain
from ledger.chain.wallet import Wallet
from ledger.outbox import Outbox
from ledger.outbox_states import Entry, Intent, Policy, State
from ledger.outbox_store import OutboxStore
from ledger.store import open_engine
from ledger.units import Address
from tests.chain.tally import GAS, TALLY_CODE, Fault, FlakyChain, Killed, word

GENESIS_AT = datetime(2016, 6, 1, tzinfo=UTC)
WALLET = Wallet(b"\x01" * 32)
OTHER_WALLET = Wallet(b"\x02" * 32)


class World:
    """Everything that a service holds open; `die` drops all that is not on the disk."""

    def __init__(self, directory: Path, *, policy: Policy | None = None) -> None:
        self.directory = directory
        self.policy = policy or Policy()
        self.now_at = GENESIS_AT
        self.faults: list[Fault] = []
        engine = self._engine()
        SQLModel.metadata.create_all(engine)
        engine.dispose()
        self.open()
        deploy = Intent(
            key="deploy", sender=WALLET.address, to=None, data=TALLY_CODE, created_at=self.now_at
        )
        inclusion = self.outbox.execute(deploy).inclusion
        assert inclusion is not None
        assert inclusion.contract_address is not None
        self.contract: Address = inclusion.contract_address

    def _engine(self) -> Engine:
        return open_engine(f"sqlite:///{self.directory / 'ledger.sqlite'}")

    def open(self, genesis_at: datetime = GENESIS_AT) -> None:
        self.chain = EmbeddedChain.open(self.directory, genesis_at=genesis_at)
        self.engine = self._engine()
        self.commits_left: int | None = None
        event.listen(self.engine, "commit", self._on_commit)
        self.store = OutboxStore(self.engine, chain_id=CHAIN_ID)
        self.flaky = FlakyChain(self.chain, faults=self._faults())
        self.outbox = Outbox(
            self.flaky,
            [WALLET, OTHER_WALLET],
            self.store,
            now=lambda: self.now_at,
            policy=self.policy,
            set_time=self.chain.set_next_timestamp,
            pause=lambda seconds: self.pass_time(int(seconds)),
        )

    def _faults(self) -> Iterator[Fault]:
        while True:
            yield self.faults.pop(0) if self.faults else Fault.NONE

    def _on_commit(self, _connection: Connection) -> None:
        if self.commits_left is not None:
            self.commits_left -= 1
            if self.commits_left < 0:
                raise Killed

    def close(self) -> None:
        self.faults.clear()
        self.chain.close()
        self.engine.dispose()

    def die(self) -> None:
        self.close()
        self.open()

    def pass_time(self, seconds: int) -> None:
        self.now_at += timedelta(seconds=seconds)

    def intent(self, number: int, *, sender: Wallet = WALLET, **facts: object) -> Intent:
        """Adds one to a word's tally; word 0 reverts."""
        values: dict[str, object] = {
            "key": f"tally:{number}",
            "sender": sender.address,
            "to": self.contract,
            "data": word(number),
            "gas": GAS,
            "created_at": self.now_at,
        }
        return Intent(**(values | facts))  # type: ignore[arg-type]

    def state(self, number: int) -> State:
        return self.entry(number).state

    def entry(self, number: int) -> Entry:
        return self.outbox.status(f"tally:{number}")
