"""A charging site on the in-process EVM: an escrow, its parties, and a session in a few words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.contract import Contract

from tests.chain.evm_world import Done, World, calldata

ZERO = "0x" + "00" * 20
DAY_S = 86_400
CLOSABLE_S = 4 * DAY_S
POWER_W = 22_000
FIRST_WH = 1_000_000
DEPOSIT = 20_000_000
HALF_ORDER_TIMES_TWO = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
NO_PERMIT = {"deadline": 0, "signature": b""}
EVIDENCE = b"\xee" * 32
TARIFF = {
    "energyPerKwh": 450_000,
    "startFee": 350_000,
    "timePerHour": 100_000,
    "idlePerHour": 3_000_000,
}
TYPES = {
    "Tariff": [
        ("uint64", "energyPerKwh"),
        ("uint64", "startFee"),
        ("uint64", "timePerHour"),
        ("uint64", "idlePerHour"),
    ],
    "ChargeOrder": [
        ("address", "driver"),
        ("bytes32", "chargerId"),
        ("uint64", "depositMicro"),
        ("Tariff", "tariff"),
        ("uint64", "validUntil"),
        ("uint256", "nonce"),
    ],
    "ChargeRecord": [
        ("bytes32", "sessionId"),
        ("uint64", "startWh"),
        ("uint64", "stopWh"),
        ("uint64", "startedAt"),
        ("uint64", "stoppedAt"),
        ("uint64", "idleS"),
        ("bytes32", "evidenceHash"),
    ],
    "TopUp": [("bytes32", "sessionId"), ("uint64", "addMicro"), ("uint256", "nonce")],
    "Permit": [
        ("address", "owner"),
        ("address", "spender"),
        ("uint256", "value"),
        ("uint256", "nonce"),
        ("uint256", "deadline"),
    ],
}

Session = dict[str, Any]


def charger_id(name: str = "AB*E1234/1") -> bytes:
    return bytes(Web3.keccak(text=name))


def cost_micro(
    tariff: Mapping[str, int], energy_wh: int, time_s: int, idle_s: int, deposit_micro: int
) -> int:
    """INTERFACES §4, in plain words."""
    time = time_s * tariff["timePerHour"] + idle_s * tariff["idlePerHour"]
    energy = energy_wh * tariff["energyPerKwh"] * 3_600
    return min(deposit_micro, tariff["startFee"] + (energy + time * 1_000) // 3_600_000)


def with_high_s(signature: bytes) -> bytes:
    """The other signature of the same key over the same message, which anybody can compute."""
    s = HALF_ORDER_TIMES_TWO - int.from_bytes(signature[32:64])
    return signature[:32] + s.to_bytes(32) + bytes([27 + 28 - signature[64]])


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who is who at the site."""

    registrar: LocalAccount
    host: LocalAccount
    other_host: LocalAccount
    delegate: LocalAccount
    key: LocalAccount  # Signs the charger's records.
    other_key: LocalAccount
    driver: LocalAccount
    other_driver: LocalAccount
    stranger: LocalAccount

    @classmethod
    def of(cls, world: World) -> "People":
        names = cls.__dataclass_fields__
        return cls(**{name: world.person(3_000 + i) for i, name in enumerate(names)})

    def all(self) -> list[LocalAccount]:
        return [getattr(self, name) for name in self.__dataclass_fields__]


