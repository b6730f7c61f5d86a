"""`wattledger serve` as a process: it starts, answers, listens live, and ends in order."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.jobs.community import open_community
from ledger.chain.wallet import new_wallet
from ledger.keccak import checksum_address, personal_digest
from ledger.units import to_rfc3339
from tests.e2e.command_line import Cli
from tests.e2e.registers import ROOT

PROGRAM = "import sys; from api.cli.app import run; sys.exit(run(sys.argv[1:]))"
ENDS_WITHIN_S = 60


@contextmanager
def serving(home: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that serves a data directory at a free port, and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "serve", "--port", "0", "--json", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "WATTLEDGER_DATA_DIR": str(home)},
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield process, json.loads(line)["url"]
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=ENDS_WITHIN_S)
    return process.returncode, out, err


def signed_in(url: str) -> dict[str, str]:
    host, wallet = url.split("//")[1], new_wallet()
    nonce = httpx2.post(url + "/v1/auth/nonce", json={}).json()["nonce"]
    text = (
        f"{host} wants you to sign in with your Ethereum account:\n"
        f"{checksum_address(wallet.address)}\n\n\nURI: {url}/\nVersion: 1\nChain ID: 1337\n"
        f"Nonce: {nonce}\nIssued At: {to_rfc3339(datetime.now(UTC))}"
    )
    signature = "0x" + wallet.sign_digest(personal_digest(text)).hex()
    answer = httpx2.post(
        url + "/v1/auth/login", json={"message": text, "signature": signature}
    ).json()
    return {"Authorization": f"Bearer {answer['access_token']}"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_is_served_until_a_signal_ends_it_in_order(
    demo_copy: Path, number: signal.Signals
) -> None:
    with serving(demo_copy) as (process, url):
        assert httpx2.get(url + "/readyz").json() == {"status": "ok", "problems": []}
        assert httpx2.get(url + "/v1/market").json()["accounts"] >= 8
        assert httpx2.get(url + "/v1/me", headers=signed_in(url)).status_code == 200
        block = httpx2.post(url + "/rpc", json={"id": 1, "method": "eth_blockNumber"}).json()
        assert int(block["result"], 16) > 0
        code, out, err = ended(process, number)
    assert (code, out) == (0, "")
    assert "Traceback" not in err
    with open_community(demo_copy) as community:  # The directory is free again.
        assert community.chain.head().number >= int(block["result"], 16)


def test_a_token_outlives_a_restart(demo_copy: Path) -> None:
    with serving(demo_copy) as (process, url):
        headers = signed_in(url)
        ended(process, signal.SIGTERM)
    with serving(demo_copy) as (_, url):
        assert httpx2.get(url + "/v1/me", headers=headers).status_code == 200


def test_one_process_serves_a_directory(demo_copy: Path, cli: Cli) -> None:
    with serving(demo_copy):
        ran = cli("serve", "--port", "0", "--data-dir", demo_copy, "--json")
    assert (ran.code, ran.document["error"]["code"]) == (1, "data_directory_in_use")


def test_a_taken_port_is_named(demo_copy: Path, cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = cli("serve", "--port", port, "--data-dir", demo_copy)
    assert ran.code == 1
    assert f"port {port}" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code", "field"),
    [
        (("--host", "nowhere.invalid"), 1, "--port"),
        (("--tls-key", "key.pem"), 1, "--tls-key"),
        (("--tls-client-ca", "ca.pem"), 1, "--tls-client-ca"),
        (("--tls-certificate", "a.pem", "--tls-key", "b.pem"), 1, "--tls-certificate"),
        (("--port", "70000"), 2, "--port"),
    ],
)
def test_what_cannot_be_served_names_its_option(
    demo_copy: Path, cli: Cli, words: tuple[str, ...], code: int, field: str
) -> None:
    ran = cli("serve", "--data-dir", demo_copy, *words)
    assert ran.code == code
    assert field in ran.err


def test_without_a_community_there_is_nothing_to_serve(tmp_path: Path, cli: Cli) -> None:
    ran = cli("serve", "--data-dir", tmp_path / "none")
    assert ran.code == 1
    assert ran.err.startswith("wattledger: no_community")


def certificate(place: Path) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now_at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now_at - timedelta(days=1))
        .not_valid_after(now_at + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain_file, key_file = place / "chain.pem", place / "key.pem"
    chain_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain_file, key_file


def test_over_tls_everything_is_https(demo_copy: Path, tmp_path: Path) -> None:
    chain_file, key_file = certificate(tmp_path)
    words: list[Any] = ["--tls-certificate", chain_file, "--tls-key", key_file]
    with serving(demo_copy, *map(str, words)) as (_, url):
        assert url.startswith("https://")
        port = url.rsplit(":", 1)[1]
        trust = ssl.create_default_context(cafile=chain_file)
        response = httpx2.get(f"https://localhost:{port}/healthz", verify=trust)
        assert response.status_code == 200
        assert "strict-transport-security" in response.headers
