"""Creates a community: keys, contracts, accounts, meters, deposits; resumable at every step."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from api.config import AccountSection, CommunityConfig, MeterSection
from api.datadir import DataDir, KeyRing
from api.errors import BadConfig
from api.jobs.chain_rules import view
from api.jobs.community import ROLES, Community, open_parts, sharing_of
from api.jobs.meter_book import CLASSES
from ledger.chain.abi import deploy_data, encode_call
from ledger.clearing import PriceRule, Residual, VolumeRule
from ledger.keccak import keccak256, typed_digest
from ledger.outbox_states import Intent, IntentFailed
from ledger.units import FIRST_MEMBER, NANO_PER_MICRO, Address, Hash32, to_unix_s
from metering.meters import MeterClass
from metering.readings import MeterId
from metering.store import Meter

TOKEN, REGISTRY, MARKET = "SettlementToken", "MeterRegistry", "EnergyMarket"
ENROL_BATCH = 200
PERMIT_TYPE_HASH = keccak256(
    b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)
DEADLINE_S = 2**40  # A permit that is used at once needs no earlier end.
Progress = Callable[[str, int, int], None]


def create_community(path: Path, config: CommunityConfig, *, progress: Progress) -> Community:
    """Makes a data directory and everything on the chain; run again, it goes on where it stopped.

    Raises:
        CommunityExists: the directory holds one already.
        BadConfig: what the contract would refuse.
        LedgerError: chain or disk refuse.
    """
    directory = DataDir(path)
    directory.create(config.model_dump_json())
    stored = CommunityConfig.model_validate_json(directory.config_json())
    if stored != config:
        raise BadConfig(
            file=str(path), field="config", rule="an interrupted making had another configuration"
        )
    keys = directory.keys()
    keys.make([*ROLES, *trial_keys(config)])
    community = open_parts(directory, config, create=True)
    try:
        _deploy(community, progress)
        _enrol(community, progress)
        _register(community, progress)
        _deposit(community, progress)
    except BaseException:
        community.close()
        raise
    directory.complete()
    return community


def trial_keys(config: CommunityConfig) -> Iterator[str]:
    """Names of the keys that this configuration leaves to the data directory."""
    for account, section in accounts_of(config):
        if section.address is None:
            yield account_key(account)
    for meter in config.meters:
        if meter.key is None:
            yield meter_key(meter.label)
        if meter.meter_id is None:
            yield meter_id_name(meter.label)


def accounts_of(config: CommunityConfig) -> Iterator[tuple[int, AccountSection]]:
    """All accounts from 0 on: supplier, grid operator, members."""
    yield from enumerate([config.supplier, config.grid_operator, *config.accounts])


def account_key(account: int) -> str:
    """Name of a trial account's key."""
    return f"account:{account}"


def meter_key(label: str) -> str:
    """Name of the key that signs a meter's readings here."""
    return f"meter:{label}"


def meter_id_name(label: str) -> str:
    """Name of a meter's random id."""
    return f"meter_id:{label}"


def meter_id_of(keys: KeyRing, meter: MeterSection) -> MeterId:
    """A meter's id: as configured, else the random one of this directory."""
    if meter.meter_id is not None:
        return MeterId(bytes.fromhex(meter.meter_id.removeprefix("0x")))
    return MeterId(keys.secret(meter_id_name(meter.label)))


def address_of(community: Community, account: int, section: AccountSection) -> Address:
    """An account's address: as configured, else its trial wallet's."""
    if section.address is not None:
        return Address(bytes.fromhex(section.address.removeprefix("0x")))
    return community.keys.wallet(account_key(account)).address


def _deploy(community: Community, progress: Progress) -> None:
    config, keys = community.config, community.keys
    progress("contracts", 0, 3)
    from_block = community.chain.head().number
    if config.chain.token is None:
        owner = keys.wallet("owner").address
        token = _create(community, "deploy:token", deploy_data(TOKEN, [owner]))
    else:
        token = Address(bytes.fromhex(config.chain.token.removeprefix("0x")))
    progress("contracts", 1, 3)
    registrar = keys.wallet("registrar").address
    registry = _create(community, "deploy:registry", deploy_data(REGISTRY, [registrar]))
    progress("contracts", 2, 3)
    arguments = market_config(community, token, registry)
    market = _create(community, "deploy:market", deploy_data(MARKET, [arguments]))
    progress("contracts", 3, 3)
    facts = {
        "token": token.hex(),
        "registry": registry.hex(),
        "market": market.hex(),
        "from_block": community.settlements.facts().get("from_block", str(from_block)),
    }
    with community.engine.begin() as connection:
        community.settlements.set_facts(connection, facts.items())


def _create(community: Community, key: str, data: bytes) -> Address:
    (entry,) = community.execute([community.intent(key, data, to=None)])
    if entry.inclusion is None or entry.inclusion.contract_address is None:
        raise IntentFailed(key=key, reason_code="unknown", reason="no contract was created")
    return entry.inclusion.contract_address


