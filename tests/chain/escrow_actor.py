"""Calls that go to the escrow and to its model, side by side, and are compared."""

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, ClassVar

from eth_account.signers.local import LocalAccount

from tests.chain.escrow_model import Broken, EscrowModel
from tests.chain.escrow_world import DAY_S, ZERO, Session, Site
from tests.chain.evm_world import Reverted

PREFIX = "ChargingEscrow_"


class EscrowActor:
    """The contract must do what its model does, whoever calls; `now_s` is when."""

    site: ClassVar[Site]
    seen: ClassVar[Counter[str]]  # Calls taken and refusals, by name.
    chargers: ClassVar[Sequence[bytes]]
    model: EscrowModel
    past: list[Session]
    now_s: int

    def who(self, name: str) -> LocalAccount:
        person: LocalAccount = getattr(self.site.people, name)
        return person

    def name_of(self, address: str) -> str:
        for name in self.site.people.__dataclass_fields__:
            if self.who(name).address == address:
                return name
        return "stranger"

    def act(self, name: str, arguments: Sequence[Any], by: str, broken: Broken) -> None:
        """One call, that the model has just made: taken by both, or refused for the same reason."""
        self.site.world.at(self.now_s)
        found = self.refusal(name, arguments, by)
        self.seen[found or name] += 1
        assert (found in broken) if found else not broken, (name, found, broken)
        if not found:
            self.now_s = self.site.world.now + 1
            assert self.site.held() == self.model.held_micro()

    def refusal(self, name: str, arguments: Sequence[Any], by: str) -> str | None:
        try:
            self.site.send(name, *arguments, sender=self.who(by))
        except Reverted as refused:
            return refused.name.removeprefix(PREFIX)
        return None

    def session(self, seed: int) -> Session | None:
        """One that is open, or was."""
        now = [plug.session for plug in self.model.plugs.values() if plug.session]
        some = now if now and seed % 4 else self.past
        return some[(seed >> 4) % len(some)] if some else None

    def top_up_this(self, session: Session, signer: str | None, micro: int, fault: str) -> None:
        key = self.who(signer or self.name_of(session["order"]["driver"]))
        changes: dict[str, Any] = {"sessionId": b"\x01" * 32} if fault == "of" else {}
        if fault == "nonce":
            changes["nonce"] = session["order"]["nonce"]
        arguments = self.site.topping_up(session, micro, key, **changes)
        is_of = fault != "of"
        broken = self.model.top_up(session, arguments[1], key.address, is_of, self.now_s)
        self.act("topUp", arguments, "stranger", broken)

    def close_this(self, session: Session, seed: int, signer: str | None, fault: str) -> None:
        closing, key, is_of = self.closing(session, seed, signer, fault)
        broken = self.model.close(session, closing["record"], key, is_of, self.now_s)
        self.act("close", [closing], "stranger", broken)

    def close_all(self, sessions: list[Session], seed: int, fault: str) -> None:
        last = len(sessions) - 1
        made = [
            (session, *self.closing(session, seed, None, fault if n == last else ""))
            for n, session in enumerate(sessions)
        ]
        stated = [(session, closing["record"], key, is_of) for session, closing, key, is_of in made]
        kept = deepcopy(self.model)
        broken = self.model.close_many(stated, self.now_s)
        if broken:
            self.model = kept
        self.act("closeMany", [[closing for _, closing, _, _ in made]], "stranger", broken)

    def closing(
        self, session: Session, seed: int, signer: str | None, fault: str
    ) -> tuple[dict[str, Any], str, bool]:
        """A record that is right for a session that is open, or wrong in one way."""
        opened_s, last_wh = session["openedAt"], self.last_wh(session)
        stopped_s = max(opened_s, min(self.now_s, opened_s + DAY_S) - seed % 2)
        start_wh = min(10**12, last_wh + seed % 3)
        most_wh = session["powerW"] * (stopped_s - opened_s) // 3_600 + 100
        changes: dict[str, Any] = {
            "startWh": start_wh,
            "stopWh": min(10**12, start_wh + (most_wh if seed % 5 else 0)),
            "startedAt": opened_s,
            "stoppedAt": stopped_s,
            "idleS": seed % (stopped_s - opened_s + 1),
        }
        changes |= {
            "early": {"startedAt": opened_s - 301},
            "future": {"stoppedAt": self.now_s + 1},
            "backwards": {"startWh": max(0, last_wh - 1)},
            "idle": {"idleS": stopped_s - opened_s + 1},
            "register": {"stopWh": 10**12 + 1},
            "power": {"stopWh": start_wh + most_wh + 1},
            "of": {"sessionId": b"\x01" * 32},
            "swap": {"startedAt": stopped_s, "stoppedAt": opened_s},
        }.get(fault, {})
        key = self.who(signer or self.name_of(session["recordKey"]))
        return self.site.closing(session, key, **changes), key.address, fault != "of"

    def last_wh(self, session: Session) -> int:
        return self.model.plugs[session["order"]["chargerId"]].last_wh

    def end(self, session: Session, by: str | None, is_driver: bool) -> None:
        owner = session["order"]["driver"] if is_driver else session["host"]
        by = by or self.name_of(owner)
        broken = (
            self.model.reclaim(self.who(by).address, session, self.now_s)
            if is_driver
            else self.model.cancel(self.who(by).address, session)
        )
        self.act("reclaim" if is_driver else "cancel", [session], by, broken)

    def void(self, driver: str, seed: int) -> None:
        nonce = seed % (self.site.next_nonce + 2)
        broken = self.model.void(self.who(driver).address, nonce)
        self.act("voidNonce", [nonce], driver, broken)

    def pay_host(self, charger: bytes) -> None:
        self.act("payHost", [charger], "stranger", self.model.pay_host(charger))

    def claim(self, owed: str, to: str) -> None:
        own, other = self.who(owed).address, self.who("delegate").address
        where = {"own": own, "zero": ZERO, "escrow": self.model.escrow, "delegate": other}[to]
        broken = self.model.claim(own, where)
        if to == "own":
            self.act("claim", [own], "stranger", broken)
        else:
            self.act("claimTo", [where], owed, broken)

    def be_moody(self, against: str | None) -> None:
        """From now on the token pays somebody nothing."""
        self.model.refused = self.who(against).address if against else ZERO
        by = self.who("stranger").address
        self.site.world.at(self.now_s)
        self.site.world.send(self.site.token, "treat", self.model.refused, 1, sender=by)
        self.now_s = self.site.world.now + 1

    def give(self, micro: int) -> None:
        self.site.world.at(self.now_s)
        self.site.mint(self.model.escrow, micro)
        self.now_s = self.site.world.now + 1
        self.model.gifts_micro += micro

    def delegate(self, host: str, allowed: bool) -> None:
        own, other = self.who(host).address, self.who("delegate").address
        self.model.set_delegate(own, other, allowed)
        self.act("setDelegate", [other, allowed], host, [])

    def compare(self) -> None:
        """Everything that the contract and the token remember."""
        for charger in self.chargers:
            now, plug = self.site.charger_now(charger), self.model.plugs.get(charger)
            if plug is None:
                assert now["host"] == ZERO
                continue
            facts = (now["host"], now["recordKey"], now["powerW"], now["lastWh"])
            assert facts == (plug.host, plug.key, plug.power_w, plug.last_wh)
            assert now["creditMicro"] == plug.credit_micro
            assert bool(plug.session) == (now["session"] != bytes(32))
            assert plug.session is None or self.site.is_open(plug.session)
        for person in self.site.people.all():
            own = person.address
            assert self.site.read("claimableOf", own) == self.model.owed[own]
            assert self.site.held(own) == self.model.wallets[own]
        assert self.site.held() == self.model.held_micro()
        for driver, nonce in self.model.used:
            assert self.site.read("isNonceUsed", driver, nonce)

    def end_everything(self) -> None:
        """Whatever has happened, everything can be ended and paid out, and nothing is left."""
        self.be_moody(None)
        for charger, plug in self.model.plugs.items():
            if plug.session:
                by, session = self.name_of(plug.host), plug.session
                broken = self.model.cancel(plug.host, session)
                self.act("cancel", [session], by, broken)
            if plug.credit_micro:
                self.pay_host(charger)
        for person in self.site.people.all():
            if self.model.owed[person.address]:
                self.claim(self.name_of(person.address), "own")
        assert self.site.held() == self.model.gifts_micro
