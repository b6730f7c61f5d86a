"""Whatever anybody calls whenever, the escrow's bytecode does what a plain-integer model does."""

from collections import Counter
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.chain.escrow_actor import EscrowActor
from tests.chain.escrow_model import EscrowModel, Plug
from tests.chain.escrow_world import CLOSABLE_S, DAY_S, ZERO, Session, Site, charger_id
from tests.chain.evm_world import World
from tests.chain.market_world import START

CHARGERS = [charger_id(f"machine/{i}") for i in range(3)]
LOTS = 10**24

SEED = st.integers(0, 2**32 - 1)
CHARGER = st.sampled_from(CHARGERS)
DRIVER = st.sampled_from(["driver", "other_driver"])
HOST = st.sampled_from(["host", "other_host"])
ANYBODY = st.sampled_from(["driver", "other_driver", "host", "other_host", "delegate", "stranger"])
BY = st.sampled_from([None] * 5 + ["delegate", "stranger", "driver"])
SIGNER = st.sampled_from([None] * 7 + ["stranger"])
MICRO = st.sampled_from([1, 5_000_000, 20_000_000, 2**56, 2**64 - 1, 5_000_000, 20_000_000, 0])
PRICE = st.sampled_from([0, 1, 450_000, 10**8, 2**64 - 1])
TARIFF = st.fixed_dictionaries(
    dict.fromkeys(("energyPerKwh", "startFee", "timePerHour", "idlePerHour"), PRICE)
)
FAULT = st.sampled_from(
    ["", "", "", "", "early", "future", "backwards", "idle", "register", "power", "of", "swap"]
)


