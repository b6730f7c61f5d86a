"""A service settles by itself: periods end on the clock, and nothing is done twice."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.config import config_of
from api.jobs.audit_directory import audit_directory
from api.jobs.community import Community
from api.jobs.create import create_community
from api.jobs.intake import import_registers
from api.jobs.settle import SettlementLoop
from api.jobs.settling import Settling
from api.serving import serve_community
from ledger.chain.embedded import EmbeddedChain
from ledger.units import from_unix_s
from tests.api.community_worlds import (
    BUYER,
    DAY_S,
    DEPOSIT_MICRO,
    SELLER,
    START_S,
    community_of,
    document,
    pay_in,
    quiet,
    registers,
    take,
)
from tests.e2e.registers import home, write

WINDOW_S, PERIOD_S = 2, 8
PACE_S = 0.1
PATIENCE_S = 60


def street(place: Path, **market: Any) -> Community:
    """A community on the system's clock whose first two periods are over, with their readings."""
    first_s = int(time.time()) // PERIOD_S * PERIOD_S - 2 * PERIOD_S
    config = config_of(
        {
            "market": {
                "first_period_start": from_unix_s(first_s),
                "window_s": WINDOW_S,
                "period_windows": PERIOD_S // WINDOW_S,
                "grace_s": 2,
                "dispute_period_s": 0,
                "finalize_within_s": 0,
                **market,
            },
            "supplier": {"name": "Supplier", "deposit_micro": DEPOSIT_MICRO},
            "accounts": [
                {"name": "a", "deposit_micro": DEPOSIT_MICRO},
                {"name": "b", "deposit_micro": DEPOSIT_MICRO},
            ],
            "meters": [{"label": "a", "account": 2}, {"label": "b", "account": 3}],
        },
        "test",
    )
    community = create_community(place / "data", config, progress=quiet)
    lines = [
        line
        for label, export_wh in (("a", 0), ("b", 20))
        for line in home(
            label,
            start_s=first_s,
            step_s=WINDOW_S,
            count=9,
            import_step_wh=10,
            export_step_wh=export_wh,
        )
    ]
    assert import_registers(community, write(place / "r.csv", lines)).accepted == 18
    time.sleep(1.1)  # What is accepted in a second is known at a cutoff after it.
    return community


async def until(is_so: Callable[[], bool]) -> None:
    """Waits for something."""
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(is_so):
            await asyncio.sleep(0.05)


def final_runs(community: Community) -> list[tuple[int, int]]:
    """Periods and runs that are final, by the service's tables."""
    runs = community.settlements.runs()
    return [(each.period_start_s, each.run) for each in runs if each.state == "final"]


def findings(community: Community) -> list[str]:
    """What an audit has to say."""
    report = audit_directory(community, community.chain, progress=quiet)
    return [f"{each.where}: {each.detail}" for each in report.discrepancies]


def test_periods_settle_by_themselves_while_a_community_is_served(tmp_path: Path) -> None:
    community = street(tmp_path)
    first_s = community.schedule.first_period_start_s

    async def run() -> None:
        async with serve_community(community, settle_every_s=PACE_S) as service:
            # The third period waits for its meters until its grace is over.
            await until(lambda: len(final_runs(community)) >= 3)
            assert service.problems() == []

    try:
        asyncio.run(run())
        settled = final_runs(community)
        assert settled == [(first_s + place * PERIOD_S, 0) for place in range(len(settled))]
        assert sum(each.import_wh for each in community.settlements.runs()[0].totals) > 0
        assert findings(community) == []
    finally:
        community.close()


def test_a_proposal_is_finalized_by_itself_after_its_dispute_period(tmp_path: Path) -> None:
    community = street(tmp_path, dispute_period_s=1, finalize_within_s=3)

    async def run() -> None:
        async with Settling(community, pace_s=PACE_S):
            await until(lambda: len(final_runs(community)) >= 2)

    try:
        asyncio.run(run())
        assert findings(community) == []
    finally:
        community.close()


def test_a_service_that_stops_in_mid_settlement_goes_on_where_it_was(tmp_path: Path) -> None:
    community = street(tmp_path)
    chain = community.chain
    assert isinstance(chain, EmbeddedChain)
    section = community.config.chain.model_copy(update={"confirmations": 3})
    community.config = community.config.model_copy(update={"chain": section})
    operator = community.keys.wallet("operator").address
    sent_before = chain.nonce(operator)

    async def stop_while_it_waits() -> float:
        async with Settling(community, pace_s=PACE_S) as settling:
            await until(lambda: chain.nonce(operator) == sent_before + 1)
            assert settling.problems() == []
            assert final_runs(community) == []
            began_s = time.monotonic()
        return time.monotonic() - began_s

    async def start_and_stop() -> None:
        async with Settling(community, pace_s=PACE_S) as settling:
            await asyncio.sleep(1)
            assert chain.nonce(operator) == sent_before + 1  # Nothing is sent twice.
            assert settling.problems() == []

    async def go_on() -> None:
        async with Settling(community, pace_s=PACE_S):
            for _ in range(3):
                await asyncio.to_thread(chain.mine)
            await until(lambda: len(final_runs(community)) == 1)

    try:
        assert asyncio.run(stop_while_it_waits()) < 5
        asyncio.run(start_and_stop())
        asyncio.run(go_on())
        run = community.settlements.runs()[0]
        receipt = chain.receipt(run.final_tx) if run.final_tx else None
        assert receipt is not None
        assert receipt.succeeded
        assert run.attempt == 0
    finally:
        community.close()


