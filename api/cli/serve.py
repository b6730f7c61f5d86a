"""`wattledger serve`: HTTP, pages and OCPP on one port, until it is told to stop."""

import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from api.cli.context import Options, data_path
from api.cli.stopping import Deadline
from api.cli.systemd import READY, STOPPING, tell_systemd
from api.errors import BadInput
from api.jobs.community import Community, open_community
from api.logs import LogFormat, default_format, write_logs
from api.service import OpenService, Service
from api.serving import AT_HOME, serve_community
from api.settings import Settings, read_settings
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Config

    from api.http_transport import PatientHttp

BACKLOG = 2_048
STOP_WITHIN_S = 3  # Whoever still listens to events then is cut off.
UNLOADED_EXIT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Where to serve, under which names and with which certificates."""

    host: str
    port: int
    domains: tuple[str, ...]
    proxy: str | None  # Address whose `X-Forwarded-…` headers are believed.
    certificate: Path | None
    key: Path | None
    client_ca: Path | None
    log_format: LogFormat | None = None  # None: text on a terminal, else JSON.
    speed: int = 1
    replay: bool = False
    workers: int | None = None  # None: as the settings say.


def run_serve(options: Options, serve: ServeOptions) -> None:
    """Serves a data directory; it is this process's alone meanwhile."""
    from api.app import create_app  # noqa: PLC0415 (FastAPI takes a while to import)
    from api.guard import HttpLimits  # noqa: PLC0415

    settings = read_settings()
    if (serve.certificate is None) != (serve.key is None):
        raise BadInput(field="--tls-key", rule="certificate and key go together")
    if serve.client_ca is not None and serve.certificate is None:
        raise BadInput(field="--tls-client-ca", rule="needs --tls-certificate and --tls-key")
    if serve.replay and serve.certificate is not None:
        raise BadInput(field="--replay", rule="simulated chargers connect without TLS")
    write_logs(serve.log_format or default_format())
    opened = open_community(data_path(options), password_file=options.password_file)
    with Deadline() as deadline, opened as community, _listening(serve) as listener:
        url = _url_of(listener, is_tls=serve.certificate is not None)
        opening = _Opening(community, serve, listener, settings)
        limits = HttpLimits(
            requests_per_minute=settings.requests_per_minute,
            readings_requests_per_minute=settings.readings_requests_per_minute,
            refused_readings_per_minute=settings.refused_readings_per_minute,
        )
        app = create_app(opening.open, limits=limits)
        with _stopped_by_signals():
            _serve(
                app,
                serve,
                listener,
                announce=lambda: _announce(options, community, url),
                on_stop=deadline.arm,
            )
        if opening.failed is not None:
            raise opening.failed


class _Opening:
    """Opens the service, and remembers why that failed: the server would only log it."""

    def __init__(
        self,
        community: Community,
        serve: ServeOptions,
        listener: socket.socket,
        settings: Settings,
    ) -> None:
        self._community = community
        self._workers = settings.workers if serve.workers is None else serve.workers
        self._meter_readings_per_minute = settings.meter_readings_per_minute
        self._speed = serve.speed
        self._replays_at = _own_url(listener) if serve.replay else None
        self._known_as = frozenset(serve.domains) or AT_HOME | {serve.host}
        self.failed: LedgerError | None = None

    @property
    def open(self) -> OpenService:
        """What the app opens when it starts."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[Service]:
            try:
                async with serve_community(
                    self._community,
                    known_as=self._known_as,
                    speed=self._speed,
                    replays_at=self._replays_at,
                    workers=self._workers,
                    meter_readings_per_minute=self._meter_readings_per_minute,
                ) as service:
                    yield service
            except LedgerError as error:
                self.failed = error
                raise

        return opened


def _serve(
    app: "FastAPI",
    serve: ServeOptions,
    listener: socket.socket,
    *,
    announce: Callable[[], None],
    on_stop: Callable[[], None],
) -> None:
    import uvicorn  # noqa: PLC0415 (only a server needs it)

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            announce()
            tell_systemd(READY)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            tell_systemd(STOPPING)
            on_stop()
            service: Service | None = getattr(app.state, "service", None)
            if service is not None and service.farewell is not None:
                await service.farewell()
            await super().shutdown(sockets)

    try:
        Announcing(_config(app, serve)).run([listener])
    except SystemExit as leave:
        if leave.code != UNLOADED_EXIT:
            raise


def _config(app: "FastAPI", serve: ServeOptions) -> "Config":
    import uvicorn  # noqa: PLC0415

    from api.charge_point_transport import Tls, websocket_options  # noqa: PLC0415

    tls = None
    if serve.certificate is not None and serve.key is not None:
        tls = Tls(certificate=serve.certificate, key=serve.key, client_ca=serve.client_ca)
    config = uvicorn.Config(
        app,
        **websocket_options(tls),
        loop="auto",  # uvloop where it is installed, which is not on Windows.
        http=_http(),
        lifespan="on",
        log_config=None,
        access_log=False,  # Session ids and addresses are people's.
        server_header=False,
        proxy_headers=serve.proxy is not None,
        forwarded_allow_ips=serve.proxy,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one.
        rule = f"cannot be used: {error.strerror or error}"
        raise BadInput(field="--tls-certificate", rule=rule) from error
    return config


def _http() -> "type[PatientHttp] | Literal['auto']":
    if sys.platform == "win32":  # Where there is no httptools.
        return "auto"
    from api.http_transport import PatientHttp, lift_open_files  # noqa: PLC0415

    lift_open_files()
    return PatientHttp


@contextmanager
def _listening(serve: ServeOptions) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in serve.host else socket.AF_INET
    try:
        listener = socket.create_server((serve.host, serve.port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        rule = f"cannot listen at {serve.host}, port {serve.port}: {error}"
        raise BadInput(field="--port", rule=rule) from error
    with listener:
        yield listener


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the server in order; then the rest is closed, in order, too."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        # The server raises again what stopped it, once it has stopped.
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _url_of(listener: socket.socket, *, is_tls: bool) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if is_tls else 'http'}://{shown}:{port}"


def _own_url(listener: socket.socket) -> str:
    """Where this machine itself reaches the charge points' door."""
    host, port = listener.getsockname()[:2]
    at_home = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (told apart)
    return f"ws://[{at_home}]:{port}" if ":" in at_home else f"ws://{at_home}:{port}"


def _announce(options: Options, community: Community, url: str) -> None:
    """Says where it is, as soon as it can be asked."""
    if options.as_json:
        document = {"url": url, "chain_id": community.chain.chain_id, "name": community.config.name}
        typer.echo(json.dumps(document))
    else:
        typer.echo(f"{community.config.name} is served at {url} (Ctrl-C stops it)")
