"""Creates a community: keys, contracts, accounts, meters, deposits; resumable at every step."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from api.config import AccountSection, CommunityConfig, MeterSection
from api.datadir import DataDir
from api.errors import BadConfig
from api.jobs.community import (
    CHARGING,
    ROLES,
    Community,
    open_parts,
    sharing_of,
    stored_config,
)
from api.jobs.opening import database_failures_named, system_now
from api.keys import KeyRing
from charging.orders import charger_id_of
from ledger.chain import escrow as escrow_calls
from ledger.chain import market_calls, settlement_token
from ledger.chain import registry as registry_calls
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.market_values import MarketConfig, MarketTariff
from ledger.outbox_states import Intent, IntentFailed
from ledger.units import FIRST_MEMBER, NANO_PER_MICRO, Address, to_unix_s
from metering.readings import MeterId
from metering.store import Meter

LEAD_S = 86_400  # The chain of a demo starts this long before the first period.
CONTRACTS = 4
ENROL_BATCH = 200
PASSWORD_BYTES = 20  # OCPP's security whitepaper: 40 hexadecimal digits.
DEADLINE_S = 2**40  # A permit that is used at once needs no earlier end.
Progress = Callable[[str, int, int], None]


def create_community(
    path: Path,
    config: CommunityConfig,
    *,
    progress: Progress,
    for_demo: bool = False,
    password_file: Path | None = None,
) -> Community:
    """Makes a data directory and everything on the chain; run again, it goes on where it stopped.

    Behind an endpoint the keys are kept in an encrypted keystore.

    Raises:
        CommunityExists: the directory holds one already.
        BadConfig: what the contract would refuse.
        LedgerError: chain or disk refuse.
    """
    directory = DataDir(path, password_file=password_file)
    directory.create(config.model_dump_json(), for_demo=for_demo)
    if stored_config(directory) != config:
        raise BadConfig(
            file=str(path), field="config", rule="an interrupted making had another configuration"
        )
    keys = directory.keys(encrypted=config.chain.rpc is not None)
    keys.make([*ROLES, *trial_keys(config)])
    community = open_parts(directory, config, genesis_at=_genesis_at(config))
    try:
        with database_failures_named(community.database):
            community.claim_database()
            _deploy(community, progress)
            _enrol(community, progress)
            _register(community, progress)
            _register_chargers(community, progress)
            _deposit(community, progress)
    except BaseException:
        community.close()
        raise
    directory.complete()
    if isinstance(community.chain, EmbeddedChain) and config.chain.clock == "system":
        community.chain.follow_clock(system_now)
    return community


def _genesis_at(config: CommunityConfig) -> datetime:
    """When an embedded chain begins.

    Each call of a making is a block, and each block takes a second. With a clock, the chain begins
    so long ago that the last block is of now: nobody could charge before the clock caught up.
    """
    if config.chain.clock == "data":
        return config.market.first_period_start - timedelta(seconds=LEAD_S)
    connectors = [each for charger in config.chargers for each in charger.connector_ids()]
    hosts = {charger.host for charger in config.chargers}
    paying = sum(section.deposit_micro > 0 for _, section in accounts_of(config))
    enrolments = -(-len(config.accounts) // ENROL_BATCH)
    calls = CONTRACTS + enrolments + len(config.all_meters()) + len(connectors) + len(hosts)
    return system_now() - timedelta(seconds=calls + 2 * paying)


def trial_keys(config: CommunityConfig) -> Iterator[str]:
    """Names of the keys that this configuration leaves to the data directory."""
    for account, section in accounts_of(config):
        if section.address is None:
            yield account_key(account)
    for meter in config.all_meters():
        if meter.key is None:
            yield meter_key(meter.label)
        if meter.meter_id is None:
            yield meter_id_name(meter.label)
    for charger in config.chargers:
        yield password_name(charger.charge_point_id)
        for connector_id in charger.connector_ids():
            yield record_key_name(charger.charge_point_id, connector_id)


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


def record_key_name(charge_point_id: str, connector_id: int) -> str:
    """Name of the key that signs a charger's records."""
    return f"record:{charge_point_id}/{connector_id}"


