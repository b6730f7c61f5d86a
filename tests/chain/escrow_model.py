"""What the escrow must do, with plain integers: a call breaks rules, by name, or takes effect."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chain.escrow_world import CLOSABLE_S, DAY_S, ZERO, Session, cost_micro

EARLY_S = 300
SLACK_WH = 100
REGISTER_WH_MAX = 10**12
POWER_W_MAX = 10**7
CREDIT_MICRO_MAX = 2**56 - 1
DEPOSIT_MICRO_MAX = 2**64 - 1

Broken = list[str]


def names(**broken: bool) -> Broken:
    return [name for name, is_broken in broken.items() if is_broken]


@dataclass(kw_only=True)
class Plug:
    """A charger."""

    host: str
    key: str
    power_w: int
    last_wh: int
    credit_micro: int = 0
    session: Session | None = None


@dataclass(kw_only=True)
class EscrowModel:
    """Chargers, nonces, and whose every token unit is."""

    escrow: str
    plugs: dict[bytes, Plug] = field(default_factory=dict)
    used: set[tuple[str, int]] = field(default_factory=set)
    delegates: set[tuple[str, str]] = field(default_factory=set)
    owed: Counter[str] = field(default_factory=Counter)
    wallets: Counter[str] = field(default_factory=Counter)
    refused: str = ZERO  # Whom the token pays nothing at present.
    gifts_micro: int = 0

    def held_micro(self) -> int:
        open_micro = sum(p.session["depositMicro"] for p in self.plugs.values() if p.session)
        credit_micro = sum(plug.credit_micro for plug in self.plugs.values())
        return open_micro + credit_micro + self.owed.total() + self.gifts_micro

    def acts_for(self, by: str, host: str) -> bool:
        return by == host or (host, by) in self.delegates

    def is_open(self, session: Session) -> bool:
        plug = self.plugs.get(session["order"]["chargerId"])
        return plug is not None and plug.session == session

    # Sessions.

    def open(self, by: str, order: Mapping[str, Any], signer: str, now_s: int) -> Broken:
        plug = self.plugs.get(order["chargerId"])
        if plug is None:
            return ["UnknownCharger"]
        driver, micro = order["driver"], order["depositMicro"]
        broken = names(
            NotHost=not self.acts_for(by, plug.host),
            ChargerBusy=plug.session is not None,
            OrderExpired=now_s > order["validUntil"],
            ZeroDeposit=micro == 0,
            BadSignature=signer != driver,
            NonceUsed=(driver, order["nonce"]) in self.used,
        )
        if not broken:
            plug.session = {
                "order": order,
                "host": plug.host,
                "recordKey": plug.key,
                "powerW": plug.power_w,
                "openedAt": now_s,
                "depositMicro": micro,
            }
            self.used.add((driver, order["nonce"]))
            self.wallets[driver] -= micro
        return broken

    def top_up(
        self, session: Session, message: Mapping[str, Any], signer: str, is_of: bool, now_s: int
    ) -> Broken:
        driver, micro = session["order"]["driver"], message["addMicro"]
        broken = names(
            NotOpen=not self.is_open(session),
            WrongSession=not is_of,
            SessionOver=now_s > session["openedAt"] + DAY_S,
            ZeroDeposit=micro == 0,
            DepositTooLarge=session["depositMicro"] + micro > DEPOSIT_MICRO_MAX,
            BadSignature=signer != driver,
            NonceUsed=(driver, message["nonce"]) in self.used,
        )
        if not broken:
            plug = self.plugs[session["order"]["chargerId"]]
            plug.session = session | {"depositMicro": session["depositMicro"] + micro}
            self.used.add((driver, message["nonce"]))
            self.wallets[driver] -= micro
        return broken

    def close(
        self, session: Session, record: Mapping[str, Any], signer: str, is_of: bool, now_s: int
    ) -> Broken:
        if not self.is_open(session):
            return ["NotOpen"]
        plug, opened_s = self.plugs[session["order"]["chargerId"]], session["openedAt"]
        started_s, stopped_s = record["startedAt"], record["stoppedAt"]
        energy_wh = record["stopWh"] - record["startWh"]
        most_wh = session["powerW"] * (stopped_s - started_s) // 3_600 + SLACK_WH
        broken = names(
            TooLate=now_s > opened_s + CLOSABLE_S,
            WrongSession=not is_of,
            BadSignature=signer != session["recordKey"],
            StartsBeforeOpening=started_s < opened_s - EARLY_S,
            StopsBeforeStart=stopped_s < started_s,
            StopsTooLate=stopped_s > min(now_s, opened_s + DAY_S),
            IdleTooLong=record["idleS"] > stopped_s - started_s,
            RegisterRanBackwards=record["startWh"] < plug.last_wh or energy_wh < 0,
            RegisterOutOfRange=record["stopWh"] > REGISTER_WH_MAX,
            MoreThanPower=energy_wh > most_wh,
        )
        if not broken:
            self._settle(plug, session, record)
        return broken

    def close_many(
        self, closings: Sequence[tuple[Session, Mapping[str, Any], str, bool]], now_s: int
    ) -> Broken:
        """As one after the other, but what is over is no fault, and what is wrong undoes all."""
        return [
            fault
            for session, record, signer, is_of in closings
            if self.is_open(session) and now_s <= session["openedAt"] + CLOSABLE_S
            for fault in self.close(session, record, signer, is_of, now_s)
        ]

    def _settle(self, plug: Plug, session: Session, record: Mapping[str, Any]) -> None:
        paid_micro = cost_micro(
            session["order"]["tariff"],
            record["stopWh"] - record["startWh"],
            record["stoppedAt"] - record["startedAt"] - record["idleS"],
            record["idleS"],
            session["depositMicro"],
        )
        sum_micro = plug.credit_micro + paid_micro
        if plug.host == session["host"] and sum_micro <= CREDIT_MICRO_MAX:
            plug.credit_micro = sum_micro
        else:
            self.owed[session["host"]] += paid_micro
        plug.last_wh = record["stopWh"]
        self._end(plug, session["order"]["driver"], session["depositMicro"] - paid_micro)

    def _end(self, plug: Plug, driver: str, refunded_micro: int) -> None:
        plug.session = None
        (self.owed if driver == self.refused else self.wallets)[driver] += refunded_micro

    def cancel(self, by: str, session: Session) -> Broken:
        plug = self.plugs[session["order"]["chargerId"]]
        acts = self.acts_for(by, session["host"]) or self.acts_for(by, plug.host)
        broken = names(NotOpen=not self.is_open(session), NotHost=not acts)
        if not broken:
            self._end(plug, session["order"]["driver"], session["depositMicro"])
        return broken

    def reclaim(self, by: str, session: Session, now_s: int) -> Broken:
        driver = session["order"]["driver"]
        broken = names(
            NotOpen=not self.is_open(session),
            NotDriver=by != driver,
            TooEarly=now_s <= session["openedAt"] + CLOSABLE_S,
        )
        if not broken:
            plug = self.plugs[session["order"]["chargerId"]]
            self._end(plug, driver, session["depositMicro"])
        return broken

    def void(self, by: str, nonce: int) -> Broken:
        broken = names(NonceUsed=(by, nonce) in self.used)
        self.used.add((by, nonce))
        return broken

    # Paying out. A token that refuses somebody says so in its own words.

    def pay_host(self, charger: bytes) -> Broken:
        plug = self.plugs.get(charger)
        if plug is None or plug.credit_micro == 0:
            return ["NothingOwed"]
        if plug.host == self.refused:
            return ["not to you"]
        self.wallets[plug.host] += plug.credit_micro
        plug.credit_micro = 0
        return []

    def claim(self, owed: str, to: str) -> Broken:
        broken = names(BadRecipient=to in {ZERO, self.escrow}, NothingOwed=self.owed[owed] == 0)
        if not broken and to == self.refused:
            return ["not to you"]
        if not broken:
            self.wallets[to] += self.owed[owed]
            self.owed[owed] = 0
        return broken

    # Hosts and registrar.

    def set_delegate(self, host: str, delegate: str, allowed: bool) -> None:
        (self.delegates.add if allowed else self.delegates.discard)((host, delegate))

    def register(self, is_registrar: bool, charger: bytes, plug: Plug) -> Broken:
        broken = names(
            NotRegistrar=not is_registrar,
            ChargerKnown=charger in self.plugs,
            RegisterOutOfRange=plug.last_wh > REGISTER_WH_MAX,
            **_faults(plug),
        )
        if not broken:
            self.plugs[charger] = plug
        return broken

    def change(self, is_registrar: bool, charger: bytes, new: Plug) -> Broken:
        plug = self.plugs.get(charger)
        broken = names(NotRegistrar=not is_registrar, UnknownCharger=plug is None, **_faults(new))
        if not broken and plug is not None:
            if plug.host != new.host:
                self.owed[plug.host] += plug.credit_micro
                plug.credit_micro = 0
            plug.host, plug.key, plug.power_w = new.host, new.key, new.power_w
        return broken

    def reset(self, is_registrar: bool, charger: bytes, to_wh: int) -> Broken:
        plug = self.plugs.get(charger)
        broken = names(
            NotRegistrar=not is_registrar,
            UnknownCharger=plug is None,
            ChargerBusy=plug is not None and plug.session is not None,
            RegisterOutOfRange=to_wh > REGISTER_WH_MAX,
        )
        if not broken and plug is not None:
            plug.last_wh = to_wh
        return broken


def _faults(plug: Plug) -> dict[str, bool]:
    return {
        "ZeroAddress": ZERO in {plug.host, plug.key},
        "PowerOutOfRange": not 1 <= plug.power_w <= POWER_W_MAX,
    }
