"""The embedded chain at /rpc: for web3.py, for our own client, and against misuse."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from web3 import Web3
from web3.exceptions import ContractCustomError

from api.jobs.community import Community
from contracts import load
from ledger.chain import rpc_server
from ledger.chain.market import MarketReader
from ledger.chain.protocol import Fees
from ledger.chain.rpc import RpcChain
from ledger.chain.settlement_token import TokenReader
from ledger.keccak import checksum_address
from ledger.units import Address
from tests.api.http_world import World, community_in, problem, world_of
from tests.served import served

Json = dict[str, Any]


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with community_in(tmp_path_factory.mktemp("rpc")) as community:
        yield community


@pytest.fixture(scope="module")
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


@pytest.fixture(scope="module")
def url(world: World) -> Iterator[str]:
    with served(world.app) as url:
        yield url + "/rpc"


@pytest.fixture(scope="module")
def web3(url: str) -> Web3:
    return Web3(Web3.HTTPProvider(url))


def ask(world: World, method: str, *params: Any) -> Any:
    request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
    response = world.client.post("/rpc", json=request)
    assert response.status_code == 200
    answer = response.json()
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", 7)
    return answer


# web3.py.


def test_web3_reads_blocks_transactions_and_receipts(web3: Web3, community: Community) -> None:
    assert web3.is_connected()
    assert (web3.eth.chain_id, web3.net.version) == (1337, "1337")
    head = community.chain.head()
    assert web3.eth.block_number == head.number
    block = web3.eth.get_block(head.number, full_transactions=True)
    assert bytes(block["hash"]) == head.block_hash
    assert web3.eth.get_block(block["hash"])["number"] == head.number
    [transaction] = block["transactions"]
    receipt = web3.eth.get_transaction_receipt(transaction["hash"])
    assert receipt["status"] == 1
    assert receipt["blockHash"] == block["hash"]
    assert receipt["cumulativeGasUsed"] == block["gasUsed"]
    assert web3.eth.get_transaction(transaction["hash"])["from"] == receipt["from"]
    assert web3.eth.get_block("earliest")["number"] == 0


def test_web3_calls_contracts_and_sees_why_they_refuse(web3: Web3, community: Community) -> None:
    market = checksum_address(community.contracts.market)
    contract = web3.eth.contract(address=market, abi=load("EnergyMarket").abi)
    assert contract.functions.accountCount().call() == 4
    with pytest.raises(ContractCustomError) as refused:
        contract.functions.enrol(4, market).call({"from": market})
    assert str(refused.value.args[0]).startswith("0x")  # The custom error's selector and facts.


def test_web3_finds_events_by_contract_topic_and_block(web3: Web3, community: Community) -> None:
    market = checksum_address(community.contracts.market)
    contract = web3.eth.contract(address=market, abi=load("EnergyMarket").abi)
    enrolled = contract.events.AccountEnrolled().get_logs(from_block=0)
    assert [event["args"]["account"] for event in enrolled] == [0, 1, 2, 3]
    [third] = contract.events.AccountEnrolled().get_logs(
        from_block=0, argument_filters={"account": 3}
    )
    assert third["args"]["account"] == 3
    everything = web3.eth.get_logs({"fromBlock": 0, "toBlock": "latest"})
    of_market = web3.eth.get_logs({"fromBlock": 0, "address": market})
    assert 0 < len(of_market) < len(everything)
    block_hash = everything[0]["blockHash"]
    of_block = web3.eth.get_logs({"blockHash": block_hash})
    assert {log["blockHash"] for log in of_block} == {block_hash}


def test_web3_signs_and_sends(web3: Web3, community: Community) -> None:
    sender = web3.eth.account.create()
    token = checksum_address(community.contracts.token)
    contract = web3.eth.contract(address=token, abi=load("SettlementToken").abi)
    spender = checksum_address(community.contracts.escrow)
    transaction = contract.functions.approve(spender, 5).build_transaction(
        {"from": sender.address, "nonce": web3.eth.get_transaction_count(sender.address)}
    )
    assert transaction["maxFeePerGas"] == 0
    tx_hash = web3.eth.send_raw_transaction(sender.sign_transaction(transaction).raw_transaction)
    receipt = web3.eth.wait_for_transaction_receipt(tx_hash, timeout=5)
    assert receipt["status"] == 1
    assert receipt["gasUsed"] <= transaction["gas"]
    assert contract.functions.allowance(sender.address, spender).call() == 5
    assert web3.eth.get_transaction_count(sender.address) == 1
    assert web3.eth.get_balance(sender.address) == 0


def test_web3_learns_that_gas_is_free(web3: Web3) -> None:
    assert web3.eth.gas_price == 0
    assert web3.eth.max_priority_fee == 0
    history = web3.eth.fee_history(3, "latest", [10.0, 90.0])
    assert history["baseFeePerGas"] == [0, 0, 0, 0]
    assert history["reward"] == [[0, 0]] * 3


# Our own client.


def test_our_client_reads_the_same_market_as_the_service(url: str, community: Community) -> None:
    contracts = community.contracts
    with closing(RpcChain.connect(url, expected_chain_id=1337)) as chain:
        assert chain.head() == community.chain.head()
        assert MarketReader(chain, contracts.market).config() == community.market_config
        addresses = [contracts.market, contracts.registry]
        logs = chain.logs(addresses, from_block=0, to_block=2**40)
        assert logs == community.chain.logs(addresses, from_block=0, to_block=2**40)
        assert chain.receipt(logs[0].tx_hash) == community.chain.receipt(logs[0].tx_hash)
        assert chain.transaction(logs[0].tx_hash) == community.chain.transaction(logs[0].tx_hash)
        assert chain.code(contracts.market) == community.chain.code(contracts.market)
        assert chain.fees() == Fees(max_fee_wei=0, priority_fee_wei=0)
        assert TokenReader(chain, contracts.token).decimals() == 6


# JSON-RPC itself.


def test_a_batch_is_answered_in_its_order_without_its_notifications(world: World) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId"},
        {"jsonrpc": "2.0", "method": "eth_chainId"},
        {"jsonrpc": "2.0", "id": 2, "method": "eth_nothing"},
        7,
    ]
    answers = world.client.post("/rpc", json=batch).json()
    assert [answer["id"] for answer in answers] == ["a", 2, None]
    assert answers[0]["result"] == "0x539"
    assert [answer["error"]["code"] for answer in answers[1:]] == [-32601, -32600]


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b"{", -32700),
        (b"\xff", -32700),
        (b'{"id": 1, "id": 2, "method": "eth_chainId"}', -32700),
        (b"[]", -32600),
        (b"[" + b",".join([b"{}"] * 51) + b"]", -32600),
        (b"{}", -32600),
        (b'{"id": 1, "method": 5}', -32600),
        (b'{"id": {}, "method": "eth_accounts", "params": {}}', -32602),
        (b'{"id": 1, "method": "eth_blockNumber", "params": [1]}', -32602),
    ],
)
def test_what_is_no_request_has_its_number(world: World, body: bytes, number: int) -> None:
    answer = world.client.post("/rpc", content=body).json()
    assert answer["error"]["code"] == number


@pytest.mark.parametrize(
    "method",
    ["eth_sendTransaction", "eth_sign", "evm_mine", "debug_traceCall", "personal_listAccounts"],
)
def test_nothing_is_signed_or_mined_for_strangers(world: World, method: str) -> None:
    assert ask(world, method)["error"]["code"] == -32601


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBlockByNumber", ["soon", False]),
        ("eth_getBlockByNumber", ["0x", False]),
        ("eth_getBlockByHash", ["0x12", False]),
        ("eth_getBalance", ["0x" + "11" * 19, "latest"]),
        ("eth_getBalance", [5, "latest"]),
        ("eth_getLogs", [{"topics": "x"}]),
        ("eth_getLogs", [{"topics": [[["x"]]]}]),
        ("eth_getLogs", [{"address": 1}]),
        ("eth_getLogs", [{"blockHash": "0x" + "00" * 32}]),
        ("eth_getLogs", ["latest"]),
        ("eth_call", ["x"]),
        ("eth_call", [{"to": "0x12"}]),
        ("eth_call", [{"data": "zz"}]),
        ("eth_call", [{"value": "much"}]),
        ("eth_call", [{}, {"blockNumber": []}]),
        ("eth_call", [{}, {}]),
        ("eth_feeHistory", [[], "latest"]),
        ("eth_sendRawTransaction", [7]),
        ("eth_sendRawTransaction", []),
    ],
)
def test_wrong_parameters_have_their_number(world: World, method: str, params: list[Any]) -> None:
    assert ask(world, method, *params)["error"]["code"] == -32602


def test_what_is_not_there_is_null(world: World) -> None:
    nothing = "0x" + "00" * 32
    assert ask(world, "eth_getBlockByNumber", hex(10**9), False)["result"] is None
    assert ask(world, "eth_getBlockByHash", nothing, False)["result"] is None
    assert ask(world, "eth_getTransactionByHash", nothing)["result"] is None
    assert ask(world, "eth_getTransactionReceipt", nothing)["result"] is None


def test_a_call_at_a_block_to_come_is_refused(world: World) -> None:
    error = ask(world, "eth_call", {"to": "0x" + "11" * 20}, hex(10**9))["error"]
    assert (error["code"], error["message"]) == (-32000, "unknown block")


def test_there_is_no_ether_to_send(world: World) -> None:
    error = ask(world, "eth_call", {"to": "0x" + "11" * 20, "value": "0x1"})["error"]
    assert "insufficient funds" in error["message"]


def test_a_loop_without_end_is_stopped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_server, "GAS_MAX", 100_000)
    code = "0x5b600056"  # Jumps back for ever, here as a constructor.
    error = ask(world, "eth_call", {"data": code})["error"]
    assert "out of gas" in error["message"]


def test_a_transaction_with_more_gas_than_anybody_needs_is_refused(world: World) -> None:
    signed = world.stranger.sign_transaction(
        chain_id=1337,
        nonce=0,
        to=Address(b"\x11" * 20),
        data=b"",
        gas=rpc_server.GAS_MAX + 1,
        fees=Fees(max_fee_wei=0, priority_fee_wei=0),
    )
    head = world.community.chain.head()
    error = ask(world, "eth_sendRawTransaction", "0x" + signed.raw.hex())["error"]
    assert "gas limit too high" in error["message"]
    assert world.community.chain.head() == head


def test_events_of_too_many_blocks_are_not_looked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ledger.chain import rpc_reads  # noqa: PLC0415

    monkeypatch.setattr(rpc_reads, "BLOCKS_MAX", 2)
    assert "error" in ask(world, "eth_getLogs", {"fromBlock": "0x0", "toBlock": "0x2"})
    assert "result" in ask(world, "eth_getLogs", {"fromBlock": "0x0", "toBlock": "0x1"})


def test_a_chain_behind_a_node_has_no_endpoint_here(
    world: World, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(RpcChain.connect(url)) as node:
        monkeypatch.setattr(world.community, "chain", node)
        request = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}
        problem(world.client.post("/rpc", json=request), 404, "not_found")


def test_ids_of_requests_come_back_as_they_were(world: World) -> None:
    for known in ("x", 0, 1.5, None):
        body = json.dumps({"id": known, "method": "eth_chainId"})
        assert world.client.post("/rpc", content=body).json()["id"] == known
