"""Readiness: what is wrong is told in words for people, under codes that stay."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest

from api.jobs.community import Community
from api.jobs.opening import system_now
from api.readiness import finding_of_loop, roles_without_gas
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.rpc import RpcChain
from ledger.chain.wallet import new_wallet
from tests.api.http_world import World, community_in, world_of
from tests.chain.anvil import CHAIN_ID, RICH, anvil, url_of
from tests.ports import free_port

GIB = 2**30


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with community_in(tmp_path_factory.mktemp("readiness")) as community:
        yield community


@pytest.fixture
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


def found(world: World) -> tuple[int, str, list[tuple[str, str]]]:
    response = world.client.get("/readyz")
    document = response.json()
    for each in document["problems"]:
        assert each["detail"].endswith(".")
        assert each["detail"][0].isupper()
    problems = [(each["part"], each["code"]) for each in document["problems"]]
    return response.status_code, document["status"], problems


def test_a_service_that_can_work_is_ready(world: World) -> None:
    assert found(world) == (200, "ok", [])


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (GIB + 1, (200, "ok", [])),
        (GIB - 1, (200, "warning", [("disk", "disk_low")])),
        (60 * 2**20, (503, "not_ready", [("disk", "disk_full")])),
    ],
)
def test_a_disk_that_is_nearly_full_is_told_in_time(
    world: World, monkeypatch: pytest.MonkeyPatch, free: int, expected: object
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert found(world) == expected


def test_a_chain_that_is_ahead_of_the_clock_is_a_warning(
    world: World, community: Community
) -> None:
    chain = community.chain
    assert isinstance(chain, EmbeddedChain)
    try:
        chain.follow_clock(lambda: system_now() + timedelta(hours=1))
        chain.mine()
        assert found(world)[:2] == (200, "ok")
        chain.follow_clock(system_now)
        assert found(world) == (200, "warning", [("clock", "clock_skew")])
    finally:
        chain._clock = None


def test_a_database_that_refuses_is_told_without_its_name(
    world: World, community: Community
) -> None:
    file = community.directory.path / "wattledger.db"
    community.engine.dispose()
    away = [(each, each.with_name("away-" + each.name)) for each in file.parent.glob("*.db*")]
    for here, there in away:
        here.rename(there)
    file.mkdir()  # Nothing can be opened here.
    try:
        response = world.client.get("/readyz")
    finally:
        community.engine.dispose()
        file.rmdir()
        for here, there in away:
            there.rename(here)
    assert response.status_code == 503
    assert [each["code"] for each in response.json()["problems"]] == ["storage_failed"]
    assert "wattledger.db" not in response.text
    assert found(world) == (200, "ok", [])


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("settlement: chain_unavailable", "chain_unavailable", "does not answer"),
        ("charging: chain: storage_failed", "storage_failed", "database or the disk"),
        ("relay: its address needs gas: funds_missing", "funds_missing", "gas"),
        ("settlement: no round for 200 s", "stalled", "no round for 200 s"),
        ("settlement: supplier_short: needed_nano=7", "supplier_short", "needed_nano=7"),
        ("clock: internal_error", "internal_error", "the log says what"),
        ("odd", "held_up", "does not say why"),
    ],
)
def test_a_loop_that_is_held_up_says_so_in_words(line: str, code: str, words: str) -> None:
    finding = finding_of_loop(line)
    assert (finding.part, finding.code, finding.stops_work) == (
        line.split(": ", maxsplit=1)[0],
        code,
        True,
    )
    assert words in finding.detail


def test_a_hot_key_that_cannot_pay_gas_is_found_on_a_node() -> None:
    port, poor = free_port(), new_wallet()
    wallets = {"operator": RICH.address, "charging": poor.address}
    with anvil(port), RpcChain.connect(url_of(port), expected_chain_id=CHAIN_ID) as chain:
        assert roles_without_gas(chain, wallets) == ["charging"]
