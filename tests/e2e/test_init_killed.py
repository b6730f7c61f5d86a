"""`init` and `import` killed with SIGKILL are taken up by the same command."""

from pathlib import Path

from api.jobs.audit import audit
from api.jobs.community import open_community
from api.jobs.evidence import evidence_of
from tests.e2e.fork_server import KILLED, fork_server
from tests.e2e.registers import home, write
from tests.e2e.test_republication import quiet

START_S = 1_464_739_200
CONFIG = """
[chain]
clock = "data"
[market]
first_period_start = 2016-06-01T00:00:00Z
window_s = 3600
period_windows = 24
[supplier]
name = "Supplier"
deposit_micro = 50_000_000
[[accounts]]
name = "a"
deposit_micro = 50_000_000
[[accounts]]
name = "b"
deposit_micro = 50_000_000
[[meters]]
label = "a"
account = 2
[[meters]]
label = "b"
account = 3
"""
TRANSACTIONS = 4 + 1 + 2 + 3 + 3  # Contracts, accounts, meters, mints, deposits.


def test_init_and_import_killed_after_each_write_are_taken_up(tmp_path: Path) -> None:
    config, data = tmp_path / "c.toml", tmp_path / "data"
    config.write_text(CONFIG)
    lines = [
        *home("a", start_s=START_S, step_s=3_600, count=25, export_step_wh=70),
        *home("b", start_s=START_S, step_s=3_600, count=25),
    ]
    registers = write(tmp_path / "r.csv", lines)
    init = ("init", "--config", config, "--data-dir", data)
    take = ("import", registers, "--format", "registers-csv", "--data-dir", data)
    with fork_server(tmp_path) as server:
        kills = 0
        # It tells some facts again each time it is taken up, so one write each would not do.
        while (code := server.run(*init, writes=2 + kills % 5)) == KILLED:
            kills += 1
            assert kills < 200, "it never gets to its end"
            if kills == 5:
                assert server.run(*take) == 1  # Not before it is whole.
        assert code == 0, server.printed()
        assert kills > TRANSACTIONS
        assert server.run(*init) == 1  # It is there.
        while (code := server.run(*take, writes=1)) == KILLED:
            kills += 1
            assert kills < 200, "it never gets to its end"
        assert code == 0, server.printed()
        assert server.run("settle", "--data-dir", data) == 0, server.printed()
    assert "community_exists" in server.printed()
    with open_community(data, read_only=True) as community:
        history = community.refresh()
        assert community.settlements.open_run() is None
        assert len(history.final_order) == 1
        assert community.chain.head().number == TRANSACTIONS + 2
        report = audit(community.chain, evidence_of(community), progress=quiet)
        assert (report.discrepancies, report.readings) == ([], 50)
        assert sum(history.balances_nano) == 3 * 50_000_000 * 1_000