def password_name(charge_point_id: str) -> str:
    """Name of the secret that a charge point's password is made of, where none is configured."""
    return f"ocpp:{charge_point_id}"


def charger_password(config: CommunityConfig, keys: KeyRing, charge_point_id: str) -> str | None:
    """The password that a charge point signs in with (OCPP security profiles 1 and 2).

    As configured, else the random one of this directory; None for a stranger.
    """
    for section in config.chargers:
        if section.charge_point_id == charge_point_id:
            secret = keys.secret(password_name(charge_point_id))
            return section.password or secret[:PASSWORD_BYTES].hex()
    return None


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
    progress("contracts", 0, CONTRACTS)
    _note_first_block(community)
    if config.chain.token is None:
        owner = keys.wallet("owner").address
        token = _create(community, "deploy:token", settlement_token.deploy(owner))
    else:
        token = Address(bytes.fromhex(config.chain.token.removeprefix("0x")))
    progress("contracts", 1, CONTRACTS)
    registrar = keys.wallet("registrar").address
    registry = _create(community, "deploy:registry", registry_calls.deploy(registrar))
    progress("contracts", 2, CONTRACTS)
    values = market_config(community, token, registry)
    market = _create(community, "deploy:market", market_calls.deploy(values))
    progress("contracts", 3, CONTRACTS)
    escrow = _create(community, "deploy:escrow", escrow_calls.deploy(token, registry))
    progress("contracts", CONTRACTS, CONTRACTS)
    facts = {
        "token": token.hex(),
        "escrow": escrow.hex(),
        "registry": registry.hex(),
        "market": market.hex(),
    }
    with community.engine.begin() as connection:
        community.settlements.set_facts(connection, facts.items())


def _note_first_block(community: Community) -> None:
    """Before anything is deployed: the contracts' events are read from here on."""
    if "from_block" not in community.settlements.facts():
        first = str(community.chain.head().number)
        with community.engine.begin() as connection:
            community.settlements.set_facts(connection, [("from_block", first)])


def _create(community: Community, key: str, data: bytes) -> Address:
    (entry,) = community.execute([community.intent(key, data, to=None)])
    if entry.inclusion is None or entry.inclusion.contract_address is None:
        raise IntentFailed(key=key, reason_code="unknown", reason="no contract was created")
    return entry.inclusion.contract_address


def market_config(community: Community, token: Address, registry: Address) -> MarketConfig:
    """The constructor's values."""
    config, keys = community.config, community.keys
    market, tariff = config.market, config.tariff
    return MarketConfig(
        token=token,
        registry=registry,
        owner=keys.wallet("owner").address,
        operator=keys.wallet("operator").address,
        supplier=address_of(community, 0, config.supplier),
        grid_operator=address_of(community, 1, config.grid_operator),
        first_period_start_s=to_unix_s(market.first_period_start),
        window_s=market.window_s,
        period_windows=market.period_windows,
        grace_s=market.grace_s,
        dispute_period_s=market.dispute_period_s,
        finalize_within_s=market.finalize_within_s,
        withdrawal_delay_s=market.delay_s,
        volume_rule=market.volume_rule,
        price_rule=market.price_rule,
        residual=market.residual,
        auction_k_bps=market.auction_k_bps,
        keys_hash=sharing_of(config).hash_for(market.volume_rule),
        debit_max_wh=market.debit_max_wh,
        supplier_debit_max_nano=market.supplier_debit_max_micro * NANO_PER_MICRO,
        tariff=MarketTariff(
            grid_import_per_kwh=tariff.grid_import_per_kwh,
            grid_export_per_kwh=tariff.grid_export_per_kwh,
            local_fee_per_kwh=tariff.local_fee_per_kwh,
            fixed_per_kwh=tariff.fixed_per_kwh,
        ),
    )


