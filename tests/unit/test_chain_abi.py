"""Selectors, events, errors and settlement calldata, from the committed artifacts."""

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain import market_calls, market_values
from ledger.chain.abi import (
    CONTRACTS,
    contract_address,
    decode_call,
    decode_event,
    deploy_data,
    encode_call,
    errors_by_selector,
    event_topic,
    function_of,
)
from ledger.chain.errors import BadAbiValue, UnknownAbiName
from ledger.chain.market_values import Proposal
from ledger.chain.protocol import Log
from ledger.chain.revert import Halt, reverted
from ledger.clearing import PriceRule, Residual, VolumeRule
from ledger.keccak import keccak256
from ledger.units import Address, Hash32

MARKET = "EnergyMarket"
ADDRESS = Address(b"\x11" * 20)
HASH = Hash32(b"\x22" * 32)
words = st.sampled_from([0, 1, 2**256 - 1]) | st.integers(0, 2**256 - 1)
uint64s = st.sampled_from([0, 1, 2**64 - 1]) | st.integers(0, 2**64 - 1)
uint32s = st.sampled_from([0, 1, 2**32 - 1]) | st.integers(0, 2**32 - 1)
hashes = st.binary(min_size=32, max_size=32).map(Hash32)
proposals = st.builds(
    Proposal,
    period_start_s=uint64s,
    run=uint32s,
    cutoff_at_s=uint64s,
    statements_root=hashes,
    totals_hash=hashes,
)


def log_of(*topics: Hash32, data: bytes = b"") -> Log:
    return Log(
        address=ADDRESS,
        topics=topics,
        data=data,
        block_number=1,
        block_hash=HASH,
        tx_hash=HASH,
        tx_index=0,
        log_index=0,
    )


def test_selectors_and_topics_are_those_that_everybody_knows() -> None:
    assert function_of("SettlementToken", "transfer").selector.hex() == "a9059cbb"
    assert function_of("SettlementToken", "approve").selector.hex() == "095ea7b3"
    assert event_topic("SettlementToken", "Transfer").hex().startswith("ddf252ad1be2c89b")
    assert {"08c379a0", "4e487b71"} <= {selector.hex() for selector in errors_by_selector()}


def test_a_struct_in_a_signature_is_its_tuple() -> None:
    signature = b"setLimits((uint32,uint64,uint64,uint64,uint256),bytes)"
    assert function_of(MARKET, "setLimits").selector == keccak256(signature)[:4]


def test_an_unknown_function_or_event_is_named() -> None:
    with pytest.raises(UnknownAbiName):
        encode_call(MARKET, "mint", [])
    with pytest.raises(UnknownAbiName):
        event_topic(MARKET, "Transfer")
    with pytest.raises(UnknownAbiName):
        decode_call(MARKET, b"\xde\xad\xbe\xef")
    with pytest.raises(UnknownAbiName):
        decode_call(MARKET, b"")


def test_an_event_is_decoded_with_names_in_their_order() -> None:
    log = log_of(
        event_topic(MARKET, "Deposited"),
        Hash32((3).to_bytes(32)),
        Hash32(bytes(12) + ADDRESS),
        data=(5_000_000).to_bytes(32),
    )
    event = decode_event(MARKET, log)
    assert event is not None
    assert event.name == "Deposited"
    assert list(event.arguments.items()) == [
        ("account", 3),
        ("payer", ADDRESS),
        ("amountMicro", 5_000_000),
    ]
    assert event.log is log


def test_a_log_that_is_no_event_of_the_contract_is_none() -> None:
    assert decode_event(MARKET, log_of()) is None
    assert decode_event(MARKET, log_of(HASH)) is None
    # An ERC-721 transfer has the topic of an ERC-20's, with one more indexed value.
    transfer = event_topic("SettlementToken", "Transfer")
    assert decode_event("SettlementToken", log_of(transfer, HASH, HASH, HASH)) is None


@settings(max_examples=40, deadline=None)
@given(proposals, st.lists(words, max_size=96), st.lists(words, max_size=40), st.data())
def test_publishing_calldata_is_read_back_as_it_was_written(
    proposal: Proposal, prices: list[int], deltas: list[int], data: st.DataObject
) -> None:
    shortfalls_nano = data.draw(st.dictionaries(uint32s, uint64s, max_size=5))
    for build, name in ((market_calls.propose, "propose"), (market_calls.settle, "settle")):
        calldata = build(proposal, prices=prices, deltas=deltas, shortfalls_nano=shortfalls_nano)
        found = market_calls.parse_settlement_input(calldata)
        assert found.function == name
        assert found.period_start_s == proposal.period_start_s
        assert (found.run, found.cutoff_at_s) == (proposal.run, proposal.cutoff_at_s)
        assert found.statements_root == proposal.statements_root
        assert found.totals_hash == proposal.totals_hash
        assert (found.prices, found.deltas) == (prices, deltas)
        assert found.shortfalls_nano is not None
        assert list(found.shortfalls_nano.items()) == sorted(shortfalls_nano.items())
        assert found.windows_hash is None


