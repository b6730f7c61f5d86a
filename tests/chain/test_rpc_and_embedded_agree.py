"""What both kinds of chain promise: the same tests against the embedded one, a real node, and the
embedded one as others see it, through its own endpoint."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.chain.embedded import EmbeddedChain
from ledger.chain.errors import ContractReverted, Refusal, TransactionRefused, UnknownBlock
from ledger.chain.protocol import Chain, Fees
from ledger.chain.rpc import RpcChain
from ledger.chain.wallet import new_wallet
from ledger.keccak import keccak256
from ledger.units import Address, Hash32
from tests.chain.anvil import CHAIN_ID, RICH, anvil, url_of
from tests.chain.endpoint import endpoint
from tests.chain.probe import GAS, Caller, probe_call
from tests.ports import free_port

NOBODY = Address(b"\x77" * 20)
STORED = keccak256(b"Stored(uint256,address,uint256)")


@pytest.fixture(scope="module")
def anvil_url() -> Iterator[str]:
    port = free_port()
    with anvil(port):
        yield url_of(port)


@pytest.fixture(params=["embedded", "served", "rpc"])
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chain]:
    if request.param == "rpc":
        url = request.getfixturevalue("anvil_url")
        with closing(RpcChain.connect(url, expected_chain_id=CHAIN_ID)) as chain:
            yield chain
        return
    genesis_at = datetime(2016, 5, 31, tzinfo=UTC)
    with EmbeddedChain.open(tmp_path, chain_id=CHAIN_ID, genesis_at=genesis_at) as embedded:
        if request.param == "embedded":
            yield embedded
            return
        with endpoint(embedded) as url, closing(RpcChain.connect(url)) as chain:
            yield chain


@pytest.fixture
def caller(chain: Chain) -> Caller:
    caller = Caller(chain, wallet=RICH)
    caller.deploy()
    return caller


def revert_of(caller: Caller, function: str, *arguments: int) -> ContractReverted:
    with pytest.raises(ContractReverted) as caught:
        caller.chain.call(
            caller.probe, probe_call(function, *arguments), sender=caller.wallet.address
        )
    return caught.value


def test_a_contract_is_deployed_called_and_read(caller: Caller) -> None:
    assert len(caller.chain.code(caller.probe)) > 100
    receipt = caller.store(7, 42)
    assert receipt.succeeded
    assert caller.value(7) == 42
    assert caller.chain.code(NOBODY) == b""


@pytest.mark.parametrize(
    ("padding", "gas_first", "gas_cleared"),
    [
        (0, 45_557, 23_645),
        (100, 47_157, 25_830),
        (5_000, 221_860, 221_830),
    ],
)
def test_gas_used_is_the_same_on_both(
    caller: Caller, padding: int, gas_first: int, gas_cleared: int
) -> None:
    # Clearing a slot gives a refund; much calldata has a price of its own (EIP-7623).
    filler = b"\x01" * padding
    first = caller.send(caller.probe, probe_call("store", 7, 42) + filler)
    cleared = caller.send(caller.probe, probe_call("store", 7, 0) + filler)
    assert (first.gas_used, cleared.gas_used) == (gas_first, gas_cleared)


def test_a_receipt_and_its_block_and_transaction_belong_together(caller: Caller) -> None:
    signed = caller.sign(caller.probe, probe_call("store", 1, 2))
    nonce = caller.chain.nonce(RICH.address)
    assert caller.chain.transaction(signed.tx_hash) is None
    assert caller.chain.receipt(signed.tx_hash) is None
    assert caller.chain.send_raw(signed.raw) == signed.tx_hash
    receipt = caller.mined(signed.tx_hash)
    transaction = caller.chain.transaction(signed.tx_hash)
    head = caller.chain.head()
    assert transaction is not None
    assert (receipt.block_number, receipt.block_hash) == (head.number, head.block_hash)
    assert receipt.contract_address is None
    assert transaction.block_number == head.number
    assert transaction.sender == RICH.address
    assert transaction.to == caller.probe
    assert transaction.nonce == nonce
    assert transaction.data == probe_call("store", 1, 2)
    assert caller.chain.nonce(RICH.address) == nonce + 1


def test_blocks_are_linked_and_the_one_after_the_head_is_none(caller: Caller) -> None:
    caller.store(1, 1)
    head = caller.chain.head()
    parent = caller.chain.block(head.number - 1)
    assert parent is not None
    assert parent.block_hash == head.parent_hash
    assert parent.timestamp_s <= head.timestamp_s
    assert caller.chain.block(head.number) == head
    assert caller.chain.block(head.number + 1) is None


def test_an_event_is_in_the_receipt_and_in_the_logs(caller: Caller) -> None:
    receipt = caller.store(5, 6)
    (log,) = receipt.logs
    assert log.topics == (
        STORED,
        Hash32((5).to_bytes(32)),
        Hash32(bytes(12) + RICH.address),
    )
    assert log.data == (6).to_bytes(32)
    found = caller.chain.logs([caller.probe], from_block=0, to_block=2**40)
    assert found == [log]
    assert log.tx_hash == receipt.tx_hash


def test_logs_are_those_of_the_named_contracts_and_blocks_in_order(caller: Caller) -> None:
    receipts = [caller.store(slot, slot) for slot in range(4)]
    other = Caller(caller.chain, wallet=RICH)
    other.deploy()
    stranger = other.store(9, 9)
    first, last = receipts[1].block_number, receipts[2].block_number
    found = caller.chain.logs([caller.probe], from_block=first, to_block=last)
    assert found == [*receipts[1].logs, *receipts[2].logs]
    both = caller.chain.logs([caller.probe, other.probe], from_block=0, to_block=2**40)
    assert both == [*(log for receipt in receipts for log in receipt.logs), *stranger.logs]
    assert caller.chain.logs([NOBODY], from_block=0, to_block=2**40) == []
    assert caller.chain.logs([], from_block=0, to_block=2**40) == []


def test_a_call_shows_a_past_block_as_it_left_the_state(caller: Caller) -> None:
    before = caller.store(1, 10).block_number
    caller.store(1, 20)
    assert caller.value(1, block=before) == 10
    assert caller.value(1) == 20
    with pytest.raises(UnknownBlock):
        caller.value(1, block=before + 1_000)


def test_a_custom_error_of_ours_is_raised_by_name(caller: Caller) -> None:
    error = revert_of(caller, "refuse")
    assert error.name == "MeterRegistry_NotRegistrar"
    assert error.arguments == {"caller": RICH.address}


def test_words_and_panics_and_strangers_errors_are_told_apart(caller: Caller) -> None:
    words = revert_of(caller, "refuseInWords")
    assert (words.name, words.arguments) == ("Error", {"message": "in words"})
    panic = revert_of(caller, "panic", 0)
    assert (panic.name, panic.arguments) == ("Panic", {"code": 0x12})
    unheard = revert_of(caller, "refuseUnheard")
    assert unheard.name == "Unknown"
    assert str(unheard.arguments["data"]).endswith("07")


@pytest.mark.parametrize(
    ("function", "reason"),
    [("refuseBare", "no_reason"), ("burn", "out_of_gas"), ("invalid", "invalid")],
)
def test_what_stops_without_words_says_how(caller: Caller, function: str, reason: str) -> None:
    error = revert_of(caller, function)
    assert (error.name, error.arguments) == ("Halted", {"reason": reason})


def test_an_estimate_suffices_and_a_refusal_is_found_before_sending(caller: Caller) -> None:
    data = probe_call("storeMany", list(range(1, 40)))
    gas = caller.chain.estimate_gas(sender=RICH.address, to=caller.probe, data=data)
    receipt = caller.send(caller.probe, data, gas=gas)
    assert receipt.succeeded
    assert receipt.gas_used <= gas <= receipt.gas_used * 13 // 10
    with pytest.raises(ContractReverted, match="MeterRegistry_NotRegistrar"):
        caller.chain.estimate_gas(sender=RICH.address, to=caller.probe, data=probe_call("refuse"))


def test_a_transaction_that_reverts_is_mined_and_has_failed(caller: Caller) -> None:
    nonce = caller.chain.nonce(RICH.address)
    receipt = caller.send(caller.probe, probe_call("refuse"))
    assert not receipt.succeeded
    assert receipt.logs == ()
    assert caller.chain.nonce(RICH.address) == nonce + 1


def test_the_same_transaction_twice_is_one_transaction(caller: Caller) -> None:
    signed = caller.sign(caller.probe, probe_call("store", 3, 4))
    assert caller.chain.send_raw(signed.raw) == signed.tx_hash
    caller.mined(signed.tx_hash)
    head = caller.chain.head()
    assert caller.chain.send_raw(signed.raw) == signed.tx_hash
    assert caller.chain.head() == head


def test_another_transaction_with_a_used_nonce_is_refused(caller: Caller) -> None:
    signed = caller.sign(caller.probe, probe_call("store", 3, 4), nonce=0)
    head = caller.chain.head()
    with pytest.raises(TransactionRefused) as caught:
        caller.chain.send_raw(signed.raw)
    assert caught.value.reason is Refusal.NONCE_TOO_LOW
    assert caller.chain.head() == head


def test_a_transaction_for_another_chain_is_refused(caller: Caller) -> None:
    signed = caller.wallet.sign_transaction(
        chain_id=CHAIN_ID + 1,
        nonce=caller.chain.nonce(RICH.address),
        to=caller.probe,
        data=b"",
        gas=GAS,
        fees=caller.chain.fees(),
    )
    with pytest.raises(TransactionRefused) as caught:
        caller.chain.send_raw(signed.raw)
    assert caught.value.reason is Refusal.WRONG_CHAIN


@pytest.mark.parametrize("gas", [20_000, 10**9])
def test_gas_that_no_block_could_hold_or_that_pays_for_nothing_is_refused(
    caller: Caller, gas: int
) -> None:
    with pytest.raises(TransactionRefused) as caught:
        caller.chain.send_raw(caller.sign(caller.probe, b"", gas=gas).raw)
    assert caught.value.reason is Refusal.GAS_OUT_OF_RANGE


@pytest.mark.parametrize(
    "raw", [b"\x02", b"\x02\xc0", b"\x12\x34", b"\xc0", b"\x02" + b"\xff" * 99]
)
def test_bytes_that_are_no_transaction_are_refused(chain: Chain, raw: bytes) -> None:
    with pytest.raises(TransactionRefused) as caught:
        chain.send_raw(raw)
    assert caught.value.reason is Refusal.BAD_TRANSACTION


def test_who_cannot_pay_for_the_fee_that_he_offers_is_refused(chain: Chain) -> None:
    signed = new_wallet().sign_transaction(
        chain_id=chain.chain_id,
        nonce=0,
        to=NOBODY,
        data=b"",
        gas=GAS,
        fees=Fees(max_fee_wei=10**10, priority_fee_wei=1),
    )
    with pytest.raises(TransactionRefused) as caught:
        chain.send_raw(signed.raw)
    assert caught.value.reason is Refusal.FUNDS_MISSING
