"""Whatever a registrar does, what was true of an instant that has passed stays true."""

from itertools import count
from pathlib import Path
from shutil import copytree, rmtree
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from api.jobs.meter_book import CLASSES, book_of_logs
from ledger.chain import (
    evm,  # noqa: F401 (sets the recursion limit: before hypothesis looks)
    registry,
)
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.registry import MeterClass, RegistryReader, RegistryTerm
from ledger.chain.wallet import Wallet
from ledger.units import Address, from_unix_s, to_unix_s
from metering.meters import MeterBook
from metering.readings import MeterId
from tests.market.on_chain import CONFIG, FIRST_S, GRID, OWNER, STRANGER, MarketOnChain

OPEN_S = 2**64 - 1
METERS = [MeterId(bytes([n]) * 32) for n in (1, 2, 255)]
NO_METER = MeterId(bytes(32))
KEYS = [Address(bytes([n]) * 20) for n in (1, 2, 0)]

Fact = tuple[Address, int, int, int]  # Key, account, class, limit.

METER = st.sampled_from([*METERS, *METERS, NO_METER])
KEY = st.sampled_from([*KEYS[:2], *KEYS])
ACCOUNT = st.sampled_from([2, 3, 2**32 - 1, 2, 3, 1, 0])
LIMIT_W = st.sampled_from([1, 10**9, 10_000, 10_000, 0, 10**9 + 1])
# From now, from the begin of the last term, from its end; or an instant by itself.
SHIFT_S = st.tuples(
    st.sampled_from(["now", "now", "begin", "end"]), st.sampled_from([-1, 0, 0, 1, 900, 10**6])
) | st.tuples(st.just("epoch"), st.sampled_from([0, FIRST_S, 10**13, OPEN_S - 1, OPEN_S]))
BY = st.sampled_from([None, None, None, None, OWNER, STRANGER, GRID])


class RegistryMachine(RuleBasedStateMachine):
    """Terms that begin and end in any order, and readers who remember what they were told."""

    numbers = count()
    directory: ClassVar[Path]
    address: ClassVar[Address]

    @initialize()
    def start(self) -> None:
        self.copied_to = self.directory / f"example-{next(self.numbers)}"
        copytree(self.directory / "template", self.copied_to)
        chain = EmbeddedChain.open(self.copied_to)
        self.chain = MarketOnChain(chain, self.address, CONFIG)
        self.registrar, self.announced = GRID, STRANGER
        self.is_announced = False
        self.terms: dict[MeterId, list[RegistryTerm]] = {}
        self.facts: dict[tuple[MeterId, int], Fact | None] = {}

    def teardown(self) -> None:
        if hasattr(self, "chain"):
            self.chain.chain.close()
            rmtree(self.copied_to)

    def act(self, by: Wallet, data: bytes, broken: list[str]) -> bool:
        """One call; the registry takes it if it breaks nothing, and else says one of these."""
        if not broken:
            self.chain.send(by, data)
            return True
        refusal = self.chain.refusal(by, data)
        assert refusal is not None, broken
        assert refusal.removeprefix("MeterRegistry_") in broken
        return False

    def last(self, meter: MeterId) -> RegistryTerm | None:
        return self.terms.get(meter, [None])[-1]

    def instant_s(self, meter: MeterId, shift: tuple[str, int]) -> int:
        last, now_s = self.last(meter), self.chain.now_s
        begin_s = last.valid_from_s if last else now_s
        end_s = last.valid_until_s if last and last.valid_until_s < OPEN_S else now_s
        origin_s = {"now": now_s, "begin": begin_s, "end": end_s, "epoch": 0}[shift[0]]
        return max(0, min(OPEN_S, origin_s + shift[1]))

    def rewrites(self, at_s: int, earliest_s: int) -> bool:
        return at_s < max(earliest_s, self.chain.now_s) or at_s == OPEN_S

    @rule(
        by=BY,
        meter=METER,
        key=KEY,
        account=ACCOUNT,
        kind=st.sampled_from(MeterClass),
        limit_w=LIMIT_W,
        shift=SHIFT_S,
    )
    def begin(
        self,
        *,
        by: Wallet | None,
        meter: MeterId,
        key: Address,
        account: int,
        kind: MeterClass,
        limit_w: int,
        shift: tuple[str, int],
    ) -> None:
        who, last, from_s = by or self.registrar, self.last(meter), self.instant_s(meter, shift)
        is_open = last is not None and last.valid_until_s == OPEN_S
        earliest_s = (last.valid_from_s if is_open else last.valid_until_s) if last else 0
        broken = _names(
            NotRegistrar=who != self.registrar,
            ZeroMeter=meter == NO_METER,
            ZeroKey=not any(key),
            ReservedAccount=account < 2,
            LimitOutOfRange=not 1 <= limit_w <= 10**9,
            RewritesHistory=last is not None and self.rewrites(from_s, earliest_s),
        )
        data = registry.begin(
            meter_id=meter,
            key=key,
            account=account,
            meter_class=kind,
            limit_w=limit_w,
            valid_from_s=from_s,
        )
        if not self.act(who, data, broken):
            return
        own = self.terms.setdefault(meter, [])
        if last is not None and is_open:
            own[-1] = _until(last, from_s)
        own.append(
            RegistryTerm(
                key=key,
                account=account,
                meter_class=kind,
                limit_w=limit_w,
                valid_from_s=from_s,
                valid_until_s=OPEN_S,
            )
        )
        if last is None:  # Before a meter's first term nothing was said about it.
            self.facts = {asked: fact for asked, fact in self.facts.items() if asked[0] != meter}

    @rule(by=BY, meter=METER, shift=SHIFT_S)
    def end(self, by: Wallet | None, meter: MeterId, shift: tuple[str, int]) -> None:
        who, last, until_s = by or self.registrar, self.last(meter), self.instant_s(meter, shift)
        broken = _names(NotRegistrar=who != self.registrar, UnknownMeter=last is None)
        if last is not None:
            broken += _names(
                NotOpen=last.valid_until_s != OPEN_S,
                RewritesHistory=self.rewrites(until_s, last.valid_from_s + 1),
            )
        if self.act(who, registry.end(meter_id=meter, valid_until_s=until_s), broken):
            assert last is not None
            self.terms[meter][-1] = _until(last, until_s)

    @rule(by=BY, to=st.sampled_from([GRID, OWNER, STRANGER]), is_second=st.booleans())
    def hand_on(self, by: Wallet | None, to: Wallet, is_second: bool) -> None:
        if is_second:
            who = by or self.announced
            broken = _names(NotAnnounced=not self.is_announced or who != self.announced)
            if self.act(who, registry.accept_registrar(), broken):
                self.registrar, self.is_announced = who, False
        else:
            who = by or self.registrar
            broken = _names(NotRegistrar=who != self.registrar)
            if self.act(who, registry.announce_registrar(to.address), broken):
                self.announced, self.is_announced = to, True

    @rule(seconds=st.sampled_from([1, 899, 900, 10**6]))
    def wait(self, seconds: int) -> None:
        self.chain.at(self.chain.now_s + seconds)

    @invariant()
    def storage_events_and_book_agree(self) -> None:
        if not hasattr(self, "chain"):
            return
        reader = RegistryReader(self.chain.chain, self.address)
        assert reader.registrar() == self.registrar.address
        book = self.book()
        for meter in METERS:
            terms = self.terms.get(meter, [])
            assert reader.terms_of(meter) == terms
            assert set(book.meters()) == set(self.terms)
            self.remember(book, meter)
        for (meter, instant_s), fact in self.facts.items():
            assert fact_of(book, meter, instant_s) == fact == self.stated(meter, instant_s)

    def book(self) -> MeterBook:
        chain = self.chain.chain
        return book_of_logs(chain.logs([self.address], from_block=0, to_block=chain.head().number))

    def remember(self, book: MeterBook, meter: MeterId) -> None:
        """What is true of the instants around all changes that have passed."""
        changes_s = [FIRST_S, self.chain.now_s]
        for term in self.terms.get(meter, []):
            changes_s += [term.valid_from_s, term.valid_until_s]
        for change_s in changes_s:
            for instant_s in (change_s - 1, change_s, change_s + 1):
                if 0 <= instant_s < self.chain.now_s and (meter, instant_s) not in self.facts:
                    self.facts[(meter, instant_s)] = fact_of(book, meter, instant_s)

    def stated(self, meter: MeterId, instant_s: int) -> Fact | None:
        """What the terms say, in the model."""
        for term in self.terms.get(meter, []):
            if term.valid_from_s <= instant_s < term.valid_until_s:
                return term.key, term.account, int(term.meter_class), term.limit_w
        return None


