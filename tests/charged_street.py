"""A street in which cars have charged: sessions that were closed, cancelled, and go on."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from charging.desk import SessionState, SessionView
from charging.orders import charger_id_of
from charging.points import MeterSample, SampledValue
from ledger.chain import escrow, settlement_token
from ledger.chain.protocol import Fees
from ledger.chain.wallet import Wallet
from ledger.units import Address
from tests.charging_world import (
    POINT,
    REGISTER_WH,
    ChargingWorld,
    charging_document,
    charging_world,
)
from tests.ocmf_meter import OcmfMeter

GIFT_MICRO = 5
TOP_UP_MICRO = 3_000_000
FIRST_WH, SIGNED_WH, BILLED_WH = 10_123, 4_100, 4_000
ENERGY_WH = FIRST_WH + BILLED_WH


def document(meter: OcmfMeter) -> dict[str, Any]:
    """One charge point with two connectors, whose meter's public key is known."""
    charger = {**charging_document()["chargers"][0], "public_key": meter.public_key()}
    return charging_document(chargers=[charger])


def make_charged_street(path: Path) -> list[SessionView]:
    """A data directory with four sessions: closed with a top-up, closed with signed values,
    cancelled, and one that goes on."""
    return asyncio.run(_play(path))


async def _play(path: Path) -> list[SessionView]:
    meter = OcmfMeter()
    async with charging_world(path, document(meter)) as world:
        driver = await world.driver()
        views = [await _first(world, driver), await _signed(world, driver, meter)]
        views += [await _cancelled(world, driver), await _going_on(world)]
        await _aside(world, driver)
        await _metered(world, views[:2])
        return views


async def _open(world: ChargingWorld, driver: Wallet, **changes: Any) -> SessionView:
    view = await world.place(driver, **changes)
    return await world.until(view.session_id, SessionState.OPEN)


async def _first(world: ChargingWorld, driver: Wallet) -> SessionView:
    view = await _open(world, driver)
    reply = await world.starts(view)
    world.clock.pass_s(1_800)
    await world.measures(reply.transaction_id, REGISTER_WH + 5_000)
    before_micro = view.deposit_micro
    await world.top_up(driver, view.session_id, TOP_UP_MICRO)
    async with asyncio.timeout(30):
        while view.deposit_micro == before_micro:
            view = await world.runtime.desk.view(view.session_id)
            await asyncio.sleep(0.02)
    world.clock.pass_s(1_800)
    await world.stops(reply.transaction_id, REGISTER_WH + FIRST_WH)
    view = await world.until(view.session_id, SessionState.CLOSED)
    data = escrow.pay_host(charger_id_of(POINT, 1))
    community = world.community
    intent = community.intent("pay:host", data, to=community.contracts.escrow)
    await asyncio.to_thread(community.execute, [intent])
    world.clock.pass_s(60)
    return view


async def _signed(world: ChargingWorld, driver: Wallet, meter: OcmfMeter) -> SessionView:
    """Signed values say more than the others, so less than they say is billed."""
    view = await _open(world, driver)
    start_wh = REGISTER_WH + FIRST_WH
    reply = await world.starts(view, start_wh)
    world.clock.pass_s(1_800)
    await world.measures(reply.transaction_id, start_wh + 2_000)
    world.clock.pass_s(1_800)
    record = meter.both(
        f"{start_wh / 1000:.3f}",
        f"{(start_wh + SIGNED_WH) / 1000:.3f}",
        (world.clock() - timedelta(hours=1), world.clock()),
    )
    signed = SampledValue(text=record, signed=True, context="Transaction.End")
    sample = MeterSample(taken_at=world.clock(), values=(signed,))
    await world.stops(reply.transaction_id, start_wh + BILLED_WH, samples=(sample,))
    view = await world.until(view.session_id, SessionState.CLOSED)
    world.clock.pass_s(60)
    return view


async def _cancelled(world: ChargingWorld, driver: Wallet) -> SessionView:
    view = await _open(world, driver)
    await world.runtime.desk.stop(view.session_id)
    view = await world.until(view.session_id, SessionState.CANCELLED)
    world.clock.pass_s(60)
    return view


async def _going_on(world: ChargingWorld) -> SessionView:
    other = await world.driver(8)
    view = await _open(world, other, charger_id=charger_id_of(POINT, 2))
    await world.starts(view, connector_id=2)
    return await world.until(view.session_id, SessionState.CHARGING)


async def _aside(world: ChargingWorld, driver: Wallet) -> None:
    """Somebody voids a nonce, and gives the escrow a little."""
    contracts = world.community.contracts
    await _send(world, driver, contracts.escrow, escrow.void_nonce(10**30))
    gift = settlement_token.transfer(contracts.escrow, GIFT_MICRO)
    await _send(world, driver, contracts.token, gift)


async def _send(world: ChargingWorld, wallet: Wallet, to: Address, data: bytes) -> None:
    chain = world.community.chain
    signed = wallet.sign_transaction(
        chain_id=chain.chain_id,
        nonce=chain.nonce(wallet.address),
        to=to,
        data=data,
        gas=200_000,
        fees=Fees(max_fee_wei=0, priority_fee_wei=0),
    )
    receipt = chain.receipt(await asyncio.to_thread(chain.send_raw, signed.raw))
    assert receipt is not None
    assert receipt.succeeded


async def _metered(world: ChargingWorld, views: list[SessionView]) -> None:
    """The market has the registers of what was closed."""
    async with asyncio.timeout(30):
        for view in views:
            while True:
                session = await asyncio.to_thread(world.runtime.desk._find, view.session_id)
                if session is not None and session.metered:
                    break
                await asyncio.sleep(0.05)