@settings(max_examples=40, deadline=None)
@given(proposals, st.lists(words, max_size=40))
def test_finalizing_calldata_is_read_back_as_it_was_written(
    proposal: Proposal, deltas: list[int]
) -> None:
    calldata = market_calls.finalize(
        period_start_s=proposal.period_start_s,
        run=proposal.run,
        cutoff_at_s=proposal.cutoff_at_s,
        statements_root=proposal.statements_root,
        windows_hash=proposal.totals_hash,
        deltas=deltas,
    )
    found = market_calls.parse_settlement_input(calldata)
    assert found.function == "finalize"
    assert (found.windows_hash, found.totals_hash) == (proposal.totals_hash, None)
    assert (found.prices, found.deltas, found.shortfalls_nano) == (None, deltas, None)


def test_other_calldata_is_no_settlement() -> None:
    with pytest.raises(UnknownAbiName):
        market_calls.parse_settlement_input(market_calls.withdraw(3))
    cut = market_calls.finalize(
        period_start_s=0,
        run=0,
        cutoff_at_s=0,
        statements_root=HASH,
        windows_hash=HASH,
        deltas=[1, 2, 3],
    )[:-1]
    with pytest.raises(BadAbiValue):
        market_calls.parse_settlement_input(cut)


def test_calldata_of_the_largest_settlement_takes_milliseconds() -> None:
    deltas = [2**256 - 1] * 2_048
    started = time.process_time()
    for _ in range(10):
        calldata = market_calls.finalize(
            period_start_s=0,
            run=0,
            cutoff_at_s=0,
            statements_root=HASH,
            windows_hash=HASH,
            deltas=deltas,
        )
        assert market_calls.parse_settlement_input(calldata).deltas == deltas
    # A floor, generous for a busy machine: eth_abi takes some 40 ms for one round.
    assert (time.process_time() - started) / 10 < 0.02


def test_the_rules_are_numbered_as_in_the_contract() -> None:
    assert market_values.VOLUME_RULES == (
        VolumeRule.PROPORTIONAL,
        VolumeRule.STATIC,
        VolumeRule.DYNAMIC,
        VolumeRule.FULL_DYNAMIC,
        VolumeRule.PRIORITY,
    )
    assert market_values.PRICE_RULES == (
        PriceRule.MID_MARKET,
        PriceRule.FIXED,
        PriceRule.SUPPLY_DEMAND_RATIO,
        PriceRule.AUCTION,
    )
    assert market_values.RESIDUALS == (Residual.SETTLED, Residual.EXTERNAL)


def test_every_error_of_the_contracts_has_its_own_selector() -> None:
    names = [error.name for error in errors_by_selector().values()]
    assert len(names) == len(set(names))
    assert "EnergyMarket_NotOperator" in names
    assert "SafeERC20FailedOperation" in names
    assert len(CONTRACTS) == 4


def test_revert_data_becomes_the_error_that_it_says() -> None:
    selector = keccak256(b"EnergyMarket_NotNextAccount(uint32,uint32)")[:4]
    error = reverted(selector + (7).to_bytes(32) + (3).to_bytes(32))
    assert error.name == "EnergyMarket_NotNextAccount"
    assert error.arguments == {"account": 7, "nextAccount": 3}
    assert error.code == "contract_reverted"
    assert "account" in str(error)


@pytest.mark.parametrize("data", [b"\x01", b"\xde\xad\xbe\xef", b"\xde\xad\xbe\xef" + bytes(9)])
def test_revert_data_that_nobody_knows_is_kept(data: bytes) -> None:
    error = reverted(data)
    assert (error.name, error.arguments) == ("Unknown", {"data": "0x" + data.hex()})


def test_revert_data_that_only_looks_like_an_error_is_kept() -> None:
    selector = keccak256(b"EnergyMarket_NotNextAccount(uint32,uint32)")[:4]
    assert reverted(selector + b"\xff" * 64).name == "Unknown"


def test_no_revert_data_is_a_halt() -> None:
    assert reverted(b"").arguments == {"reason": Halt.NO_REASON}
    assert reverted(b"", Halt.OUT_OF_GAS).arguments == {"reason": Halt.OUT_OF_GAS}


def test_a_deployment_is_the_code_and_then_the_constructors_values() -> None:
    data = deploy_data("SettlementToken", [ADDRESS])
    assert data.endswith(bytes(12) + ADDRESS)
    with pytest.raises(BadAbiValue):
        deploy_data("SettlementToken", [])


def test_a_contracts_address_follows_from_sender_and_nonce() -> None:
    # Ethereum's yellow-paper rule; the values are of the well-known first anvil account.
    sender = Address(bytes.fromhex("f39fd6e51aad88f6f4ce6ab8827279cfffb92266"))
    assert contract_address(sender, 0).hex() == "5fbdb2315678afecb367f032d93f642f64180aa3"


def test_reading_a_statement_imports_no_chain() -> None:
    modules = (
        "ledger.chain.protocol, ledger.chain.embedded, ledger.chain.rpc, ledger.chain.wallet, "
        "ledger.chain.market, ledger.chain.registry, ledger.chain.settlement_token"
    )
    heavy = "{'web3', 'eth', 'eth_tester', 'eth_account', 'eth_abi', 'requests'}"
    program = f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
