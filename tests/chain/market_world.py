"""One community on the in-process EVM, and the few things that tests do to it again and again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.contract import Contract

from tests.chain.evm_world import Done, World

DAY_S = 86_400
HOUR_S = 3_600
WINDOW_S = 900
FIRST_PERIOD = 2_208_988_800  # 2040-01-01: py-evm gives no block a time before the real one.
START = FIRST_PERIOD - DAY_S
ZERO = "0x" + "00" * 20
TARIFF = {
    "gridImportPerKwh": 300_000,
    "gridExportPerKwh": 80_000,
    "localFeePerKwh": 20_000,
    "fixedPerKwh": 0,
}
MID_MARKET = 180_000
LANE = 2**64
WORD = 2**256
MIDDAY = 12 * HOUR_S


def delta_words(deltas: Sequence[int]) -> list[int]:
    """Four signed lanes a word (INTERFACES §5), by plain arithmetic."""
    return [
        sum(delta << 64 * k for k, delta in enumerate(deltas[i : i + 4])) % WORD
        for i in range(0, len(deltas), 4)
    ]


def price_word(local_per_kwh: int, tariff: Mapping[str, int] = TARIFF) -> int:
    """One window's prices (INTERFACES §5)."""
    return (
        local_per_kwh << 96
        | tariff["localFeePerKwh"] << 64
        | tariff["gridImportPerKwh"] << 32
        | tariff["gridExportPerKwh"]
    )


