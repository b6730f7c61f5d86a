"""Who may connect as which charger: subprotocols, HTTP Basic, certificates, a second connection."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.requests import HTTPConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from api.charge_point_transport import Tls, common_name_of
from api.charger_log_ins import FailedLogIns, LogInLimits
from api.rates import Rates
from charging.ocpp.hearing import Terms
from charging.points import Answer, TransactionEnded
from tests.ocpp_messages import V16
from tests.ocpp_world import MemorySink, World, central_system, until

BOOT = V16["BootNotification"]


async def refusal(world: World, *arguments: Any, **options: Any) -> Any:
    """The HTTP answer of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with world.charger(*arguments, **options):
            pass
    return refused.value.response


def test_the_first_known_subprotocol_is_spoken() -> None:
    async def scenario() -> None:
        async with central_system() as world:
            for offered, chosen in (
                (("ocpp1.6",), "ocpp1.6"),
                (("ocpp2.1", "ocpp2.0.1", "ocpp1.6"), "ocpp2.0.1"),
            ):
                async with world.charger(protocols=offered) as charger:
                    assert charger.socket.subprotocol == chosen
                    assert (await charger.call("Heartbeat", {}))[0] == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("offered", [("ocpp1.5",), ()])
def test_without_a_known_subprotocol_nobody_is_connected(offered: tuple[str, ...]) -> None:
    async def scenario() -> None:
        async with central_system() as world:
            response = await refusal(world, protocols=offered)
            assert response.status_code == 422
            assert b"ocpp2.0.1" in response.body
            assert world.sink.connections == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "options",
    [
        {"password": None},
        {"password": b"wrong"},
        {"password": b""},
        {"user": "CP-2"},
        {"charge_point_id": "CP-7"},
        {"password": None, "headers": {"Authorization": "Bearer x"}},
        {"protocols": ("ocpp1.5",), "password": b"wrong"},
    ],
)
def test_a_stranger_is_refused_before_the_upgrade(options: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with central_system() as world:
            response = await refusal(world, **options)
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"].startswith("Basic")
            assert response.headers["Content-Type"] == "application/problem+json"
            assert world.sink.connections == []
            assert not world.points.is_connected("CP-1")

    asyncio.run(scenario())


def test_who_fails_too_often_is_not_listened_to_and_keeps_nobody_else_out() -> None:
    async def scenario() -> None:
        async with central_system() as world:
            for _ in range(LogInLimits().of_one_name):
                assert (await refusal(world, password=b"wrong")).status_code == 401
            response = await refusal(world, password=b"wrong")
            assert response.status_code == 429
            assert 1 <= int(response.headers["Retry-After"]) <= 60
            # Not even with the right one, or guessing would pay; others come and go.
            assert (await refusal(world)).status_code == 429
            async with world.charger("CP-2") as other:
                assert (await other.call("Heartbeat", {}))[0] == 3

    asyncio.run(scenario())


def test_one_address_fails_only_so_often_under_all_names_together() -> None:
    counted, visitor = FailedLogIns(Rates(), LogInLimits(of_all_names=3)), knocking("203.0.113.9")
    for name in ("CP-1", "CP-2", "CP-3"):
        assert counted.refusal(visitor, name) is None
        counted.failed(visitor, name)
    assert counted.refusal(visitor, "CP-4") is not None
    assert counted.refusal(knocking("203.0.113.10"), "CP-4") is None


def knocking(host: str) -> HTTPConnection:
    return HTTPConnection({"type": "websocket", "client": (host, 1), "headers": []})


def test_a_charger_with_its_own_password_cannot_pose_as_another() -> None:
    async def scenario() -> None:
        async with central_system() as world, world.charger("CP-1"):
            response = await refusal(world, "CP-2", user="CP-1")
            assert response.status_code == 401
            assert not world.points.is_connected("CP-2")

    asyncio.run(scenario())


def test_a_refused_handshake_leaves_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with central_system() as world:
            await refusal(world, password=b"wrong")

    asyncio.run(scenario())
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_second_connection_takes_the_place_of_the_first() -> None:
    async def scenario() -> None:
        async with central_system() as world, world.charger() as first:
            await first.call("Heartbeat", {})
            async with world.charger() as second:
                assert (await second.call("Heartbeat", {}))[0] == 3
                with pytest.raises(ConnectionClosed) as closed:
                    await first.hear()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4000
                unlock = asyncio.create_task(world.points.unlock("CP-1", 1))
                request = await second.hear()
                await second.say([3, request[1], {"status": "Unlocked"}])
                assert await unlock is Answer.ACCEPTED
            await until(lambda: not world.points.is_connected("CP-1"))
            spoken = ("CP-1", "ocpp1.6")
            assert world.sink.connections == [spoken, spoken, ("CP-1", "")]

    asyncio.run(scenario())


def test_what_the_first_connection_said_is_taken_before_what_the_second_says() -> None:
    async def scenario() -> None:
        sink = MemorySink(gate=asyncio.Event())
        async with central_system(sink=sink) as world, world.charger() as first:
            await first.say([2, "1", "StopTransaction", V16["StopTransaction"]])
            await first.say([2, "2", "StopTransaction", V16["StopTransaction"]])
            await asyncio.sleep(0.05)
            async with world.charger() as second:
                await second.say([2, "3", "BootNotification", BOOT])
                await asyncio.sleep(0.05)
                assert sink.gate is not None
                sink.gate.set()
                assert (await second.hear())[1] == "3"
            assert [event.message_id for event in sink.events] == ["1", "2", "3"]

    asyncio.run(scenario())


def test_a_charger_that_says_its_stop_and_vanishes_has_said_it() -> None:
    async def scenario() -> None:
        sink = MemorySink(gate=asyncio.Event())
        async with central_system(sink=sink) as world:
            async with world.charger() as charger:
                await charger.say([2, "1", "StopTransaction", V16["StopTransaction"]])
                await asyncio.sleep(0.05)
            assert sink.gate is not None
            sink.gate.set()
            await until(lambda: sink.of(TransactionEnded))
            await until(lambda: not world.points.is_connected("CP-1"))

    asyncio.run(scenario())


def test_a_proxys_header_names_the_certificate_only_where_that_is_configured() -> None:
    async def scenario() -> None:
        async with central_system() as world:
            world.door.certificates["CP-9"] = "cp-nine"
            headers = {"X-Client-CN": "cp-nine"}
            assert (await refusal(world, "CP-9", password=None, headers=headers)).status_code == 401
            world.app.state.certificate_header = "X-Client-CN"
            async with world.charger("CP-9", password=None, headers=headers) as charger:
                assert (await charger.call("Heartbeat", {}))[0] == 3
            headers = {"X-Client-CN": "cp-eight"}
            assert (await refusal(world, "CP-9", password=None, headers=headers)).status_code == 401

    asyncio.run(scenario())


class Authority:
    """A certificate authority in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        self.certificate = self._sign(self.name, self.key, is_authority=True)
        self.path = directory / "ca.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, common_name: str) -> tuple[Path, Path]:
        """Certificate and key of somebody."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        certificate = self._sign(name, key)
        paths = (self.directory / f"{common_name}.pem", self.directory / f"{common_name}.key")
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, hashes.SHA256())
        )


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_client_certificate_opens_its_own_door_and_no_other(tmp_path: Path, run: Any) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path_of(tmp_path, "strangers"))
    server, client, stranger = (
        ours.issue("localhost"),
        ours.issue("cp-nine"),
        theirs.issue("cp-nine"),
    )
    tls = Tls(certificate=server[0], key=server[1], client_ca=ours.path)

    def context(pair: tuple[Path, Path] | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(ours.path))
        if pair is not None:
            made.load_cert_chain(*pair)
        return made

    async def scenario() -> None:
        async with central_system(tls=tls) as world:
            world.door.certificates |= {"CP-9": "cp-nine", "CP-8": "cp-eight"}
            async with world.charger("CP-9", password=None, ssl=context(client)) as charger:
                assert (await charger.call("Heartbeat", {}))[0] == 3
            other = await refusal(world, "CP-8", password=None, ssl=context(client))
            assert other.status_code == 401
            without = await refusal(world, "CP-9", password=None, ssl=context(None))
            assert without.status_code == 401
            with pytest.raises((OSError, InvalidHandshake)):
                async with world.charger("CP-9", password=None, ssl=context(stranger)):
                    pass
            # Security profile 2 on the same port: TLS, a password and no certificate.
            async with world.charger("CP-1", ssl=context(None)) as charger:
                assert (await charger.call("Heartbeat", {}))[0] == 3

    run(scenario())


def tmp_path_of(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def test_a_certificate_with_two_common_names_names_nobody() -> None:
    one, two = ((("commonName", "a"),),), ((("commonName", "a"),), (("commonName", "b"),))
    assert common_name_of({"subject": one}) == "a"
    assert common_name_of({"subject": two}) is None
    assert common_name_of({"subject": ()}) is None
    assert common_name_of(None) is None


def test_terms_are_told_at_boot() -> None:
    async def scenario() -> None:
        terms = Terms(heartbeat_s=42)
        async with central_system(terms=terms) as world, world.charger() as charger:
            assert (await charger.call("BootNotification", BOOT))[2]["interval"] == 42

    asyncio.run(scenario())