class EscrowMachine(EscrowActor, RuleBasedStateMachine):
    """Honest and hostile calls in any order, around every instant that matters."""

    chargers = CHARGERS

    @initialize()
    def start(self) -> None:
        world = self.site.world
        self.snapshot = world.tester.take_snapshot()
        self.model = EscrowModel(escrow=self.site.escrow.address)
        self.past: list[Session] = []
        self.now_s = world.now + 1
        for person in self.site.people.all():
            self.model.wallets[person.address] = self.site.held(person.address)
        self.site.next_nonce = 0
        for charger in CHARGERS[:2]:
            self.register(charger, "registrar", "host", 22_000, 1_000_000)

    def teardown(self) -> None:
        if not hasattr(self, "snapshot"):
            return
        try:
            self.compare()
            self.end_everything()
        finally:
            self.site.world.tester.revert_to_snapshot(self.snapshot)

    # Time.

    @rule(seed=SEED, jitter_s=st.sampled_from([-1, 0, 1]), which=st.sampled_from("hde"))
    def wait(self, seed: int, jitter_s: int, which: str) -> None:
        session = self.session(seed)
        origin_s = session["openedAt"] if session and which != "h" else self.now_s
        length_s = {"h": 3_600, "d": DAY_S, "e": CLOSABLE_S}[which]
        self.now_s = max(self.now_s, origin_s + length_s + jitter_s)

    # Sessions.

    @rule(
        charger=CHARGER,
        driver=DRIVER,
        by=BY,
        signer=SIGNER,
        micro=MICRO,
        tariff=TARIFF,
        fault=st.sampled_from([""] * 6 + ["late", "nonce"]),
    )
    def open(
        self,
        *,
        charger: bytes,
        driver: str,
        by: str | None,
        signer: str | None,
        micro: int,
        tariff: dict[str, int],
        fault: str,
    ) -> None:
        plug = self.model.plugs.get(charger)
        by = by or self.name_of(plug.host if plug else ZERO)
        order = self.site.order(
            driver=self.who(driver).address,
            chargerId=charger,
            depositMicro=micro,
            tariff=tariff,
            validUntil=self.now_s - (fault == "late"),
        )
        if fault == "nonce" and self.past:
            order["nonce"] = self.past[-1]["order"]["nonce"]
        key = self.who(signer or driver)
        broken = self.model.open(self.who(by).address, order, key.address, self.now_s)
        self.act("open", self.site.opening(order, signer=key), by, broken)
        if not broken and (opened := self.model.plugs[charger].session):
            assert self.site.is_open(opened)
            self.past.append(opened)

    @rule(
        charger=CHARGER,
        driver=DRIVER,
        micro=MICRO,
        tariff=TARIFF,
        seconds=st.sampled_from([0, 1, 3_600, DAY_S, CLOSABLE_S, CLOSABLE_S + 1]),
        fault=FAULT,
        then=st.sampled_from(["close", "close", "close_many", "top_up", "cancel", "reclaim"]),
    )
    def charge(
        self,
        *,
        charger: bytes,
        driver: str,
        micro: int,
        tariff: dict[str, int],
        seconds: int,
        fault: str,
        then: str,
    ) -> None:
        """From opening to end, or nearly."""
        opening = {"charger": charger, "driver": driver, "micro": micro, "tariff": tariff}
        self.open(**opening, by=None, signer=None, fault="")
        plug = self.model.plugs.get(charger)
        if plug is None or plug.session is None:
            return
        self.now_s = max(self.now_s, plug.session["openedAt"] + seconds)
        session, seed = plug.session, 1 + seconds
        if then == "close_many":
            self.close_all([session, session, *self.past[-2:]], seed, fault)
        if then == "top_up":
            self.top_up_this(session, None, micro, "")
        if then in {"cancel", "reclaim"}:
            self.end(session, None, then == "reclaim")
        elif plug.session:
            self.close_this(plug.session, seed, None, fault)

    @precondition(lambda self: self.past)
    @rule(
        seed=SEED,
        signer=SIGNER,
        micro=MICRO,
        fault=st.sampled_from(["", "", "", "of", "nonce"]),
    )
    def top_up(self, seed: int, signer: str | None, micro: int, fault: str) -> None:
        if session := self.session(seed):
            self.top_up_this(session, signer, micro, fault)

    @precondition(lambda self: self.past)
    @rule(seed=SEED, signer=SIGNER, fault=FAULT)
    def close(self, seed: int, signer: str | None, fault: str) -> None:
        if session := self.session(seed):
            self.close_this(session, seed, signer, fault)

    @precondition(lambda self: self.past)
    @rule(seeds=st.lists(SEED, max_size=4), fault=FAULT)
    def close_many(self, seeds: list[int], fault: str) -> None:
        """Some that are open, were, or are in it twice; the last one may be wrong."""
        sessions = [session for seed in seeds if (session := self.session(seed))]
        self.close_all(sessions, len(seeds), fault)

    @precondition(lambda self: self.past)
    @rule(seed=SEED, by=BY, is_driver=st.booleans())
    def cancel(self, seed: int, by: str | None, is_driver: bool) -> None:
        if session := self.session(seed):
            self.end(session, by, is_driver)

    @rule(
        what=st.sampled_from(["void", "give", "delegate", "be_moody"]),
        driver=DRIVER,
        host=HOST,
        seed=SEED,
        against=st.sampled_from(["driver", "host", None, None]),
    )
    def seldom(self, what: str, driver: str, host: str, seed: int, against: str | None) -> None:
        if what == "void":
            self.void(driver, seed)
        if what == "give":
            self.give(1 + seed % 2)
        if what == "delegate":
            self.delegate(host, seed % 3 > 0)
        if what == "be_moody":
            self.be_moody(against)

    # Paying out.

    @rule(
        charger=CHARGER,
        owed=ANYBODY,
        to=st.sampled_from(["host", "host", "own", "own", "zero", "escrow", "delegate"]),
    )
    def pay(self, charger: bytes, owed: str, to: str) -> None:
        if to == "host":
            self.pay_host(charger)
        else:
            self.claim(owed, to)

    @rule(
        charger=CHARGER,
        by=st.sampled_from(["registrar"] * 4 + ["host"]),
        host=HOST,
        power_w=st.sampled_from([22_000, 1, 10**7, 22_000, 0, 10**7 + 1]),
        last_wh=st.sampled_from([0, 10**12, 10**12 + 1]),
    )
    def register(self, charger: bytes, by: str, host: str, power_w: int, last_wh: int) -> None:
        """New, or changed where it is known."""
        key = self.who("other_key" if host == "other_host" else "key").address
        plug = Plug(host=self.who(host).address, key=key, power_w=power_w, last_wh=last_wh)
        values = [charger, plug.host, key, power_w]
        if charger in self.model.plugs:
            broken = self.model.change(by == "registrar", charger, plug)
            self.act("change", values, by, broken)
        else:
            broken = self.model.register(by == "registrar", charger, plug)
            self.act("register", [*values, last_wh], by, broken)

    @rule(
        charger=CHARGER,
        by=st.sampled_from(["registrar", "registrar", "host"]),
        to_wh=st.sampled_from([0, 1_000_000, 10**12, 10**12 + 1]),
    )
    def reset(self, charger: bytes, by: str, to_wh: int) -> None:
        broken = self.model.reset(by == "registrar", charger, to_wh)
        self.act("resetRegister", [charger, to_wh], by, broken)


def test_the_escrow_does_what_plain_integers_do() -> None:
    made = Site.create(World(START), token="WhimToken")
    for driver in (made.people.driver, made.people.other_driver):
        made.fund(driver, LOTS)

    class Machine(EscrowMachine):
        site = made
        seen: ClassVar[Counter[str]] = Counter()

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=15,
            phases=[Phase.reuse, Phase.generate],  # Shrinking takes minutes.
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # A machine that is refused everything, or that does one thing only, shows nothing.
    assert {"open", "topUp", "close", "closeMany", "cancel", "payHost"} <= set(Machine.seen)
    assert len(Machine.seen) > 20, Machine.seen