def _enrol(community: Community, progress: Progress) -> None:
    members = list(accounts_of(community.config))[FIRST_MEMBER:]
    market = community.contracts.market
    for place in range(0, len(members), ENROL_BATCH):
        batch = members[place : place + ENROL_BATCH]
        owners = [address_of(community, account, section) for account, section in batch]
        first = FIRST_MEMBER + place
        data = market_calls.enrol_many(first, owners)
        community.execute([community.intent(f"enrol:{first}", data, to=market)])
        progress("accounts", place + len(batch), len(members))


def _register(community: Community, progress: Progress) -> None:
    config = community.config
    meters, intents = [], []
    for meter in config.all_meters():
        meter_id = meter_id_of(community.keys, meter)
        meters.append(Meter(meter_id=meter_id, label=meter.label))
        data = _begin_call(community, meter, meter_id)
        key = f"meter:{meter_id.hex()}"
        registry = community.contracts.registry
        intents.append(community.intent(key, data, to=registry, role="registrar"))
    community.readings.add_meters(meters)
    _execute_all(community, intents, "meters", progress)


def _begin_call(community: Community, meter: MeterSection, meter_id: MeterId) -> bytes:
    if meter.key is None:
        key = community.keys.wallet(meter_key(meter.label)).address
    else:
        key = Address(bytes.fromhex(meter.key.removeprefix("0x")))
    valid_from = meter.valid_from or community.config.market.first_period_start
    return registry_calls.begin(
        meter_id=meter_id,
        key=key,
        account=meter.account,
        meter_class=registry_calls.MeterClass[meter.meter_class.upper()],
        limit_w=meter.limit_w,
        valid_from_s=to_unix_s(valid_from),
    )


def _register_chargers(community: Community, progress: Progress) -> None:
    """Registers every connector, and lets the charging service open sessions for trial hosts.

    A host with an address of its own sends `setDelegate` itself.
    """
    config, escrow = community.config, community.contracts.escrow
    accounts = dict(accounts_of(config))
    registered = []
    for charger in config.chargers:
        host = address_of(community, charger.host, accounts[charger.host])
        for connector_id in charger.connector_ids():
            charger_id = charger_id_of(charger.charge_point_id, connector_id)
            name = record_key_name(charger.charge_point_id, connector_id)
            data = escrow_calls.register(
                charger_id=charger_id,
                host=host,
                record_key=community.keys.wallet(name).address,
                power_w=charger.power_w,
                last_wh=charger.register_wh,
            )
            key = f"charger:{charger_id.hex()}"
            registered.append(community.intent(key, data, to=escrow, role="registrar"))
    service = community.keys.wallet(CHARGING).address
    for account in sorted({charger.host for charger in config.chargers}):
        if accounts[account].address is None:
            data = escrow_calls.set_delegate(service, allowed=True)
            key = f"delegate:{account}"
            registered.append(community.intent(key, data, to=escrow, role=account_key(account)))
    _execute_all(community, registered, "chargers", progress)


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
        data = settlement_token.mint(wallet.address, amount_micro)
        mints.append(community.intent(f"mint:{account}", data, to=token, role="owner"))
    _execute_all(community, mints, "wallets", progress)
    separator = settlement_token.TokenReader(community.chain, token).domain_separator()
    deposits = []
    for account, amount_micro in paying:
        wallet = community.keys.wallet(account_key(account))
        digest = settlement_token.permit_digest(
            separator,
            owner=wallet.address,
            spender=market,
            amount_micro=amount_micro,
            nonce=0,  # A trial wallet's first and only permit.
            deadline_s=DEADLINE_S,
        )
        data = market_calls.deposit_with_permit(
            account=account,
            payer=wallet.address,
            amount_micro=amount_micro,
            nonce=0,
            deadline_s=DEADLINE_S,
            signature=wallet.sign_digest(digest),
        )
        deposits.append(community.intent(f"deposit:{account}", data, to=market))
    _execute_all(community, deposits, "deposits", progress)


def _execute_all(
    community: Community, intents: list[Intent], what: str, progress: Progress
) -> None:
    for intent in intents:
        community.outbox.put(intent)
    for place, intent in enumerate(intents):
        community.outbox.wait(intent.key)
        progress(what, place + 1, len(intents))