def market_config(community: Community, token: Address, registry: Address) -> dict[str, Any]:
    """The constructor's values, as the contract's ABI names them."""
    config, keys = community.config, community.keys
    market, tariff = config.market, config.tariff
    return {
        "token": token,
        "registry": registry,
        "owner": keys.wallet("owner").address,
        "operator": keys.wallet("operator").address,
        "supplier": address_of(community, 0, config.supplier),
        "gridOperator": address_of(community, 1, config.grid_operator),
        "firstPeriodStart": to_unix_s(market.first_period_start),
        "windowS": market.window_s,
        "periodWindows": market.period_windows,
        "graceS": market.grace_s,
        "disputePeriodS": market.dispute_period_s,
        "finalizeWithinS": market.finalize_within_s,
        "withdrawalDelayS": market.delay_s,
        "volumeRule": list(VolumeRule).index(market.volume_rule),
        "priceRule": list(PriceRule).index(market.price_rule),
        "residual": list(Residual).index(market.residual),
        "auctionKBps": market.auction_k_bps,
        "keysHash": sharing_of(config).hash_for(market.volume_rule),
        "debitMaxWh": market.debit_max_wh,
        "supplierDebitMaxNano": market.supplier_debit_max_micro * NANO_PER_MICRO,
        "tariff": {
            "gridImportPerKwh": tariff.grid_import_per_kwh,
            "gridExportPerKwh": tariff.grid_export_per_kwh,
            "localFeePerKwh": tariff.local_fee_per_kwh,
            "fixedPerKwh": tariff.fixed_per_kwh,
        },
    }


def _enrol(community: Community, progress: Progress) -> None:
    members = list(accounts_of(community.config))[FIRST_MEMBER:]
    market = community.contracts.market
    for place in range(0, len(members), ENROL_BATCH):
        batch = members[place : place + ENROL_BATCH]
        owners = [address_of(community, account, section) for account, section in batch]
        first = FIRST_MEMBER + place
        data = encode_call(MARKET, "enrolMany", [first, owners])
        community.execute([community.intent(f"enrol:{first}", data, to=market)])
        progress("accounts", place + len(batch), len(members))


def _register(community: Community, progress: Progress) -> None:
    config = community.config
    meters, intents = [], []
    for meter in config.meters:
        meter_id = meter_id_of(community.keys, meter)
        meters.append(Meter(meter_id=meter_id, label=meter.label))
        data = encode_call(REGISTRY, "begin", _term(community, meter, meter_id))
        key = f"meter:{meter_id.hex()}"
        registry = community.contracts.registry
        intents.append(community.intent(key, data, to=registry, role="registrar"))
    community.readings.add_meters(meters)
    _execute_all(community, intents, "meters", progress)


def _term(community: Community, meter: MeterSection, meter_id: MeterId) -> list[Any]:
    if meter.key is None:
        key = community.keys.wallet(meter_key(meter.label)).address
    else:
        key = Address(bytes.fromhex(meter.key.removeprefix("0x")))
    valid_from = meter.valid_from or community.config.market.first_period_start
    meter_class = CLASSES.index(MeterClass(meter.meter_class))
    return [meter_id, key, meter.account, meter_class, meter.limit_w, to_unix_s(valid_from)]


def _deposit(community: Community, progress: Progress) -> None:
    paying = [
        (account, section.deposit_micro)
        for account, section in accounts_of(community.config)
        if section.deposit_micro and section.address is None
    ]
    token, market = community.contracts.token, community.contracts.market
    mints = []
    for account, amount_micro in paying:
        wallet = community.keys.wallet(account_key(account))
        data = encode_call(TOKEN, "mint", [wallet.address, amount_micro])
        mints.append(community.intent(f"mint:{account}", data, to=token, role="owner"))
    _execute_all(community, mints, "wallets", progress)
    separator = view(community.chain, TOKEN, token, "DOMAIN_SEPARATOR")
    deposits = []
    for account, amount_micro in paying:
        wallet = community.keys.wallet(account_key(account))
        digest = permit_digest(separator, wallet.address, market, amount_micro, nonce=0)
        arguments = [
            account, wallet.address, amount_micro, 0, DEADLINE_S, wallet.sign_digest(digest)
        ]  # fmt: skip
        data = encode_call(MARKET, "depositWithPermit", arguments)
        deposits.append(community.intent(f"deposit:{account}", data, to=market))
    _execute_all(community, deposits, "deposits", progress)


def permit_digest(
    separator: Hash32, owner: Address, spender: Address, amount_micro: int, *, nonce: int
) -> Hash32:
    """What an owner signs so that a spender may take tokens (ERC-2612)."""
    words = b"".join(
        [
            PERMIT_TYPE_HASH,
            owner.rjust(32, b"\0"),
            spender.rjust(32, b"\0"),
            amount_micro.to_bytes(32),
            nonce.to_bytes(32),
            DEADLINE_S.to_bytes(32),
        ]
    )
    return typed_digest(separator, keccak256(words))


def _execute_all(
    community: Community, intents: list[Intent], what: str, progress: Progress
) -> None:
    for intent in intents:
        community.outbox.put(intent)
    for place, intent in enumerate(intents):
        community.outbox.wait(intent.key)
        progress(what, place + 1, len(intents))
