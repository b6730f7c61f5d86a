"""Where nothing may skip (`WATTLEDGER_NO_SKIP=1`, as in CI), a skipped test is a failed one."""

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

# How long an example takes is the machine's matter; speed is measured in tests/bench.
settings.register_profile("wattledger", deadline=None)
settings.load_profile("wattledger")

NO_SKIP = os.environ.get("WATTLEDGER_NO_SKIP") == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may skip: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if NO_SKIP and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may skip: {report.longrepr}"
    return report
