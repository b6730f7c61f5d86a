"""Communities on an embedded chain whose clock follows the data, for tests of the jobs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api.config import config_of
from api.jobs.audit import audit
from api.jobs.community import Community
from api.jobs.create import DEADLINE_S, account_key, create_community
from api.jobs.evidence import evidence_of
from api.jobs.intake import ImportReport, import_registers
from api.jobs.settle import Settled, SettlementLoop
from api.jobs.statements import statements_of_run
from api.jobs.verify import MarketFacts, verify_statement
from ledger.chain import market_calls, settlement_token
from ledger.keccak import domain_separator, keccak256, typed_digest
from ledger.statements import Statement
from ledger.units import LIMIT_PER_KWH_MAX, from_unix_s, to_rfc3339

START_S = 1_464_739_200  # 2016-06-01T00:00:00Z
HOUR_S, DAY_S = 3_600, 86_400
HEADER = "meter_id,ts_utc,grid_import_kwh,grid_export_kwh\n"
DEPOSIT_MICRO = 50_000_000
Profile = Sequence[tuple[int, int]]  # Import and export of each window, in Wh.

BUYER: Profile = [(400 + 37 * hour, 0) for hour in range(24)]
SELLER: Profile = [(0, 90 * hour) for hour in range(24)]
BOTH: Profile = [(250, 301) if 8 <= hour < 16 else (250, 0) for hour in range(24)]
STREET: Mapping[str, Profile] = {"buyer": BUYER, "seller": SELLER, "both": BOTH}


def quiet(*_: object) -> None:
    """No progress."""


def document(
    labels: Sequence[str],
    *,
    market: Mapping[str, Any] | None = None,
    deposits: Mapping[int, int] | None = None,
    **sections: Any,
) -> dict[str, Any]:
    """A configuration: one account and one meter a label, hourly windows, daily periods."""
    paid = {0: DEPOSIT_MICRO, **dict.fromkeys(range(2, 2 + len(labels)), DEPOSIT_MICRO)}
    paid |= deposits or {}
    return {
        "chain": {"clock": "data"},
        "market": {
            "first_period_start": from_unix_s(START_S),
            "window_s": HOUR_S,
            "period_windows": 24,
            **(market or {}),
        },
        "supplier": {"name": "Supplier", "deposit_micro": paid[0]},
        "accounts": [
            {"name": label, "deposit_micro": paid[account]}
            for account, label in enumerate(labels, start=2)
        ],
        "meters": [
            {"label": label, "account": account} for account, label in enumerate(labels, start=2)
        ],
        **sections,
    }


@contextmanager
def community_of(path: Path, config: Mapping[str, Any]) -> Iterator[Community]:
    """A community of a configuration, closed in the end."""
    community = create_community(path, config_of(dict(config), "test"), progress=quiet)
    try:
        yield community
    finally:
        community.close()


def registers(profiles: Mapping[str, Profile], *, window_s: int = HOUR_S) -> str:
    """A file of registers that rise by these profiles from the first period's start."""
    lines = []
    for label, profile in profiles.items():
        import_wh, export_wh = 5_000, 7_000
        lines.append(_line(label, START_S, import_wh, export_wh))
        for place, (taken_wh, fed_wh) in enumerate(profile, start=1):
            import_wh, export_wh = import_wh + taken_wh, export_wh + fed_wh
            lines.append(_line(label, START_S + place * window_s, import_wh, export_wh))
    return HEADER + "".join(lines)


def _line(label: str, at_s: int, import_wh: int, export_wh: int) -> str:
    return (
        f"{label},{to_rfc3339(from_unix_s(at_s))},{import_wh // 1000}.{import_wh % 1000:03d},"
        f"{export_wh // 1000}.{export_wh % 1000:03d}\n"
    )


def take(community: Community, profiles: Mapping[str, Profile], **options: Any) -> ImportReport:
    """Imports what meters of these profiles read."""
    file = community.directory.path.with_name("registers.csv")
    file.write_text(registers(profiles, **options))
    return import_registers(community, file)


def settle_all(community: Community) -> list[Settled]:
    """Settles what is due; nothing may be held back."""
    loop = SettlementLoop(community)
    settled = list(loop.run())
    assert loop.alarm is None
    return settled


def statements(community: Community) -> dict[tuple[int, int, int], Statement]:
    """All statements by period, run and account; each verifies, and the audit finds nothing."""
    facts, book = MarketFacts(community.chain, community.contracts.market), community.book()
    found = {}
    for run in community.settlements.runs():
        for statement in statements_of_run(community, book, run):
            verdict = verify_statement(statement, facts)
            assert verdict.passed, [each for each in verdict.checks if not each.passed]
            found[run.period_start_s, run.run, int(statement.account)] = statement
    report = audit(community.chain, evidence_of(community), progress=quiet)
    assert [f"{each.where}: {each.detail}" for each in report.discrepancies] == []
    assert report.runs == len(community.settlements.runs())
    return found


def set_limits(community: Community, account: int, *, nonce: int = 1, **limits: int) -> None:
    """Relays limits that the account's owner signs."""
    wallet = community.keys.wallet(account_key(account))
    values = (
        account,
        limits.get("valid_from_s", 0),
        limits.get("max_buy_per_kwh", LIMIT_PER_KWH_MAX),
        limits.get("min_sell_per_kwh", 0),
        nonce,
    )
    spelled = (
        b"PriceLimits(uint32 account,uint64 validFrom,uint64 maxBuyPerKwh,"
        b"uint64 minSellPerKwh,uint256 nonce)"
    )
    words = b"".join(value.to_bytes(32) for value in values)
    market = community.contracts.market
    domain = domain_separator(community.config.chain.chain_id, market)
    signature = wallet.sign_digest(typed_digest(domain, keccak256(keccak256(spelled) + words)))
    data = market_calls.set_limits(
        account=values[0],
        valid_from_s=values[1],
        max_buy_per_kwh=values[2],
        min_sell_per_kwh=values[3],
        nonce=nonce,
        signature=signature,
    )
    community.execute([community.intent(f"limits:{account}:{nonce}", data, to=market)])


def pay_in(community: Community, account: int, amount_micro: int, *, nonce: int) -> None:
    """Mints tokens for an account's trial wallet and deposits them."""
    token, market = community.contracts.token, community.contracts.market
    wallet = community.keys.wallet(account_key(account))
    mint = settlement_token.mint(wallet.address, amount_micro)
    community.execute([community.intent(f"mint:{account}:{nonce}", mint, to=token, role="owner")])
    digest = settlement_token.permit_digest(
        settlement_token.TokenReader(community.chain, token).domain_separator(),
        owner=wallet.address,
        spender=market,
        amount_micro=amount_micro,
        nonce=nonce,
        deadline_s=DEADLINE_S,
    )
    data = market_calls.deposit_with_permit(
        account=account,
        payer=wallet.address,
        amount_micro=amount_micro,
        nonce=nonce,
        deadline_s=DEADLINE_S,
        signature=wallet.sign_digest(digest),
    )
    community.execute([community.intent(f"deposit:{account}:{nonce}", data, to=market)])
