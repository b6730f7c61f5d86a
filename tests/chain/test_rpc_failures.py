"""An endpoint that is down, slow, broken, restarted or another chain: each has its error."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ledger.chain import jsonrpc
from ledger.chain.errors import (
    ChainUnavailable,
    ContractReverted,
    Refusal,
    TransactionRefused,
    WrongChain,
)
from ledger.chain.rpc import LOG_BLOCKS_MAX, RpcChain
from ledger.keccak import keccak256
from ledger.units import Address, Hash32
from tests.chain.anvil import CHAIN_ID, RICH, anvil, url_of
from tests.chain.probe import Caller
from tests.ports import free_port

CONTRACT = Address(b"\x11" * 20)
HASH = Hash32(b"\x22" * 32)
Answer = Callable[[list[Any]], Any]


class Refused(Exception):
    """A JSON-RPC error that the node below answers with."""


@dataclass
class Node:
    """A node that says exactly what a test wants it to say."""

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    raw: Callable[[BaseHTTPRequestHandler], None] | None = None
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return url_of(self.port)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked[request["method"]] += 1
        try:
            result = self.answers[request["method"]](request["params"])
        except Refused as refused:
            number, message, *data = refused.args
            error = {"code": number, "message": message}
            if data:
                error["data"] = data[0]
            return {"jsonrpc": "2.0", "id": request["id"], "error": error}
        return {"jsonrpc": "2.0", "id": request["id"], "result": result}


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def node() -> Iterator[Node]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if node.raw is not None:
                node.asked[request["method"]] += 1
                node.raw(self)
            else:
                reply(self, 200, json.dumps(node.answer(request)).encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    node = Node(server.server_port, answers={"eth_chainId": lambda _: hex(CHAIN_ID)})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield node
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def chain(node: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[RpcChain]:
    monkeypatch.setattr(jsonrpc, "PAUSE_S", 0.001)
    with RpcChain.connect(node.url, expected_chain_id=CHAIN_ID, timeout_s=0.5) as chain:
        yield chain


def sent(chain: RpcChain) -> Any:
    return chain.send_raw(b"\x02signed")


def refuse(number: int, message: str, *data: Any) -> Answer:
    def answer(_params: list[Any]) -> None:
        raise Refused(number, message, *data)

    return answer


def busy(handler: BaseHTTPRequestHandler) -> None:
    """As of a node that was asked too often."""
    body = b"too many"
    handler.send_response(429)
    handler.send_header("Retry-After", "1")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_node_that_asks_to_be_asked_later_is_waited_for(node: Node) -> None:
    with closing(RpcChain.connect(node.url)) as chain:
        node.answers["eth_getCode"] = lambda _: "0x60"

        def busy_twice(handler: BaseHTTPRequestHandler) -> None:
            if node.asked["eth_getCode"] == 2:
                node.raw = None
            busy(handler)

        node.raw, began_s = busy_twice, time.monotonic()
        assert chain.code(CONTRACT) == b"\x60"
        assert time.monotonic() - began_s >= 2
        assert node.asked["eth_getCode"] == 3


def test_a_node_is_not_waited_for_without_end(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(RpcChain.connect(node.url)) as chain:
        waited: list[float] = []
        monkeypatch.setattr(jsonrpc.time, "sleep", waited.append)
        node.raw = busy
        with pytest.raises(ChainUnavailable, match="HTTP 429"):
            chain.code(CONTRACT)
        assert waited == [1] * jsonrpc.WAITS + [0.1, 0.4]


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(ChainUnavailable) as caught:
        RpcChain.connect(url_of(free_port()))
    assert caught.value.code == "chain_unavailable"
    assert caught.value.rule == "eth_chainId: ConnectionError"


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/", "http://", ""])
def test_an_url_that_is_none_is_unavailable(url: str) -> None:
    with pytest.raises(ChainUnavailable):
        RpcChain.connect(url)


def test_another_chain_than_expected_is_refused_at_once(node: Node) -> None:
    with pytest.raises(WrongChain) as caught:
        RpcChain.connect(node.url, expected_chain_id=1)
    assert (caught.value.chain_id, caught.value.chain_id_expected) == (CHAIN_ID, 1)


def test_a_chain_that_was_replaced_behind_the_url_is_found_out(node: Node, chain: RpcChain) -> None:
    node.answers["eth_chainId"] = lambda _: "0x1"
    with pytest.raises(WrongChain):
        chain.head()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b'"0x1"',
        b"{}",
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"error":"no"}',
        b'{"jsonrpc":"2.0","id":1,"result":null}',
        b'{"jsonrpc":"2.0","id":1,"result":7}',
        b'{"jsonrpc":"2.0","id":1,"result":"seven"}',
        b'{"jsonrpc":"2.0","id":1,"result":"0x"}',
        b'{"jsonrpc":"2.0","id":1,"result":"0xzz"}',
        b'{"jsonrpc":"2.0","id":1,"result":{"number":"0x1"}}',
        b'{"jsonrpc":"2.0","id":1,"result":[[]]}',
    ],
)
def test_garbage_is_unavailable_whatever_was_asked(
    node: Node, chain: RpcChain, body: bytes
) -> None:
    node.raw = lambda handler: reply(handler, 200, body)
    questions: list[Callable[[], object]] = [
        chain.head,
        lambda: chain.nonce(CONTRACT),
        lambda: chain.logs([CONTRACT], from_block=0, to_block=1),
        lambda: chain.estimate_gas(sender=CONTRACT, to=CONTRACT, data=b""),
        chain.fees,
        lambda: sent(chain),
    ]
    for question in questions:
        with pytest.raises(ChainUnavailable):
            question()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503])
def test_an_http_error_is_unavailable_and_says_its_number(
    node: Node, chain: RpcChain, status: int
) -> None:
    node.raw = lambda handler: reply(handler, status, b"no")
    with pytest.raises(ChainUnavailable, match=f"HTTP {status}"):
        chain.head()


def test_a_connection_that_breaks_is_unavailable(node: Node, chain: RpcChain) -> None:
    node.raw = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ChainUnavailable):
        chain.head()


def test_a_slow_answer_is_not_waited_for(node: Node, chain: RpcChain) -> None:
    node.raw = lambda handler: time.sleep(1.0)
    started_at = time.monotonic()
    with pytest.raises(ChainUnavailable, match="Timeout"):
        sent(chain)
    assert time.monotonic() - started_at < 0.9


def test_a_read_is_tried_again_and_a_write_is_not(node: Node, chain: RpcChain) -> None:
    node.asked.clear()
    node.raw = lambda handler: reply(handler, 503, b"")
    with pytest.raises(ChainUnavailable):
        chain.code(CONTRACT)
    with pytest.raises(ChainUnavailable):
        sent(chain)
    assert node.asked == {"eth_getCode": jsonrpc.TRIES, "eth_sendRawTransaction": 1}


def test_a_read_succeeds_when_the_second_try_does(node: Node, chain: RpcChain) -> None:
    def stumble(handler: BaseHTTPRequestHandler) -> None:
        node.raw = None
        reply(handler, 429, b"slow down")

    node.answers["eth_getTransactionCount"] = lambda _: "0x7"
    node.raw = stumble
    assert chain.nonce(CONTRACT) == 7


def test_the_url_and_its_key_are_in_no_error(node: Node) -> None:
    node.raw = lambda handler: reply(handler, 401, b"")
    with pytest.raises(ChainUnavailable) as caught:
        RpcChain.connect(f"{node.url}/v3/secret-key")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("nonce too low: next nonce 5, tx nonce 4", Refusal.NONCE_TOO_LOW),
        ("Nonce too low", Refusal.NONCE_TOO_LOW),
        ("nonce too high", Refusal.NONCE_TOO_HIGH),
        ("replacement transaction underpriced", Refusal.UNDERPRICED),
        ("max fee per gas less than block base fee", Refusal.UNDERPRICED),
        ("Gas price below configured minimum gas price", Refusal.UNDERPRICED),
        ("insufficient funds for gas * price + value", Refusal.FUNDS_MISSING),
        ("Upfront cost exceeds account balance", Refusal.FUNDS_MISSING),
        ("intrinsic gas too low", Refusal.GAS_OUT_OF_RANGE),
        ("exceeds block gas limit", Refusal.GAS_OUT_OF_RANGE),
        ("insufficient gas for floor data gas cost", Refusal.GAS_OUT_OF_RANGE),
        ("invalid chain id for signer", Refusal.WRONG_CHAIN),
        ("rlp: expected input list for types.LegacyTx", Refusal.BAD_TRANSACTION),
        ("invalid sender", Refusal.BAD_TRANSACTION),
    ],
)
def test_the_words_of_geth_besu_and_anvil_have_their_reason(
    node: Node, chain: RpcChain, message: str, reason: Refusal
) -> None:
    node.answers["eth_sendRawTransaction"] = refuse(-32000, message)
    node.answers["eth_getTransactionByHash"] = lambda _: None
    with pytest.raises(TransactionRefused) as caught:
        sent(chain)
    assert caught.value.reason is reason


def test_words_that_nobody_knows_are_unavailable_not_refused(node: Node, chain: RpcChain) -> None:
    node.answers["eth_sendRawTransaction"] = refuse(-32603, "Internal error")
    node.answers["eth_getTransactionByHash"] = lambda _: None
    with pytest.raises(ChainUnavailable, match="Internal error"):
        sent(chain)


def test_already_known_is_as_good_as_sent(node: Node, chain: RpcChain) -> None:
    node.answers["eth_sendRawTransaction"] = refuse(-32000, "already known")
    assert sent(chain) == keccak256(b"\x02signed")


def test_a_hash_that_is_not_the_transactions_is_unavailable(node: Node, chain: RpcChain) -> None:
    node.answers["eth_sendRawTransaction"] = lambda _: "0x" + HASH.hex()
    with pytest.raises(ChainUnavailable):
        sent(chain)


def test_a_revert_without_data_has_no_reason_as_geth_says_it(node: Node, chain: RpcChain) -> None:
    node.answers["eth_call"] = refuse(-32000, "execution reverted")
    with pytest.raises(ContractReverted) as caught:
        chain.call(CONTRACT, b"")
    assert caught.value.arguments == {"reason": "no_reason"}


def test_an_error_that_is_no_revert_is_unavailable(node: Node, chain: RpcChain) -> None:
    node.answers["eth_call"] = refuse(-32005, "daily request count exceeded")
    with pytest.raises(ChainUnavailable):
        chain.call(CONTRACT, b"")


def log_at(number: int) -> dict[str, Any]:
    return {
        "address": "0x" + CONTRACT.hex(),
        "topics": ["0x" + HASH.hex()],
        "data": "0x",
        "blockNumber": hex(number),
        "blockHash": "0x" + HASH.hex(),
        "transactionHash": "0x" + HASH.hex(),
        "transactionIndex": "0x0",
        "logIndex": "0x0",
        "removed": False,
    }


@pytest.mark.parametrize("blocks_max", [1, 7, 100, LOG_BLOCKS_MAX])
def test_logs_come_in_ranges_that_the_node_accepts(
    node: Node, chain: RpcChain, blocks_max: int
) -> None:
    def get_logs(params: list[Any]) -> list[dict[str, Any]]:
        first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
        if last - first >= blocks_max:
            raise Refused(-32005, "query returned more than 10000 results")
        return [log_at(number) for number in range(first, last + 1)]

    head = 3 * LOG_BLOCKS_MAX if blocks_max == LOG_BLOCKS_MAX else 300
    node.answers["eth_blockNumber"] = lambda _: hex(head)
    node.answers["eth_getLogs"] = get_logs
    logs = chain.logs([CONTRACT], from_block=3, to_block=10**9)
    assert [log.block_number for log in logs] == list(range(3, head + 1))


def test_logs_of_a_single_block_that_fails_are_unavailable(node: Node, chain: RpcChain) -> None:
    node.answers["eth_blockNumber"] = lambda _: hex(100)
    node.answers["eth_getLogs"] = refuse(-32005, "no")
    with pytest.raises(ChainUnavailable):
        chain.logs([CONTRACT], from_block=0, to_block=100)


def test_logs_that_a_reorg_removed_are_left_out(node: Node, chain: RpcChain) -> None:
    node.answers["eth_blockNumber"] = lambda _: hex(1)
    node.answers["eth_getLogs"] = lambda _: [log_at(1), {**log_at(1), "removed": True}]
    assert len(chain.logs([CONTRACT], from_block=0, to_block=1)) == 1


def test_fees_without_a_base_fee_are_the_gas_price(node: Node, chain: RpcChain) -> None:
    node.answers["eth_getBlockByNumber"] = lambda _: {"number": "0x1"}
    node.answers["eth_gasPrice"] = lambda _: "0x3e8"
    assert chain.fees().max_fee_wei == 1_000


def test_a_node_that_dies_and_comes_back_is_used_again() -> None:
    port = free_port()
    with anvil(port):
        chain = RpcChain.connect(url_of(port), expected_chain_id=CHAIN_ID)
        caller = Caller(chain, wallet=RICH)
        caller.deploy()
    with closing(chain):
        with pytest.raises(ChainUnavailable):
            chain.head()
        with pytest.raises(ChainUnavailable):
            caller.send(caller.probe, b"")
        with anvil(port):
            assert chain.head().number == 0
            caller.deploy()
        with anvil(port, chain_id=5), pytest.raises(WrongChain):
            chain.head()