def fact_of(book: MeterBook, meter: MeterId, instant_s: int) -> Fact | None:
    """Who a meter's energy belonged to, and which key spoke for it."""
    instant_at = from_unix_s(instant_s)
    found = [term for term in book.terms_of_meter(meter) if term.covers(instant_at)]
    assert len(found) <= 1
    for term in found:
        assert term in book.terms_of_account(term.account)
        assert to_unix_s(term.valid_from) <= instant_s
        return term.key, term.account, CLASSES.index(term.meter_class), term.limit_w
    return None


def _until(term: RegistryTerm, until_s: int) -> RegistryTerm:
    return RegistryTerm(
        key=term.key,
        account=term.account,
        meter_class=term.meter_class,
        limit_w=term.limit_w,
        valid_from_s=term.valid_from_s,
        valid_until_s=until_s,
    )


def _names(**broken: bool) -> list[str]:
    return [name for name, is_broken in broken.items() if is_broken]


def test_no_call_changes_what_was_true_of_a_meter_before(tmp_path: Path) -> None:
    with EmbeddedChain.open(tmp_path / "template", genesis_at=from_unix_s(FIRST_S)) as chain:
        deployed = MarketOnChain(chain, Address(bytes(20)), CONFIG).create(
            registry.deploy(GRID.address)
        )

    class Machine(RegistryMachine):
        directory = tmp_path
        address = deployed

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=25,
            phases=[Phase.reuse, Phase.generate],
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_term_in_milliseconds_leaves_the_book_readable(tmp_path: Path) -> None:
    with EmbeddedChain.open(tmp_path, genesis_at=from_unix_s(FIRST_S)) as chain:
        deployed = MarketOnChain(chain, Address(bytes(20)), CONFIG)
        address = deployed.market = deployed.create(registry.deploy(GRID.address))
        for meter, start_s in ((METERS[0], 0), (METERS[0], FIRST_S * 1_000), (METERS[1], OPEN_S)):
            data = registry.begin(
                meter_id=meter,
                key=KEYS[0],
                account=2,
                meter_class=MeterClass.GATEWAY,
                limit_w=1,
                valid_from_s=start_s,
            )
            deployed.send(GRID, data)
        data = registry.end(meter_id=METERS[0], valid_until_s=OPEN_S - 1)
        deployed.send(GRID, data)
        book = book_of_logs(chain.logs([address], from_block=0, to_block=chain.head().number))
    assert fact_of(book, METERS[0], FIRST_S) == (KEYS[0], 2, MeterClass.GATEWAY, 1)
    assert fact_of(book, METERS[1], FIRST_S) is None