def test_what_the_supplier_cannot_pay_is_an_alarm_until_he_can(tmp_path: Path) -> None:
    config = document(["seller"], deposits={0: 1_000_000})
    with community_of(tmp_path / "data", config) as community:
        take(community, {"seller": [(0, 20_000)] * 24})
        chain = community.chain
        assert isinstance(chain, EmbeddedChain)
        chain.set_next_timestamp(from_unix_s(START_S + DAY_S))
        chain.mine()
        chain.mine()

        async def run() -> None:
            async with Settling(community, pace_s=PACE_S) as settling:
                await until(lambda: settling.problems() != [])
                (problem,) = settling.problems()
                assert str(24 * 20_000 * 80_000 - 1_000_000_000) in problem
                await asyncio.to_thread(pay_in, community, 0, 40_000_000, nonce=1)
                await until(lambda: settling.problems() == [])

        asyncio.run(run())
        (run_0,) = community.settlements.runs()
        assert run_0.state == "proposed"  # Its dispute period is not over by the chain's time.


def test_a_clock_that_follows_the_data_is_never_moved_by_the_service(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(["buyer", "seller"])) as community:
        take(community, {"buyer": BUYER, "seller": SELLER})
        chain = community.chain
        assert isinstance(chain, EmbeddedChain)
        before = chain.head()

        async def run(passes_s: float) -> None:
            async with Settling(community, pace_s=PACE_S) as settling:
                await asyncio.sleep(passes_s)
                assert settling.problems() == []

        asyncio.run(run(1))
        assert chain.head() == before  # By the chain's time nothing is due.
        chain.set_next_timestamp(from_unix_s(START_S + DAY_S))
        chain.mine()
        chain.mine()
        asyncio.run(run(2))
        (proposed,) = community.settlements.runs()
        assert proposed.state == "proposed"
        assert chain.head().timestamp_s <= START_S + DAY_S + 5
        chain.set_next_timestamp(from_unix_s(START_S + DAY_S + DAY_S // 4 + 60))
        chain.mine()
        asyncio.run(run(2))
        assert final_runs(community) == [(START_S, 0)]
        assert list(SettlementLoop(community).run()) == []
        assert findings(community) == []


def test_readings_that_come_while_a_run_is_planned_count_for_the_next(tmp_path: Path) -> None:
    """Every reading is either known at a run's cutoff or accepted after it, whoever is first."""
    with community_of(tmp_path / "data", document(["buyer", "seller"])) as community:
        take(community, {"buyer": BUYER, "seller": SELLER})
        chain = community.chain
        assert isinstance(chain, EmbeddedChain)
        chain.set_next_timestamp(from_unix_s(START_S + 2 * DAY_S))
        chain.mine()
        chain.mine()
        lines = registers({"buyer": BUYER}).splitlines()
        file = tmp_path / "more.csv"

        async def run() -> None:
            async with Settling(community, pace_s=0.02):
                for hour in range(1, 20):
                    changed = lines[1 + hour].rsplit(",", 2)
                    wh = 5_000 + sum(import_wh for import_wh, _ in BUYER[:hour]) + 1
                    changed[1] = f"{wh // 1000}.{wh % 1000:03d}"
                    file.write_text("\n".join([lines[0], ",".join(changed)]) + "\n")
                    await asyncio.to_thread(import_registers, community, file)
                    await asyncio.to_thread(chain.mine)
                chain.set_next_timestamp(from_unix_s(START_S + 2 * DAY_S + DAY_S // 4 + 600))
                await asyncio.to_thread(chain.mine)
                await until(lambda: (START_S, 0) in final_runs(community))

        asyncio.run(run())
        assert findings(community) == []


def test_after_days_off_it_catches_up_by_itself_and_answers_meanwhile(tmp_path: Path) -> None:
    periods = 60
    config = document(
        ["buyer", "seller"],
        market={"period_windows": 1, "dispute_period_s": 0, "finalize_within_s": 0},
        chain={},
    )
    first_s = int(time.time()) // 3_600 * 3_600 - periods * 3_600
    config["market"]["first_period_start"] = from_unix_s(first_s)
    with community_of(tmp_path / "data", config) as community:
        lines = [
            line
            for label in ("buyer", "seller")
            for line in home(label, start_s=first_s, step_s=3_600, count=periods + 1)
        ]
        assert not import_registers(community, write(tmp_path / "r.csv", lines)).rejected
        time.sleep(1.1)
        waits_s = []

        async def run() -> None:
            async with serve_community(community, settle_every_s=PACE_S) as service:
                while len(final_runs(community)) < periods:
                    began_s = time.monotonic()
                    view = await asyncio.to_thread(service.market.view)
                    waits_s.append(time.monotonic() - began_s)
                    assert view.account_count == 4
                    assert service.problems() == []

        asyncio.run(run())
        assert final_runs(community) == [(first_s + k * 3_600, 0) for k in range(periods)]
        assert len(waits_s) > 10
        assert sorted(waits_s)[len(waits_s) // 2] < 1
