"""The embedded chain's time, its free gas, and its use by several threads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from eth_account import Account

from ledger.chain.embedded import EmbeddedChain
from ledger.chain.errors import Refusal, TransactionRefused
from ledger.chain.protocol import Fees
from ledger.chain.wallet import new_wallet
from ledger.units import Address, to_unix_s
from tests.chain.probe import Caller, probe_call

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # Of secp256k1.
GENESIS_AT = datetime(2016, 5, 31, tzinfo=UTC)


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    with EmbeddedChain.open(tmp_path, genesis_at=GENESIS_AT) as chain:
        caller = Caller(chain)
        caller.deploy()
        yield caller


def chain_of(caller: Caller) -> EmbeddedChain:
    assert isinstance(caller.chain, EmbeddedChain)
    return caller.chain


def timestamp_s(caller: Caller, number: int) -> int:
    block = caller.chain.block(number)
    assert block is not None
    return block.timestamp_s


def test_the_first_block_has_the_chosen_time_and_later_ones_a_second_more(caller: Caller) -> None:
    assert timestamp_s(caller, 0) == to_unix_s(GENESIS_AT)
    assert timestamp_s(caller, 1) == to_unix_s(GENESIS_AT) + 1


def test_calls_see_the_time_that_the_next_block_will_have(caller: Caller) -> None:
    at = GENESIS_AT + timedelta(days=3)
    chain_of(caller).set_next_timestamp(at)
    assert caller.clock() == (to_unix_s(at), 2)
    receipt = caller.store(1, 1)
    assert timestamp_s(caller, receipt.block_number) == to_unix_s(at)
    # Time stands still afterwards, but each block is later than its parent.
    assert caller.clock() == (to_unix_s(at) + 1, 3)


def test_a_time_in_the_past_becomes_a_second_after_the_parent(caller: Caller) -> None:
    chain_of(caller).set_next_timestamp(GENESIS_AT - timedelta(days=1))
    assert caller.clock() == (to_unix_s(GENESIS_AT) + 2, 2)


def test_a_call_in_a_past_block_sees_that_blocks_time(caller: Caller) -> None:
    chain_of(caller).set_next_timestamp(GENESIS_AT + timedelta(days=3))
    assert caller.clock(block=1) == (to_unix_s(GENESIS_AT) + 1, 1)


def test_a_clock_gives_blocks_their_time(tmp_path: Path) -> None:
    now_at = GENESIS_AT + timedelta(hours=5)
    with EmbeddedChain.open(tmp_path, genesis_at=GENESIS_AT, clock=lambda: now_at) as chain:
        assert chain.mine().timestamp_s == to_unix_s(now_at)
        assert chain.mine().timestamp_s == to_unix_s(now_at) + 1


def test_an_empty_block_can_be_mined(caller: Caller) -> None:
    head = chain_of(caller).head()
    mined = chain_of(caller).mine()
    assert (mined.number, mined.parent_hash) == (head.number + 1, head.block_hash)
    assert caller.store(1, 1).succeeded


def test_whoever_has_no_ether_can_send_even_after_full_blocks(caller: Caller) -> None:
    # Blocks above half the limit would raise the base fee by the usual rule.
    for _ in range(2):
        receipt = caller.send(caller.probe, probe_call("burn"), gas=29_000_000)
        assert receipt.gas_used == 29_000_000
    poor = Caller(caller.chain, wallet=new_wallet(), probe=caller.probe)
    assert caller.chain.fees() == Fees(max_fee_wei=0, priority_fee_wei=0)
    assert poor.store(1, 1).succeeded


def test_a_nonce_that_leaves_a_gap_is_refused(caller: Caller) -> None:
    with pytest.raises(TransactionRefused) as caught:
        caller.chain.send_raw(caller.sign(caller.probe, b"", nonce=9).raw)
    assert caught.value.reason is Refusal.NONCE_TOO_HIGH


def test_a_call_changes_nothing(caller: Caller) -> None:
    head = caller.chain.head()
    caller.chain.call(caller.probe, probe_call("store", 1, 1))
    caller.chain.estimate_gas(
        sender=caller.wallet.address, to=caller.probe, data=probe_call("store", 1, 1)
    )
    assert caller.value(1) == 0
    assert caller.chain.head() == head


def test_the_estimate_of_large_calldata_covers_its_floor(caller: Caller) -> None:
    # EIP-7623: data that is not worked on costs more than its execution.
    data = probe_call("store", 1, 1) + b"\xff" * 20_000
    gas = caller.chain.estimate_gas(sender=caller.wallet.address, to=caller.probe, data=data)
    assert caller.send(caller.probe, data, gas=gas).succeeded
    with pytest.raises(TransactionRefused) as caught:
        caller.send(caller.probe, data, gas=gas - 1)
    assert caught.value.reason is Refusal.GAS_OUT_OF_RANGE


def test_a_deployment_is_estimated_too(caller: Caller) -> None:
    # Returns 8,192 bytes of code: 200 gas a byte.
    code = bytes.fromhex("6120005ff3")
    gas = caller.chain.estimate_gas(sender=caller.wallet.address, to=None, data=code)
    receipt = caller.send(None, code, gas=gas)
    assert receipt.succeeded
    assert receipt.contract_address is not None
    assert len(caller.chain.code(receipt.contract_address)) == 8_192


def test_a_transaction_of_sixteen_million_gas_is_mined(caller: Caller) -> None:
    words = [1] * 700
    receipt = caller.send(caller.probe, probe_call("storeMany", words), gas=16_700_000)
    assert receipt.succeeded
    assert receipt.gas_used > 10_000_000


def test_threads_take_turns(caller: Caller) -> None:
    writers = [Caller(caller.chain, wallet=new_wallet(), probe=caller.probe) for _ in range(4)]

    def work(place: int) -> int:
        for value in range(1, 6):
            assert writers[place].store(place, value).succeeded
            assert writers[place].value(place) == value
        return value

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [5] * 4
    assert caller.chain.head().number == 21


def test_an_address_without_code_answers_with_nothing(caller: Caller) -> None:
    assert caller.chain.call(Address(b"\x05" * 20), b"") == b""


def test_a_second_form_of_a_signature_is_refused(caller: Caller) -> None:
    signed = caller.sign(caller.probe, probe_call("store", 1, 1))
    # The last three items: parity of one byte, r and s of 32 bytes, each with its length before it.
    s = int.from_bytes(signed.raw[-32:])
    parity_at = len(signed.raw) - 67
    flipped = {0x80: b"\x01", 0x01: b"\x80"}[signed.raw[parity_at]]
    other = signed.raw[:parity_at] + flipped + signed.raw[parity_at + 1 : -32]
    for raw in (other + (ORDER - s).to_bytes(32), signed.raw + b"\0"):
        with pytest.raises(TransactionRefused) as caught:
            caller.chain.send_raw(raw)
        assert caught.value.reason is Refusal.BAD_TRANSACTION
    assert caller.chain.send_raw(signed.raw) == signed.tx_hash


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, Refusal.BAD_TRANSACTION),  # Good on any chain, so on ours it is a replay.
        ({"chainId": 5}, Refusal.WRONG_CHAIN),
        ({"chainId": 1337}, None),
        ({"chainId": 1337, "accessList": [], "type": 1}, None),
    ],
)
def test_older_kinds_of_transactions_are_mined_if_they_name_the_chain(
    caller: Caller, fields: dict[str, object], reason: Refusal | None
) -> None:
    common = {"nonce": 1, "to": "0x" + "11" * 20, "value": 0, "gas": 30_000, "gasPrice": 0}
    raw = Account.sign_transaction(common | fields, caller.wallet.private_key).raw_transaction
    if reason is None:
        assert caller.mined(caller.chain.send_raw(bytes(raw))).succeeded
    else:
        with pytest.raises(TransactionRefused) as caught:
            caller.chain.send_raw(bytes(raw))
        assert caught.value.reason is reason