@dataclass(kw_only=True)
class Site:
    """An escrow with its token and registry, and one charger."""

    world: World
    people: People
    token: Contract
    registry: Contract
    escrow: Contract
    charger: bytes
    next_nonce: int = field(default=0)

    @classmethod
    def create(cls, world: World, token: str = "SettlementToken") -> "Site":
        people = People.of(world)
        arguments = (world.rich,) if token == "SettlementToken" else ()
        coin = world.deploy(token, *arguments)
        registry = world.deploy("MeterRegistry", people.registrar.address)
        escrow = world.deploy("ChargingEscrow", coin.address, registry.address)
        site = cls(
            world=world,
            people=people,
            token=coin,
            registry=registry,
            escrow=escrow,
            charger=charger_id(),
        )
        site.register()
        return site

    # Calls.

    def send(self, name: str, *arguments: Any, sender: LocalAccount, **options: int) -> Done:
        by = sender.address
        return self.world.send(self.escrow, name, *arguments, sender=by, **options)

    def read(self, name: str, *arguments: Any) -> Any:
        return self.world.call(self.escrow, name, *arguments)

    def register(self, charger: bytes | None = None, **changes: Any) -> Done:
        """Registers a charger, the site's own if none is named."""
        values = {
            "host": self.people.host.address,
            "recordKey": self.people.key.address,
            "powerW": POWER_W,
            "lastWh": FIRST_WH,
        } | changes
        sender = values.pop("sender", self.people.registrar)
        return self.send("register", charger or self.charger, *values.values(), sender=sender)

    def change(self, **changes: Any) -> Done:
        values = {
            "host": self.people.host.address,
            "recordKey": self.people.key.address,
            "powerW": POWER_W,
        } | changes
        sender = values.pop("sender", self.people.registrar)
        return self.send("change", self.charger, *values.values(), sender=sender)

    # Money.

    def mint(self, payer: LocalAccount | str, amount_micro: int) -> None:
        to = payer if isinstance(payer, str) else payer.address
        self.world.send(self.token, "mint", to, amount_micro, sender=self.world.rich)

    def fund(self, payer: LocalAccount, amount_micro: int) -> None:
        """Makes tokens and lets the escrow have them."""
        self.mint(payer, amount_micro)
        by = payer.address
        self.world.send(self.token, "approve", self.escrow.address, amount_micro, sender=by)

    def held(self, address: str | None = None) -> int:
        """Tokens of an address, of the escrow if none is named."""
        return int(self.world.call(self.token, "balanceOf", address or self.escrow.address))

    def money(self) -> dict[str, int]:
        """Everybody's tokens, what is owed to them, and what the charger's host has earned."""
        found = {"escrow": self.held(), "credit": self.charger_now()["creditMicro"]}
        for name in People.__dataclass_fields__:
            address = getattr(self.people, name).address
            found[name] = self.held(address)
            found[f"{name} owed"] = self.read("claimableOf", address)
        return found

    def charger_now(self, charger: bytes | None = None) -> dict[str, Any]:
        names = ("host", "recordKey", "powerW", "lastWh", "creditMicro", "session")
        values = self.read("chargerOf", charger or self.charger)
        return dict(zip(names, values, strict=True))

    def wallet(self, owner: LocalAccount, amount_micro: int) -> Contract:
        """A wallet that is a contract, with tokens that the escrow may have."""
        made = self.world.deploy("ActingWallet", owner.address)
        self.mint(made.address, amount_micro)
        data = calldata(self.token.abi, "approve", [self.escrow.address, 2**255])
        self.world.send(made, "act", self.token.address, data, sender=owner.address)
        return made

    # Signed messages, by eth-account: independent of the service's own code.

    def sign(
        self, primary: str, message: Mapping[str, Any], key: LocalAccount, **domain: Any
    ) -> bytes:
        full = {
            "name": "Wattledger",
            "version": "1",
            "chainId": self.world.web3.eth.chain_id,
            "verifyingContract": self.escrow.address,
        } | domain
        needed = ("ChargeOrder", "Tariff") if primary == "ChargeOrder" else (primary,)
        types = {
            name: [{"name": field, "type": kind} for kind, field in TYPES[name]] for name in needed
        }
        typed = encode_typed_data(full, types, dict(message))
        return bytes(Account.sign_message(typed, key.key).signature)

    def sign_struct(self, struct_hash: bytes, key: LocalAccount) -> bytes:
        """An EIP-712 signature over a hash that no library would make."""
        kind = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        values = [
            Web3.keccak(text=kind),
            Web3.keccak(text="Wattledger"),
            Web3.keccak(text="1"),
            self.world.web3.eth.chain_id,
            self.escrow.address,
        ]
        types = ["bytes32", "bytes32", "bytes32", "uint256", "address"]
        separator = Web3.keccak(self.world.web3.codec.encode(types, values))
        digest = Web3.keccak(b"\x19\x01" + separator + struct_hash)
        return bytes(Account.unsafe_sign_hash(digest, key.key).signature)

    def permit(
        self, payer: LocalAccount, amount_micro: int, nonce: int = 0, **changes: Any
    ) -> dict[str, Any]:
        message = {
            "owner": payer.address,
            "spender": self.escrow.address,
            "value": amount_micro,
            "nonce": nonce,
            "deadline": self.world.now + 1_000,
        } | changes
        domain = {"name": "Wattledger Demo Token", "verifyingContract": self.token.address}
        signature = self.sign("Permit", message, payer, **domain)
        return {"deadline": message["deadline"], "signature": signature}

    # A session.

    def order(self, **changes: Any) -> dict[str, Any]:
        """An order with a fresh nonce that is good for an hour."""
        self.next_nonce += 1
        return {
            "driver": self.people.driver.address,
            "chargerId": self.charger,
            "depositMicro": DEPOSIT,
            "tariff": TARIFF,
            "validUntil": self.world.now + 3_600,
            "nonce": self.next_nonce,
        } | changes

    def opening(
        self,
        order: Mapping[str, Any],
        permit: Mapping[str, Any] = NO_PERMIT,
        signer: LocalAccount | None = None,
        **domain: Any,
    ) -> tuple[Any, bytes, Any]:
        """Arguments of `open`, signed by the driver."""
        key = signer or self.people.driver
        return (order, self.sign("ChargeOrder", order, key, **domain), permit)

    def open(self, sender: LocalAccount | None = None, **changes: Any) -> tuple[Done, Session]:
        """Gives the driver the deposit, and opens a session with it."""
        driver = changes.pop("by", self.people.driver)
        order = self.order(driver=driver.address, **changes)
        self.fund(driver, order["depositMicro"])
        opening = self.opening(order, signer=driver)
        done = self.send("open", *opening, sender=sender or self.people.host)
        return done, self.session(order)

    def session(self, order: Mapping[str, Any]) -> Session:
        """The session that the last transaction opened with an order."""
        charger = self.charger_now(order["chargerId"])
        return {
            "order": order,
            "host": charger["host"],
            "recordKey": charger["recordKey"],
            "powerW": charger["powerW"],
            "openedAt": self.world.now,
            "depositMicro": order["depositMicro"],
        }

    def session_id(self, session: Session) -> bytes:
        return bytes(self.read("sessionIdOf", session["order"]))

    def is_open(self, session: Session) -> bool:
        now = self.charger_now(session["order"]["chargerId"])["session"]
        return bool(now == self.read("sessionHashOf", session))

    def record(self, session: Session, **changes: Any) -> dict[str, Any]:
        """10 kWh in an hour of which ten minutes are idle."""
        start_wh = self.charger_now(session["order"]["chargerId"])["lastWh"]
        return {
            "sessionId": self.session_id(session),
            "startWh": start_wh,
            "stopWh": start_wh + 10_000,
            "startedAt": session["openedAt"],
            "stoppedAt": session["openedAt"] + 3_600,
            "idleS": 600,
            "evidenceHash": EVIDENCE,
        } | changes

    def closing(
        self, session: Session, key: LocalAccount | None = None, **changes: Any
    ) -> dict[str, Any]:
        """Arguments of `close`, signed by the charger's key; `changes` of the record."""
        record = self.record(session, **changes)
        signature = self.sign("ChargeRecord", record, key or self.people.key)
        return {"session": session, "record": record, "signature": signature}

    def stopped(self, session: Session, after_s: int = 3_600) -> None:
        """The next transaction happens when the record's hour is over."""
        self.world.at(max(self.world.now + 1, session["openedAt"] + after_s))

    def cost(self, closing: Mapping[str, Any]) -> int:
        record, session = closing["record"], closing["session"]
        duration_s = record["stoppedAt"] - record["startedAt"]
        return cost_micro(
            session["order"]["tariff"],
            record["stopWh"] - record["startWh"],
            duration_s - record["idleS"],
            record["idleS"],
            session["depositMicro"],
        )

    def topping_up(
        self, session: Session, add_micro: int, signer: LocalAccount | None = None, **changes: Any
    ) -> tuple[Session, dict[str, Any], bytes, Any]:
        """Arguments of `topUp`, signed by the driver."""
        self.next_nonce += 1
        message = {
            "sessionId": self.session_id(session),
            "addMicro": add_micro,
            "nonce": self.next_nonce,
        } | changes
        signature = self.sign("TopUp", message, signer or self.people.driver)
        return (session, message, signature, NO_PERMIT)


def moved(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What has changed, and by how much."""
    return {name: after[name] - before[name] for name in before if after[name] != before[name]}
