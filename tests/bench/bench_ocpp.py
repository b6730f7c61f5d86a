"""OCPP: chargers that send a meter value every ten seconds, to us and to the library's own server.

The third row is ours with everything behind it: each message kept and billed before it is answered.

The chargers run in this process, the server in another one whose CPU time is read by itself. What
is lost is counted, and how long an answer takes as the chargers see it.
"""

import asyncio
import json
import os
import resource
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from ledger.units import to_rfc3339
from tests.bench.ocpp_servers import SERVERS, run

USUAL = (300, 30)  # Chargers, seconds.
FULL = (2_000, 300)  # The size that the target is stated for: some twelve minutes.
EVERY_S = 10.0
CONNECTING_AT_ONCE = 50
ANSWER_WITHIN_S = 30.0


@dataclass
class Tally:
    """What the chargers saw."""

    answers_s: list[float] = field(default_factory=list)
    lost: int = 0

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.answers_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1_000


def meter_values(message_id: str, register_wh: int) -> str:
    """One message of a running charge, with energy and power."""
    sampled = [
        {"value": str(register_wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
        {"value": "7360.5", "measurand": "Power.Active.Import", "unit": "W", "phase": "L1"},
    ]
    value = {"timestamp": to_rfc3339(datetime.now(UTC)), "sampledValue": sampled}
    payload = {"connectorId": 1, "transactionId": 7, "meterValue": [value]}
    return json.dumps([2, message_id, "MeterValues", payload])


@dataclass
class Load:
    """All chargers under way."""

    port: int
    chargers: int
    gate: asyncio.Semaphore
    barrier: asyncio.Barrier  # All chargers and the clock: before the first message, and after.
    ends_s: float = 0.0
    tally: Tally = field(default_factory=Tally)


async def charge(load: Load, number: int) -> None:
    """One charger: connects, waits for all others, reports until the end, waits again."""
    async with load.gate:
        socket = await connect(
            f"ws://127.0.0.1:{load.port}/ocpp/CP-{number}",
            subprotocols=[Subprotocol("ocpp1.6")],
            open_timeout=120,
            ping_interval=None,
        )
    async with socket:
        await load.barrier.wait()
        await asyncio.sleep(number * 0.61803 % 1 * EVERY_S)  # Evenly spread, in no order.
        register_wh = 0
        while (begun_s := time.perf_counter()) < load.ends_s:
            register_wh += 20
            await report(socket, f"{number}-{register_wh}", register_wh, load.tally)
            await asyncio.sleep(max(0.0, EVERY_S - (time.perf_counter() - begun_s)))
        await load.barrier.wait()


async def report(socket: ClientConnection, message_id: str, register_wh: int, tally: Tally) -> None:
    """One meter value and its answer."""
    begun_s = time.perf_counter()
    await socket.send(meter_values(message_id, register_wh))
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer = json.loads(await socket.recv())
    except TimeoutError:
        tally.lost += 1
    else:
        tally.lost += answer != [3, message_id, {}]
        tally.answers_s.append(time.perf_counter() - begun_s)


async def run_load(
    port: int, chargers: int, seconds: int, pipe: Connection
) -> tuple[Tally, dict[str, Any], dict[str, Any]]:
    """All chargers; reads the server's counters when they stand, and when they are done."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
    load = Load(port=port, chargers=chargers, gate=gate, barrier=asyncio.Barrier(chargers + 1))
    async with asyncio.TaskGroup() as group:
        for number in range(chargers):
            group.create_task(charge(load, number))
        while load.barrier.n_waiting < chargers:
            await asyncio.sleep(0.1)
        before = counters(pipe)
        load.ends_s = time.perf_counter() + seconds
        await load.barrier.wait()
        await asyncio.sleep(seconds)
        while load.barrier.n_waiting < chargers:
            await asyncio.sleep(0.1)
        after = counters(pipe)
        await load.barrier.wait()
    return load.tally, before, after


def counters(pipe: Connection) -> dict[str, Any]:
    """What the server's process says of itself."""
    pipe.send("report")
    return dict(zip(("cpu_s", "kib", "heard"), pipe.recv(), strict=True))


def measure(name: str, chargers: int, seconds: int) -> dict[str, Any]:
    """One server under load."""
    context = get_context("spawn")
    pipe, far_pipe = context.Pipe()
    process = context.Process(target=run, args=(name, chargers, far_pipe), daemon=True)
    process.start()
    port = pipe.recv()
    bare_kib = counters(pipe)["kib"]
    load_1m = os.getloadavg()[0]
    tally, before, after = uvloop.run(run_load(port, chargers, seconds, pipe))
    process.terminate()
    process.join()
    heard = after["heard"] - before["heard"]
    return {
        "name": name,
        "heard": heard,
        "lost": tally.lost + len(tally.answers_s) - heard,
        "cpu_ms": (after["cpu_s"] - before["cpu_s"]) * 1_000 / heard,
        "cpu_share": (after["cpu_s"] - before["cpu_s"]) / seconds,
        "p50_ms": tally.percentile_ms(0.5),
        "p99_ms": tally.percentile_ms(0.99),
        "kib": (before["kib"] - bare_kib) / chargers,
        "load": load_1m,
    }


def main(chargers: int, seconds: int) -> None:
    """Prints the table."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{chargers:,} chargers, a meter value every {EVERY_S:.0f} s each, for {seconds} s")
    print("server    messages  lost  CPU ms/message  CPU %   p50 ms   p99 ms  KiB/charger  load")
    rows = [measure(name, chargers, seconds) for name in SERVERS]
    for row in rows:
        print(
            f"{row['name']:<8} {row['heard']:>9,} {row['lost']:>5} {row['cpu_ms']:>15.3f} "
            f"{row['cpu_share']:>6.1%} {row['p50_ms']:>8.2f} {row['p99_ms']:>8.2f} "
            f"{row['kib']:>12.1f} {row['load']:>5.2f}"
        )
    print(f"ours takes {rows[0]['cpu_ms'] / rows[1]['cpu_ms']:.0%} of plain's CPU a message")
