"""Calldata of every EnergyMarket function, and what settlement calldata says when it is read back.

The fields are the interface's (contracts/interfaces/IEnergyMarket.sol), in Python's spelling.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.chain.abi import Event, decode_call, decode_event, deploy_data, encode_call
from ledger.chain.errors import UnknownAbiName
from ledger.chain.market_values import MarketConfig, MarketTariff, Proposal, SettlementInput
from ledger.chain.protocol import Log
from ledger.units import Address, Hash32

CONTRACT = "EnergyMarket"
_PUBLISHING = ("propose", "settle")

# Where an EnergyMarket keeps what a settlement touches; a test compares with what it does touch.
FIRST_BALANCE_SLOT = 2
PROGRESS_SLOT, OPERATOR_SLOT, TARIFF_SLOT = 2_050, 2_053, 2_055
WORDS_WORTH_NAMING = 32


def deploy(config: MarketConfig) -> bytes:
    """Data of the transaction that creates a community's market."""
    return deploy_data(CONTRACT, [config.to_abi()])


def event_of(log: Log) -> Event | None:
    """The market's event in a log, named and with arguments as in the interface."""
    return decode_event(CONTRACT, log)


# Accounts.


def enrol(account: int, owner: Address) -> bytes:
    """By the operator: enrols the next account."""
    return _call("enrol", account, owner)


def enrol_many(account: int, owners: Sequence[Address]) -> bytes:
    """By the operator: enrols up to 256 accounts, from `account` on."""
    return _call("enrolMany", account, owners)


def name_recovery(account: int, recovery: Address) -> bytes:
    """By the account's address: names who may begin a move; zero for nobody."""
    return _call("nameRecovery", account, recovery)


def request_move(account: int, to: Address) -> bytes:
    """By the account's or its recovery address: begins a move."""
    return _call("requestMove", account, to)


def cancel_move(account: int) -> bytes:
    """By the account's address: ends a move."""
    return _call("cancelMove", account)


def execute_move(account: int) -> bytes:
    """By anyone: completes a move after the withdrawal delay."""
    return _call("executeMove", account)


# Money in and out.


def deposit(account: int, amount_micro: int) -> bytes:
    """By anyone: pays into an account from the caller's wallet."""
    return _call("deposit", account, amount_micro)


def deposit_with_permit(
    *,
    account: int,
    payer: Address,
    amount_micro: int,
    nonce: int,
    deadline_s: int,
    signature: bytes,
) -> bytes:
    """By anyone: pays into an account from the payer's wallet, by the payer's permit."""
    return _call("depositWithPermit", account, payer, amount_micro, nonce, deadline_s, signature)


def request_withdrawal(account: int, amount_micro: int) -> bytes:
    """By the account's address: asks for a withdrawal; 0 cancels."""
    return _call("requestWithdrawal", account, amount_micro)


def request_withdrawal_by_sig(
    *, account: int, amount_micro: int, nonce: int, signature: bytes
) -> bytes:
    """By anyone: relays a signed `Withdrawal`."""
    request = {"account": account, "amountMicro": amount_micro, "nonce": nonce}
    return _call("requestWithdrawalBySig", request, signature)


def withdraw(account: int) -> bytes:
    """By anyone: pays a matured request out."""
    return _call("withdraw", account)


def set_limits(
    *,
    account: int,
    valid_from_s: int,
    max_buy_per_kwh: int,
    min_sell_per_kwh: int,
    nonce: int,
    signature: bytes,
) -> bytes:
    """By anyone: relays signed `PriceLimits`."""
    limits = {
        "account": account,
        "validFrom": valid_from_s,
        "maxBuyPerKwh": max_buy_per_kwh,
        "minSellPerKwh": min_sell_per_kwh,
        "nonce": nonce,
    }
    return _call("setLimits", limits, signature)


# Settlement.


def propose(
    proposal: Proposal,
    *,
    prices: Sequence[int],
    deltas: Sequence[int],
    shortfalls_nano: Mapping[int, int],
) -> bytes:
    """By the operator: publishes a run. Prices and deltas are words."""
    return _call("propose", proposal.to_abi(), prices, deltas, _shorts(shortfalls_nano))


