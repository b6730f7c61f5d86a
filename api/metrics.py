"""What Prometheus scrapes: counters of this process, and what the service says of itself now.

A scrape asks no chain and reads no whole table: it takes what the loops saw last, and counts by
index. Nothing here names a person, a meter or a session.
"""

import platform
import time
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from api.clock import SystemClock
from api.exchange import Exchange
from api.jobs.community import ROLES
from api.jobs.taking.answers import ACCEPTED, DUPLICATES
from api.metrics_store import Counts, counting
from api.service import Service
from charging.desk import SessionState
from ledger.history import MarketHistory
from ledger.units import to_unix_s

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
SESSIONS_KEPT_S: Final = 15  # Their count reads an index as long as there are sessions.
LATENCY_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
PERIOD_STATES: Final = ("open", "due", "proposed", "cancelled", "lapsed", "final")
OTHER_SENDER: Final = "account"  # A trial account's own transaction.


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "wattledger_http_requests",
            "Requests by route template, method and status.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._latency = Histogram(
            "wattledger_http_request_duration_seconds",
            "From a request's first byte until its answer began.",
            ["route", "method"],
            buckets=LATENCY_S,
            registry=self._registry,
        )
        self._errors = Counter(
            "wattledger_errors",
            "Requests that were answered with a problem, by its code.",
            ["code"],
            registry=self._registry,
        )
        build = Info("wattledger_build", "What is running.", registry=self._registry)
        build.info({"version": version("wattledger"), "python": platform.python_version()})
        ProcessCollector(registry=self._registry)

    def exchanged(self, exchange: Exchange) -> None:
        """Counts a request; see `api.watching.Traffic`."""
        route, method = exchange.route, exchange.method
        self._requests.labels(route, method, str(exchange.status)).inc()
        self._latency.labels(route, method).observe(exchange.seconds)
        if exchange.code:
            self._errors.labels(exchange.code).inc()

    @contextmanager
    def of(self, service: Service) -> Iterator[None]:
        """Tells of a service as long as it runs."""
        community = service.community
        with counting(community.engine, chain_id=community.config.chain.chain_id) as counts:
            told = _ServiceState(service, counts)
            self._registry.register(told)
            try:
                yield
            finally:
                self._registry.unregister(told)

    def page(self) -> bytes:
        """All of it, as Prometheus reads it. Waits for the database."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """All of it, less the times at which each counter began: they treble the page."""
        for metric in self._registry.collect():
            metric.samples = [
                sample for sample in metric.samples if not sample.name.endswith("_created")
            ]
            yield metric


class _ServiceState(Collector):
    """Asks the service whenever somebody scrapes."""

    def __init__(self, service: Service, counts: Counts) -> None:
        self._service = service
        self._community = service.community
        self._counts = counts
        self._sessions: Mapping[str, int] = {}
        self._sessions_until_s = 0.0
        keys = self._community.keys
        self._roles = {
            keys.wallet(role).address: role for role in ROLES if role in keys and role != "salt"
        }

    def describe(self) -> list[Metric]:
        """Nothing is asked at registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        """As Prometheus' client asks for it."""
        yield self._readings()
        yield from self._market()
        yield from self._chain()
        yield from self._loops()
        yield self._charge_points()
        try:
            yield from self._outbox()
            yield self._session_states()
        except SQLAlchemyError:
            yield _gauge("database_up", "Whether the database answered this scrape.", 0)
        else:
            yield _gauge("database_up", "Whether the database answered this scrape.", 1)

    def _readings(self) -> Metric:
        told = CounterMetricFamily(
            "wattledger_readings",
            "Readings over HTTP since the service began; rejected ones by code.",
            labels=["outcome", "code"],
        )
        found = dict(self._service.readings.counts())
        told.add_metric([ACCEPTED, ""], found.pop(ACCEPTED, 0))
        told.add_metric(["duplicate", ""], found.pop(DUPLICATES, 0))
        for code, count in sorted(found.items()):
            told.add_metric(["rejected", code], count)
        return told

    def _market(self) -> Iterator[Metric]:
        schedule, history = self._community.schedule, self._community.following.last_told()
        now_s = to_unix_s(self._community.clock.now())
        since_s = max(0, now_s - schedule.first_period_start_s)
        yield _counter("windows_closed", "Windows that have ended.", since_s // schedule.window_s)
        states = self._period_states(history, since_s)
        told = _family("periods", "Periods by state; due ones are past their grace.", "state")
        for state in PERIOD_STATES:
            told.add_metric([state], states[state])
        yield told
        final_s = states["final"] * schedule.period_s
        if final_s:
            help_text = "Since the end of the last period that is final."
            yield _gauge("last_settled_period_age_seconds", help_text, since_s - final_s)

    def _period_states(self, history: MarketHistory, since_s: int) -> Tally[str]:
        """Run 0 goes period by period without gaps, so that arithmetic tells all but one."""
        schedule = self._community.schedule
        final = sum(run == 0 for _, run in history.final_order)
        states = Tally[str](final=final, open=1)
        ended = since_s // schedule.period_s
        grace_over = (since_s - self._community.market_config.grace_s) // schedule.period_s
        states["due"] = max(0, grace_over - final)
        states["open"] += max(0, ended - max(final, grace_over))
        next_run = history.runs.get((schedule.first_period_start_s + final * schedule.period_s, 0))
        if next_run is not None and next_run.state in PERIOD_STATES:
            states["due" if states["due"] else "open"] -= 1
            states[next_run.state] += 1
        return states

    def _chain(self) -> Iterator[Metric]:
        head, indexed = self._community.following.seen()
        if head is None:
            return
        yield _gauge("chain_head_block", "The last block that the loops saw.", head.number)
        age_s = max(0, to_unix_s(self._community.clock.now()) - head.timestamp_s)
        yield _gauge("chain_head_age_seconds", "Since that block, by its own time.", age_s)
        if indexed >= 0:
            yield _gauge("chain_indexed_block", "The last block that is indexed.", indexed)
            help_text = "Blocks between the two: confirmations that are waited for, or more."
            yield _gauge("chain_confirmations_lag_blocks", help_text, head.number - indexed)

    def _loops(self) -> Iterator[Metric]:
        told = _family("loop_problems", "What the loops behind cannot do now, by loop.", "loop")
        found = Tally(problem.partition(":")[0] for problem in self._service.problems())
        for loop in sorted({"charging", "settlement", *found}):
            told.add_metric([loop], found[loop])
        yield told
        rounds = _family("loop_age_seconds", "Since each loop last came round, by loop.", "loop")
        now_at = SystemClock().now()
        for state in self._service.loops():
            if state.last_round_at is not None:
                rounds.add_metric([state.name], (now_at - state.last_round_at).total_seconds())
        yield rounds

    def _charge_points(self) -> Metric:
        told = _family("charge_points", "Charge points by connection.", "state")
        is_online = [
            self._service.points.is_connected(section.charge_point_id)
            for section in self._community.config.chargers
        ]
        told.add_metric(["online"], sum(is_online))
        told.add_metric(["offline"], len(is_online) - sum(is_online))
        return told

    def _outbox(self) -> Iterator[Metric]:
        depth = _family("outbox_depth", "Transactions that are owed to the chain.", "role")
        age = _family("outbox_oldest_age_seconds", "Of the oldest of them.", "role")
        counts, oldest_s = Tally[str](), dict[str, int]()
        for owed in self._counts.outbox():
            role = self._roles.get(owed.sender, OTHER_SENDER)
            counts[role] += owed.count
            oldest_s[role] = min(owed.oldest_s, oldest_s.get(role, owed.oldest_s))
        now_s = to_unix_s(self._service.now())
        for role in sorted({*self._roles.values(), *counts}):
            depth.add_metric([role], counts[role])
            age.add_metric([role], max(0, now_s - oldest_s[role]) if role in oldest_s else 0)
        yield from (depth, age)

    def _session_states(self) -> Metric:
        if time.monotonic() >= self._sessions_until_s:
            self._sessions = self._counts.sessions()
            self._sessions_until_s = time.monotonic() + SESSIONS_KEPT_S
        told = _family("sessions", "Charging sessions by state.", "state")
        for state in SessionState:
            told.add_metric([state], self._sessions.get(state, 0))
        return told


def _family(name: str, help_text: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"wattledger_{name}", help_text, labels=[label])


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"wattledger_{name}", help_text, value=value)


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"wattledger_{name}", help_text, value=value)