def deltas_root(words: Sequence[int]) -> bytes:
    """Merkle root over chunks of eight words, an odd node moved up (INTERFACES §5)."""
    padded = [*words, *[0] * (-len(words) % 8)]
    level = [
        Web3.keccak(b"".join(word.to_bytes(32) for word in padded[i : i + 8]))
        for i in range(0, len(padded), 8)
    ]
    while len(level) > 1:
        pairs = [Web3.keccak(level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[2 * len(pairs) :]
    return bytes(level[0])


def config_of(parties: "Parties", **changes: Any) -> dict[str, Any]:
    """A community of daily periods, settled at once, with INTERFACES §6's defaults."""
    config = {
        "token": ZERO,
        "registry": "0x" + "11" * 20,
        "owner": parties.owner.address,
        "operator": parties.operator.address,
        "supplier": parties.supplier.address,
        "gridOperator": parties.grid_operator.address,
        "firstPeriodStart": FIRST_PERIOD,
        "windowS": WINDOW_S,
        "periodWindows": 96,
        "graceS": 3 * DAY_S,
        "disputePeriodS": 0,
        "finalizeWithinS": 0,
        "withdrawalDelayS": 5 * DAY_S,
        "volumeRule": 0,
        "priceRule": 0,
        "residual": 0,
        "auctionKBps": 5_000,
        "keysHash": bytes(32),
        "debitMaxWh": 50_000,
        "supplierDebitMaxNano": 10**15,
        "tariff": TARIFF,
    }
    return config | changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Who is who; members from account 2 on."""

    owner: LocalAccount
    operator: LocalAccount
    supplier: LocalAccount
    grid_operator: LocalAccount
    members: tuple[LocalAccount, ...]
    stranger: LocalAccount

    @classmethod
    def of(cls, world: World, members: int = 3) -> "Parties":
        people = [world.person(1_000 + i) for i in range(5 + members)]
        owner, operator, supplier, grid_operator, stranger = people[:5]
        return cls(
            owner=owner,
            operator=operator,
            supplier=supplier,
            grid_operator=grid_operator,
            stranger=stranger,
            members=tuple(people[5:]),
        )

    def of_account(self, account: int) -> LocalAccount:
        return (self.supplier, self.grid_operator, *self.members)[account]


@dataclass(kw_only=True)
class Community:
    """A deployed market with its token, and enrolled members with money."""

    world: World
    parties: Parties
    token: Contract
    market: Contract
    config: Mapping[str, Any]
    count: int = field(default=2)

    @classmethod
    def create(
        cls, world: World, members: int = 3, token: str = "SettlementToken", **changes: Any
    ) -> "Community":
        parties = Parties.of(world, members)
        arguments = (world.rich,) if token == "SettlementToken" else ()
        coin = world.deploy(token, *arguments)
        config = config_of(parties, token=changes.pop("config_token", coin.address)) | changes
        market = world.deploy("EnergyMarket", config)
        community = cls(world=world, parties=parties, token=coin, market=market, config=config)
        community.enrol([member.address for member in parties.members])
        return community

    @property
    def period_s(self) -> int:
        return int(self.config["windowS"] * self.config["periodWindows"])

    def send(
        self,
        name: str,
        *arguments: Any,
        sender: LocalAccount | None = None,
        slots: Sequence[int] = (),
    ) -> Done:
        """A transaction to the market, by the operator unless somebody else is named."""
        by = (sender or self.parties.operator).address
        return self.world.send(self.market, name, *arguments, sender=by, slots=slots)

    def read(self, name: str, *arguments: Any) -> Any:
        return self.world.call(self.market, name, *arguments)

    def enrol(self, owners: Sequence[str]) -> None:
        for i in range(0, len(owners), 256):
            self.send("enrolMany", self.count, owners[i : i + 256])
            self.count += len(owners[i : i + 256])

    def fund(self, payer: LocalAccount, amount_micro: int) -> None:
        """Makes tokens and lets the market have them."""
        rich = self.world.rich
        self.world.send(self.token, "mint", payer.address, amount_micro, sender=rich)
        market, by = self.market.address, payer.address
        self.world.send(self.token, "approve", market, amount_micro, sender=by)

    def deposit(self, account: int, amount_micro: int) -> Done:
        payer = self.parties.of_account(account)
        self.fund(payer, amount_micro)
        return self.send("deposit", account, amount_micro, sender=payer)

    def balances(self) -> list[int]:
        """All balances in nano, by account."""
        words = self.read("balanceWords", 0, -(-self.count // 4))
        return [words[a // 4] >> 64 * (a % 4) & LANE - 1 for a in range(self.count)]

    def held_micro(self) -> int:
        """Tokens that the market holds."""
        return int(self.world.call(self.token, "balanceOf", self.market.address))

    def run(
        self,
        name: str,
        deltas: Sequence[int],
        *,
        period: int = FIRST_PERIOD,
        run: int = 0,
        sender: LocalAccount | None = None,
        slots: Sequence[int] = (),
        **changes: Any,
    ) -> Done:
        """`propose` or `settle` with mid-market prices, or whatever `changes` says instead."""
        cutoff_at = changes.pop("cutoffAt", period + self.period_s)
        prices = changes.pop("prices", [price_word(MID_MARKET)] * self.config["periodWindows"])
        words = changes.pop("words", delta_words(deltas))
        shorts = changes.pop("shorts", [])
        proposal = {
            "periodStart": period,
            "run": run,
            "cutoffAt": cutoff_at,
            "statementsRoot": b"\x01" * 32,
            "totalsHash": b"\x02" * 32,
        } | changes
        return self.send(name, proposal, prices, words, shorts, sender=sender, slots=slots)

    def settle(self, deltas: Sequence[int], **options: Any) -> Done:
        return self.run("settle", deltas, **options)

    def propose(self, deltas: Sequence[int], **options: Any) -> Done:
        return self.run("propose", deltas, **options)

    def finalize(
        self, deltas: Sequence[int], *, period: int = FIRST_PERIOD, run: int = 0, **changes: Any
    ) -> Done:
        """Finalizes what `propose` with the same arguments published."""
        words = changes.pop("words", delta_words(deltas))
        prices = [price_word(MID_MARKET)] * self.config["periodWindows"]
        arguments = {
            "cutoffAt": period + self.period_s,
            "statementsRoot": b"\x01" * 32,
            "windowsHash": windows_hash(prices, b"\x02" * 32),
        } | changes
        return self.send(
            "finalize", period, run, *arguments.values(), words, sender=self.parties.stranger
        )

    def end_of(self, period: int = FIRST_PERIOD) -> None:
        """Moves the clock to the end of a period."""
        self.world.at(period + self.period_s)

    def sign(
        self,
        primary: str,
        fields: Sequence[tuple[str, str]],
        message: Mapping[str, Any],
        key: LocalAccount,
        **domain: Any,
    ) -> bytes:
        """An EIP-712 signature by eth-account, independent of the service's own code."""
        full = {
            "name": "Wattledger",
            "version": "1",
            "chainId": self.world.web3.eth.chain_id,
            "verifyingContract": self.market.address,
        } | domain
        types = {primary: [{"name": name, "type": kind} for kind, name in fields]}
        typed = encode_typed_data(full, types, dict(message))
        return bytes(Account.sign_message(typed, key.key).signature)

    def sign_limits(self, limits: Mapping[str, int], key: LocalAccount, **domain: Any) -> bytes:
        fields = [
            ("uint32", "account"),
            ("uint64", "validFrom"),
            ("uint64", "maxBuyPerKwh"),
            ("uint64", "minSellPerKwh"),
            ("uint256", "nonce"),
        ]
        return self.sign("PriceLimits", fields, limits, key, **domain)

    def sign_withdrawal(
        self, request: Mapping[str, int], key: LocalAccount, **domain: Any
    ) -> bytes:
        fields = [("uint32", "account"), ("uint64", "amountMicro"), ("uint256", "nonce")]
        return self.sign("Withdrawal", fields, request, key, **domain)

    def sign_permit(
        self, payer: LocalAccount, amount_micro: int, nonce: int, deadline: int, **changes: Any
    ) -> bytes:
        fields = [
            ("address", "owner"),
            ("address", "spender"),
            ("uint256", "value"),
            ("uint256", "nonce"),
            ("uint256", "deadline"),
        ]
        message = {
            "owner": payer.address,
            "spender": self.market.address,
            "value": amount_micro,
            "nonce": nonce,
            "deadline": deadline,
        } | changes
        return self.sign(
            "Permit",
            fields,
            message,
            payer,
            name="Wattledger Demo Token",
            verifyingContract=self.token.address,
        )


def windows_hash(prices: Sequence[int], totals_hash: bytes) -> bytes:
    prices_hash = Web3.keccak(b"".join(word.to_bytes(32) for word in prices))
    return bytes(Web3.keccak(prices_hash + totals_hash))