def settle(
    proposal: Proposal,
    *,
    prices: Sequence[int],
    deltas: Sequence[int],
    shortfalls_nano: Mapping[int, int],
) -> bytes:
    """By the operator, where the dispute period is 0: publishes and applies a run."""
    return _call("settle", proposal.to_abi(), prices, deltas, _shorts(shortfalls_nano))


def slots_of_settlement(words: int, *, by_operator: bool) -> tuple[int, ...]:
    """Storage that `settle` (by the operator) or `finalize` (by anyone) touches, if naming it pays.

    An access list (EIP-2930) saves 100 gas a slot and costs 2,400 for the contract.
    """
    if words < WORDS_WORTH_NAMING:
        return ()
    balances = range(FIRST_BALANCE_SLOT, FIRST_BALANCE_SLOT + words)
    return (PROGRESS_SLOT, *([OPERATOR_SLOT] if by_operator else []), TARIFF_SLOT, *balances)


def finalize(
    *,
    period_start_s: int,
    run: int,
    cutoff_at_s: int,
    statements_root: Hash32,
    windows_hash: Hash32,
    deltas: Sequence[int],
) -> bytes:
    """By anyone: applies the pending proposal."""
    return _call(
        "finalize", period_start_s, run, cutoff_at_s, statements_root, windows_hash, deltas
    )


def cancel() -> bytes:
    """By the operator: takes the pending proposal back."""
    return _call("cancel")


def parse_settlement_input(data: bytes) -> SettlementInput:
    """Reads the calldata of a settlement's transaction back.

    Raises:
        UnknownAbiName: it is no call of `propose`, `finalize` or `settle`.
        BadAbiValue: it is not well-formed.
    """
    function, values = decode_call(CONTRACT, data)
    if function == "finalize":
        return SettlementInput(
            function="finalize",
            period_start_s=values["periodStart"],
            run=values["run"],
            cutoff_at_s=values["cutoffAt"],
            statements_root=values["statementsRoot"],
            windows_hash=values["windowsHash"],
            deltas=values["deltas"],
        )
    if function not in _PUBLISHING:
        raise UnknownAbiName(contract=CONTRACT, name=function)
    proposal = values["proposal"]
    return SettlementInput(
        function="settle" if function == "settle" else "propose",
        period_start_s=proposal["periodStart"],
        run=proposal["run"],
        cutoff_at_s=proposal["cutoffAt"],
        statements_root=proposal["statementsRoot"],
        totals_hash=proposal["totalsHash"],
        prices=values["prices"],
        deltas=values["deltas"],
        shortfalls_nano={short["account"]: short["shortfallNano"] for short in values["shorts"]},
    )


# Roles.


def announce_owner(owner: Address) -> bytes:
    """By the owner: first step of handing the role on."""
    return _call("announceOwner", owner)


def accept_owner() -> bytes:
    """By the announced owner: second step."""
    return _call("acceptOwner")


def announce_operator(operator: Address) -> bytes:
    """By the owner: first step of a change of operator."""
    return _call("announceOperator", operator)


def accept_operator() -> bytes:
    """By the announced operator: second step, after the withdrawal delay."""
    return _call("acceptOperator")


def announce_tariff(tariff: MarketTariff, starts_at_s: int) -> bytes:
    """By the owner: first step of a change of tariff."""
    return _call("announceTariff", tariff.to_abi(), starts_at_s)


def enact_tariff() -> bytes:
    """By anyone: second step, after the withdrawal delay."""
    return _call("enactTariff")


def _call(function: str, *arguments: Any) -> bytes:
    return encode_call(CONTRACT, function, arguments)


def _shorts(shortfalls_nano: Mapping[int, int]) -> list[dict[str, int]]:
    # The contract wants accounts in ascending order.
    return [
        {"account": account, "shortfallNano": shortfall_nano}
        for account, shortfall_nano in sorted(shortfalls_nano.items())
    ]
