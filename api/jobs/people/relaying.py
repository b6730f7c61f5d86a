"""What people asked for is brought to the chain: a thread, so that no request waits for a block."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, Self

from api.jobs.community import RELAY, RELAY_GAS_MAX, Community
from api.jobs.opening import database_failures_named
from api.loops import Loop, LoopState, code_of
from ledger.chain.rpc import RpcChain
from ledger.errors import LedgerError
from ledger.keccak import checksum_address
from ledger.outbox import Outcome

PACE_S: Final = 5.0  # Between two looks for what has become due by itself.
BUSY_PACE_S: Final = 1.0  # While something is on its way.
TURNS_MAX: Final = 100  # Of one round: what always finds more to do must not keep us for ever.
GAS_LOOK_S: Final = 60
STOP_WITHIN_S: Final = 3.0
log = logging.getLogger(__name__)


class Errand(Protocol):
    """Something that comes to owe the chain transactions, or follows what became of them."""

    @property
    def name(self) -> str: ...

    def step(self) -> bool:
        """Does what can be done now; whether it did anything."""
        ...


class Relaying:
    """Runs errands and sends what is owed while it is open."""

    def __init__(
        self, community: Community, errands: Sequence[Errand], *, pace_s: float = PACE_S
    ) -> None:
        self._community = community
        self._outbox = community.relay_outbox
        self._errands = errands
        self._pace_s = pace_s
        self._owed = threading.Event()
        self._ending = threading.Event()
        self._trouble: dict[str, str] = {}  # Codes, by what met it.
        self._loop = Loop("relay")
        self._gas_looked_s = -float(GAS_LOOK_S)
        self._thread = threading.Thread(target=self._run, name="relaying", daemon=True)

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._ending.set()
        self._owed.set()
        await asyncio.to_thread(self._thread.join, STOP_WITHIN_S)
        if self._thread.is_alive():  # A node that says nothing, mostly; what is owed is kept.
            log.warning("relay: is cut off at work, and taken up at the next start")

    def wake(self) -> None:
        """Says that something is owed; may be called from any thread."""
        self._owed.set()

    def problems(self) -> list[str]:
        """What holds relays up now, in one line each; empty when all is well."""
        has_begun = self._thread.ident is not None
        if has_begun and not self._thread.is_alive() and not self._ending.is_set():
            return ["relay: has ended; the log says why"]
        return [f"relay: {what}: {code}" for what, code in sorted(self._trouble.items())]

    def state(self) -> LoopState:
        """How this loop is."""
        return self._loop.state()

    # The thread.

    def _run(self) -> None:
        while not self._ending.is_set():
            self._owed.clear()
            is_busy = self.round()
            trouble = [f"{what}: {code}" for what, code in sorted(self._trouble.items())]
            self._loop.passed("; ".join(trouble) or None)
            if not self._ending.is_set():
                self._owed.wait(min(BUSY_PACE_S, self._pace_s) if is_busy else self._pace_s)

    def round(self) -> bool:
        """Does all that can be done now; whether something is still on its way."""
        outcome = Outcome.IDLE
        for _ in range(TURNS_MAX):
            if self._ending.is_set():
                break
            with self._noting("sending"):
                outcome = self._send()
            acted = False
            for errand in self._errands:
                with self._noting(errand.name):
                    acted = errand.step() or acted
            if not acted:
                break
        with self._noting("gas"):
            self._look_for_gas()
        return outcome is not Outcome.IDLE

    def _send(self) -> Outcome:
        outcome = self._outbox.drain()
        if self._outbox.problem is not None:
            raise self._outbox.problem
        return outcome

    def _look_for_gas(self) -> None:
        """Whether the relay's address can pay for gas; on an embedded chain it is free."""
        chain = self._community.chain
        if not isinstance(chain, RpcChain):
            return
        if time.monotonic() - self._gas_looked_s < GAS_LOOK_S:
            return
        self._gas_looked_s = time.monotonic()
        address = self._community.keys.wallet(RELAY).address
        needed_wei = RELAY_GAS_MAX * chain.fees().max_fee_wei
        if chain.balance_wei(address) >= needed_wei:
            self._trouble.pop("its address needs gas", None)
        elif self._trouble.setdefault("its address needs gas", "funds_missing"):
            log.warning("relay: %s needs %d wei for gas", checksum_address(address), needed_wei)

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """Notes what went wrong, and takes it back when all is well again; the loop goes on."""
        try:
            with database_failures_named(self._community.database):
                yield
        except Exception as problem:
            code = code_of(problem)
            if self._trouble.get(what) != code:
                is_known = isinstance(problem, LedgerError)
                log.warning("relay: %s: %s", what, problem, exc_info=not is_known)
            self._trouble[what] = code
        else:
            self._trouble.pop(what, None)
