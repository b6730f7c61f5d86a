"""The chain: which one answers, whose contracts are on it, and who may do what there."""

from collections.abc import Iterator
from typing import Final

from api.jobs.checkup.checks import Check, fine, problem, warning
from api.jobs.community import CHARGING, OPERATOR, OWNER, REGISTRAR, Community
from api.jobs.create import accounts_of, address_of
from api.jobs.opening import system_now
from api.readiness import AHEAD_S_MAX, GAS_OF_A_SETTLEMENT, HOT_ROLES, SILENT_S_MAX
from ledger.chain.code import is_contract
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.escrow import EscrowReader
from ledger.chain.market import MarketReader
from ledger.chain.registry import RegistryReader
from ledger.chain.rpc import RpcChain
from ledger.keccak import checksum_address
from ledger.units import Address, to_unix_s

WEI_PER_GWEI: Final = 10**9


def check_chain(community: Community) -> Iterator[Check]:
    """Which chain it is, how it is, and what time it has."""
    chain, head = community.chain, community.chain.head()
    where = "embedded" if isinstance(chain, EmbeddedChain) else "behind its endpoint"
    yield fine("chain", f"{where}, id {chain.chain_id}, block {head.number}")
    if isinstance(chain, EmbeddedChain):
        corrupt = chain.corrupt_nodes()
        if corrupt:
            detail = f"{len(corrupt)} entries of its file are not what their hashes say"
            yield problem("chain", detail, "restore a backup; then audit")
        return
    ahead_s = head.timestamp_s - to_unix_s(system_now())
    if ahead_s > AHEAD_S_MAX:
        detail = f"this machine's clock is {ahead_s} s behind the chain's"
        yield problem("clock", detail, "set the clock: run an NTP client")
    elif -ahead_s > SILENT_S_MAX:
        detail = f"the last block is {-ahead_s // 60} minutes old"
        advice = "if the chain should have blocks, ask who runs it; else this clock may be ahead"
        yield warning("clock", detail, advice)
    else:
        yield fine("clock", f"{abs(ahead_s)} s beside the chain's")


def check_contracts(community: Community) -> Iterator[Check]:
    """Whether our contracts are where the database says."""
    contracts, chain = community.contracts, community.chain
    named = [("EnergyMarket", contracts.market), ("MeterRegistry", contracts.registry)]
    if contracts.has_escrow:
        named.append(("ChargingEscrow", contracts.escrow))
    if community.config.chain.token is None:
        named.append(("SettlementToken", contracts.token))
    wrong = [
        f"{name} at {checksum_address(address)}"
        for name, address in named
        if not is_contract(chain, address, name)
    ]
    if wrong:
        detail = f"another code than this version's: {', '.join(wrong)}"
        advice = "is it the right chain, and the version of the program that deployed them?"
        yield problem("contracts", detail, advice)
    else:
        yield fine("contracts", f"{', '.join(name for name, _ in named)} are this version's")


def check_roles(community: Community) -> Iterator[Check]:
    """Whether the keys here are those that the contracts name, and can act."""
    keys, chain, contracts = community.keys, community.chain, community.contracts
    market, registry = (
        MarketReader(chain, contracts.market),
        RegistryReader(chain, contracts.registry),
    )
    wrong = False
    for role, holder in (
        (OPERATOR, market.operator()),
        (OWNER, market.owner()),
        (REGISTRAR, registry.registrar()),
    ):
        own = keys.wallet(role).address if role in keys else None
        if own == holder:
            continue
        detail = f"the contracts' {role} is {checksum_address(holder)}, whose key is not here"
        if role == OPERATOR:
            wrong = True
            advice = "nothing can be settled: `wattledger keys import FILE --role operator`"
            yield problem("roles", detail, advice)
        else:  # Others may well hold these.
            yield warning("roles", detail, f"what the {role} has to sign is signed elsewhere")
    missing = list(hosts_without_delegate(community)) if contracts.has_escrow else []
    if missing:
        hosts = ", ".join(missing)
        detail = f"hosts that do not let this service open charges: {hosts}"
        yield problem("roles", detail, f"each host sends {delegate_call(community)}")
    if not wrong and not missing:
        yield fine("roles", "the contracts know the keys of this directory")


def hosts_without_delegate(community: Community) -> Iterator[str]:
    """Hosts at whose chargers nobody can charge, because they do not let this service open it."""
    reader = EscrowReader(community.chain, community.contracts.escrow)
    sections = dict(accounts_of(community.config))
    service = community.keys.wallet(CHARGING).address
    for account in sorted({charger.host for charger in community.config.chargers}):
        host = address_of(community, account, sections[account])
        if not reader.is_delegate(host, service):
            yield f"account {account}"


def delegate_call(community: Community) -> str:
    """What such a host sends, and where to."""
    service = checksum_address(community.keys.wallet(CHARGING).address)
    escrow = checksum_address(community.contracts.escrow)
    return f"setDelegate({service}, true) to the escrow {escrow}"


def check_gas(community: Community) -> Iterator[Check]:
    """Whether hot keys can pay for what they send."""
    chain, keys = community.chain, community.keys
    if not isinstance(chain, RpcChain):
        return
    needed_wei = GAS_OF_A_SETTLEMENT * chain.fees().max_fee_wei
    poor: list[tuple[str, Address, int]] = []
    for role in HOT_ROLES:
        if role in keys:
            address = keys.wallet(role).address
            held_wei = chain.balance_wei(address)
            if held_wei < needed_wei:
                poor.append((role, address, needed_wei - held_wei))
    for role, address, missing_wei in poor:
        yield problem(
            "gas",
            f"{role} cannot pay for a settlement's gas",
            f"send {-(-missing_wei // WEI_PER_GWEI)} gwei or more to {checksum_address(address)}",
        )
    if not poor:
        yield fine("gas", f"{', '.join(role for role in HOT_ROLES if role in keys)} can pay")
