"""A service settles on a real node that comes, goes and comes back."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.jobs.audit_directory import audit_directory
from api.jobs.community import open_community
from api.jobs.settling import Settling
from tests.api.test_settling import final_runs, until
from tests.chain.anvil import anvil, url_of
from tests.e2e.command_line import Cli
from tests.e2e.test_community_on_a_node import PERIODS, let_next_block_come, make_street
from tests.e2e.test_republication import quiet
from tests.ports import free_port

RPC_TIMEOUT_S = "1"


@pytest.fixture
def node() -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    port = free_port()
    with anvil(port) as process:
        try:
            yield url_of(port), process
        finally:
            process.send_signal(signal.SIGCONT)


def test_a_chain_that_does_not_answer_is_an_alarm_and_then_everything_settles(
    node: tuple[str, "subprocess.Popen[bytes]"],
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, process = node
    street = make_street(cli, tmp_path, url, dispute_s=0)
    monkeypatch.setenv("WATTLEDGER_RPC_TIMEOUT_S", RPC_TIMEOUT_S)

    async def run() -> None:
        with open_community(street.data) as community:
            process.send_signal(signal.SIGSTOP)
            async with Settling(community, pace_s=0.2) as settling:
                await until(lambda: settling.problems() == ["settlement: chain_unavailable"])
                process.send_signal(signal.SIGCONT)
                await asyncio.to_thread(let_next_block_come, url)
                await until(lambda: len(final_runs(community)) == PERIODS)
                await until(lambda: settling.problems() == [])
            report = audit_directory(community, community.chain, progress=quiet)
            assert (report.runs, report.discrepancies) == (PERIODS, [])

    asyncio.run(run())
