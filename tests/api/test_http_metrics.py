"""`/metrics`: what Prometheus' own parser reads, named as its conventions say, and cheap."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from api.clock import SystemClock
from api.jobs.community import Community
from api.jobs.create import meter_key
from api.loops import LoopState
from ledger.units import from_unix_s
from metering.readings import Reading
from metering.readings_json import to_json
from metering.signing import sign_reading
from tests.api.community_worlds import DAY_S, START_S, STREET, community_of, document, settle_all
from tests.api.community_worlds import take as take_profiles
from tests.api.http_world import World, world_of
from tests.e2e.charging_service import charger_section

SCRAPE_S_MAX = 0.02
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    """Three homes whose first day is settled, and a charger."""
    chargers = [charger_section("CP1", "0123456789")]
    config = document(list(STREET), chargers=chargers, market={"debit_max_wh": 1_000_000})
    with community_of(tmp_path_factory.mktemp("metrics") / "data", config) as community:
        take_profiles(community, STREET)
        settle_all(community)
        yield community


@pytest.fixture
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


def scraped(world: World) -> Samples:
    response = world.client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples["wattledger_" + name, frozenset(labels.items())]


def test_the_page_parses_and_its_names_follow_the_conventions(world: World) -> None:
    world.client.get("/v1/market")
    page = world.client.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(page)}
    ours = {name: family for name, family in families.items() if not name.startswith("process_")}
    assert len(ours) >= 14
    for name, family in ours.items():
        assert re.fullmatch(r"wattledger_[a-z]+(_[a-z]+)*", name), name
        assert family.documentation.endswith("."), name
        assert "milli" not in name
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name == name + "_total"
            assert len(sample.labels) <= 4
        if any(word in name for word in ("age", "duration")):
            assert name.endswith("_seconds")
    text_lines = [line for line in page.splitlines() if line.startswith("# TYPE")]
    assert len(text_lines) == len(set(text_lines))


def test_periods_windows_and_chain_are_those_of_the_community(
    world: World, community: Community
) -> None:
    community.refresh()
    samples = scraped(world)
    assert value(samples, "periods", state="final") == 1
    ended = (community.now_s() - START_S) // DAY_S
    states = ("open", "due", "proposed", "cancelled", "lapsed", "final")
    assert sum(value(samples, "periods", state=state) for state in states) == ended + 1
    assert value(samples, "windows_closed_total") == (community.now_s() - START_S) // 3_600
    age_s = value(samples, "last_settled_period_age_seconds")
    assert age_s == community.now_s() - START_S - DAY_S
    head = community.chain.head().number
    assert value(samples, "chain_head_block") == value(samples, "chain_indexed_block") == head
    assert value(samples, "chain_confirmations_lag_blocks") == 0
    assert value(samples, "database_up") == 1
    for role in ("operator", "charging", "registrar", "owner"):
        assert value(samples, "outbox_depth", role=role) == 0
    assert value(samples, "charge_points", state="offline") == 1
    assert value(samples, "charge_points", state="online") == 0


def test_readings_are_counted_by_what_became_of_them(world: World, community: Community) -> None:
    [meter_id] = [each.meter_id for each in community.readings.meters() if each.label == "buyer"]
    secret = community.keys.secret(meter_key("buyer"))

    def signed(import_wh: int, key: bytes) -> dict[str, object]:
        reading = Reading(
            meter_id=meter_id,
            taken_at=from_unix_s(START_S + DAY_S + 60),
            import_wh=import_wh,
            export_wh=7_000,
        )
        return to_json(sign_reading(reading, key, community.reading_domain))

    good = signed(25_000, secret)
    body = {"readings": [good, good, signed(25_001, b"\x07" * 32)]}
    assert world.client.post("/v1/readings", json=body).json()["accepted"] == 1
    samples = scraped(world)
    assert value(samples, "readings_total", outcome="accepted", code="") == 1
    assert value(samples, "readings_total", outcome="duplicate", code="") == 1
    assert value(samples, "readings_total", outcome="rejected", code="bad_signature") == 1


def test_requests_and_failures_are_counted_by_route_and_code(world: World) -> None:
    for _ in range(3):
        world.client.get("/v1/market")
    world.client.get("/v1/me")
    world.client.get("/v1/somebody/else")
    samples = scraped(world)
    ok = {"route": "/v1/market", "method": "GET"}
    assert value(samples, "http_requests_total", **ok, status="200") == 3
    assert value(samples, "http_request_duration_seconds_count", **ok) == 3
    assert value(samples, "http_request_duration_seconds_bucket", **ok, le="+Inf") == 3
    assert value(samples, "errors_total", code="not_authenticated") == 1
    assert value(samples, "errors_total", code="not_found") == 1
    refused = {"route": "unmatched", "method": "GET", "status": "404"}
    assert value(samples, "http_requests_total", **refused) == 1
    assert value(
        scraped(world), "http_requests_total", route="/metrics", method="GET", status="200"
    )


def test_sessions_and_loops_that_are_in_trouble_are_counted(
    world: World, community: Community
) -> None:
    world.problems += ["settlement: chain_unavailable", "charging: chain: storage_failed"]
    samples = scraped(world)
    assert value(samples, "loop_problems", loop="settlement") == 1
    assert value(samples, "loop_problems", loop="charging") == 1
    assert value(samples, "sessions", state="charging") == 0


def test_two_apps_in_one_process_count_for_themselves(community: Community) -> None:
    with world_of(community) as one, world_of(community) as other:
        one.client.get("/v1/market")
        labels = {"route": "/v1/market", "method": "GET", "status": "200"}
        assert value(scraped(one), "http_requests_total", **labels) == 1
        with pytest.raises(KeyError):
            value(scraped(other), "http_requests_total", **labels)


def test_a_scrape_waits_for_no_writer_and_is_cheap(world: World, community: Community) -> None:
    scraped(world)
    with community.engine.begin() as connection:  # Somebody writes for a long time.
        connection.execute(text("SELECT 1"))
        took_s = []
        for _ in range(5):
            began_s = time.perf_counter()
            scraped(world)
            took_s.append(time.perf_counter() - began_s)
    assert min(took_s) < SCRAPE_S_MAX


def test_what_it_counts_in_the_database_is_found_by_index(community: Community) -> None:
    queries = (
        (
            "SELECT sender, count(*), min(created_s) FROM outbox_intent WHERE chain_id = 1337 "
            "AND state IN ('mined', 'pending', 'signed') GROUP BY sender"
        ),
        "SELECT state, count(*) FROM charge_session GROUP BY state",
    )
    with community.engine.connect() as connection:
        for query in queries:
            plan = connection.execute(text("EXPLAIN QUERY PLAN " + query)).all()
            assert "INDEX" in str(plan[0]), plan


def test_a_scrape_tells_when_each_loop_came_round_last(world: World) -> None:
    last_at = SystemClock().now() - timedelta(seconds=40)
    world.loops += [
        LoopState(name="settlement", last_round_at=last_at, problem=None),
        LoopState(name="relay", last_round_at=None, problem=None),
    ]
    samples = scraped(world)
    assert 40 <= value(samples, "loop_age_seconds", loop="settlement") < 60
    assert ("wattledger_loop_age_seconds", frozenset({("loop", "relay")})) not in samples
