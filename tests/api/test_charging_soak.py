"""Many sessions with trouble at every hand-over: all end, and every micro-token is somewhere.

`CHARGING_SOAK` of the environment asks for more sessions than CI takes.
"""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

from charging.desk import ENDED, SessionState
from charging.simulator.faults import Fault
from charging.simulator.ocmf import OcmfSigner
from charging.tariffs import cost_micro_down
from ledger.units import from_unix_s
from tests.api.community_worlds import HOUR_S, START_S
from tests.charging_soak import (
    POWER_W,
    Soak,
    Tide,
    make_chain_refuse,
    make_database_busy,
)
from tests.charging_world import (
    TARIFF,
    WALLET_MICRO,
    ChargingWorld,
    charging_document,
    charging_world,
)

SESSIONS = int(os.environ.get("CHARGING_SOAK", "80"))
SEED = int(os.environ.get("CHARGING_SOAK_SEED", "20260302"))
POINTS = 8
LOSSLESS = frozenset(  # Whoever has these faults tells all that flowed, sooner or later.
    {
        Fault.DUPLICATES,
        Fault.DUPLICATES_NEW_ID,
        Fault.ENDLESS_STOP,
        Fault.TRANSACTION_MINUS_ONE,
        Fault.LATE_VALUES,
        Fault.MIXED_UNITS,
        Fault.CLOCK_HOUR_OFF,
        Fault.CLOCK_1970,
        Fault.RECONNECT_STORM,
        Fault.MALFORMED_FRAMES,
        Fault.UPPER_CASE_TOKEN,
        Fault.FORGED_OCMF,
    }
)
SIGNING = 3  # So many of the chargers sign what they measure.


def document(signers: dict[str, OcmfSigner]) -> dict[str, Any]:
    """Charge points of one host, with one connector each."""
    chargers = []
    for name in (f"CP{number}" for number in range(POINTS)):
        charger = {
            "id": name,
            "host": 2,
            "power_w": POWER_W,
            "register_wh": 910_000,
            "interval_s": 60,
            "tariff": TARIFF,
        }
        if name in signers:
            charger["public_key"] = signers[name].public_key_hex
        chargers.append(charger)
    return charging_document(chargers=chargers)


async def calm(soak: Soak) -> None:
    """Everything works again, and time goes on until nothing is under way."""
    world, tide = soak.world, soak.tide
    soak.is_calm = True
    world.chain.is_down = world.chain.takes_nothing = False
    for _ in range(200):
        tide.now_at += soak._step
        await world.rounds(1)
        views, _ = await world.runtime.desk.sessions_of(None, limit=10_000, before=None)
        if all(view.state in ENDED for view in views) and world.runtime.problems() == []:
            break
    await world.rounds(3)


async def check(soak: Soak) -> dict[str, int]:
    """What must hold whatever happened."""
    world = soak.world
    views, _ = await world.runtime.desk.sessions_of(None, limit=10_000, before=None)
    by_id = {view.session_id: view for view in views}
    deposits_micro = paid_micro = refunded_micro = closed = whole = exact = 0
    for ordered in soak.ordered:
        view = by_id[ordered.session_id]
        assert view.state in ENDED, view
        if view.state is SessionState.FAILED:
            assert view.paid_micro is None
            continue
        assert view.paid_micro is not None
        assert view.refunded_micro is not None
        deposits_micro += view.deposit_micro
        paid_micro += view.paid_micro
        refunded_micro += view.refunded_micro
        if view.state is SessionState.CLOSED and ordered.faults <= LOSSLESS:
            exact += view.energy_wh == ordered.charged_wh
            whole += 1
        closed += view.state is SessionState.CLOSED
        if view.state is SessionState.CLOSED:
            assert view.energy_wh <= ordered.charged_wh, (ordered, view)
            cost_micro = cost_micro_down(
                view.tariff, energy_wh=view.energy_wh, time_s=view.time_s, idle_s=view.idle_s
            )
            assert view.paid_micro == min(cost_micro, view.deposit_micro)
        else:
            assert view.paid_micro == 0
        if view.state is SessionState.CLOSED and "wallet emptied" not in soak.troubles:
            assert world.held_micro(view.driver) == WALLET_MICRO - view.paid_micro
    assert closed * 10 >= len(soak.ordered) * 6  # Or nothing of this was put to the test.
    assert exact * 10 >= whole * 9
    assert deposits_micro == paid_micro + refunded_micro
    held_micro, owed_micro = world.escrow_micro()
    assert held_micro == owed_micro == paid_micro
    assert await asyncio.to_thread(world.audited) == []
    return {
        "deposits_micro": deposits_micro,
        "paid_micro": paid_micro,
        "refunded_micro": refunded_micro,
        "billed to the Wh": exact,
        "of those that told all": whole,
    }


def report(soak: Soak, sums: dict[str, int], states: list[str]) -> None:
    print(
        f"\n{len(soak.ordered)} sessions: "
        + ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    )
    print(", ".join(f"{name} {amount:,}" for name, amount in sums.items()))
    print("; ".join(f"{name} {count}" for name, count in sorted(soak.troubles.items())))


def test_every_session_ends_and_every_token_is_somewhere_whatever_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signers = {f"CP{number}": OcmfSigner.made(serial=f"M{number}") for number in range(SIGNING)}

    async def run() -> None:
        tide = Tide(from_unix_s(START_S + HOUR_S))
        path = tmp_path / "street"
        async with charging_world(path, document(signers), clock=tide, by_ocpp=True) as world:
            patient(world, tide, monkeypatch)
            chance = random.Random(SEED)
            soak = Soak(world=world, tide=tide, chance=chance, sessions=SESSIONS, signers=signers)
            make_database_busy(soak)
            make_chain_refuse(soak)
            await soak.play()
            await calm(soak)
            sums = await check(soak)
            views, _ = await world.runtime.desk.sessions_of(None, limit=10_000, before=None)
            report(soak, sums, [view.state.value for view in views])
            assert len(soak.ordered) >= SESSIONS * 9 // 10

    asyncio.run(run())


def patient(world: ChargingWorld, tide: Tide, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for before something is sent again passes in virtual time, too."""
    monkeypatch.setattr(world.community, "system_now", tide)
    monkeypatch.setattr(world.community.charging_outbox, "_now", tide)
