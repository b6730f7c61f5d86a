"""Transactions and keys, against eth_account; key files."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import keccak
from ledger.chain.errors import BadKeystore
from ledger.chain.protocol import Fees
from ledger.chain.rlp import RlpItem, rlp_encode
from ledger.chain.wallet import Wallet, load_keystore, new_wallet, save_keystore
from ledger.units import Address, Hash32

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
WALLET = Wallet(b"\x46" * 32)
WEAK = 2  # scrypt's N: a test cannot wait for the real one.

sizes = st.sampled_from([0, 1, 2, 55, 56, 57, 255, 256, 257])
octets = st.one_of(st.binary(max_size=4), sizes.map(lambda size: b"\x07" * size))
numbers = st.one_of(st.sampled_from([0, 1, 127, 128, 255, 256]), st.integers(0, 2**256 - 1))


@settings(max_examples=100, deadline=None)
@given(st.recursive(octets | numbers, lambda inner: st.lists(inner, max_size=4), max_leaves=12))
def test_anything_is_encoded_as_the_rlp_library_does_it(item: RlpItem) -> None:
    import rlp  # noqa: PLC0415 (slow to import)

    assert rlp_encode(item) == rlp.encode(item)


@settings(max_examples=40, deadline=None)
@given(
    private_key=st.sampled_from([1, 2, ORDER - 1]) | st.integers(1, ORDER - 1),
    nonce=st.sampled_from([0, 127, 128]) | st.integers(0, 2**40),
    to=st.none() | st.binary(min_size=20, max_size=20),
    data=octets,
    gas=st.integers(21_000, 2**40),
    max_fee=st.sampled_from([0, 1]) | st.integers(0, 2**70),
    value=st.sampled_from([0, 1]) | st.integers(0, 2**90),
)
def test_a_transaction_is_the_one_that_eth_account_signs(
    *,
    private_key: int,
    nonce: int,
    to: bytes | None,
    data: bytes,
    gas: int,
    max_fee: int,
    value: int,
) -> None:
    from eth_account import Account  # noqa: PLC0415 (slow to import)

    wallet = Wallet(private_key.to_bytes(32))
    fees = Fees(max_fee_wei=max_fee, priority_fee_wei=max_fee // 2)
    signed = wallet.sign_transaction(
        chain_id=1337,
        nonce=nonce,
        to=Address(to) if to else None,
        data=data,
        gas=gas,
        fees=fees,
        value=value,
    )
    fields = {
        "type": 2,
        "chainId": 1337,
        "nonce": nonce,
        "data": data,
        "gas": gas,
        "maxFeePerGas": fees.max_fee_wei,
        "maxPriorityFeePerGas": fees.priority_fee_wei,
        "value": value,
    }
    if to:
        fields["to"] = keccak.checksum_address(to)
    expected = Account.sign_transaction(fields, wallet.private_key)
    assert signed.raw == bytes(expected.raw_transaction)
    assert signed.tx_hash == bytes(expected.hash)


def test_a_digest_is_signed_for_the_wallets_address() -> None:
    digest = Hash32(b"\x05" * 32)
    assert keccak.recover(digest, WALLET.sign_digest(digest)) == WALLET.address


@pytest.mark.parametrize(
    "private_key", [b"", b"\x01" * 31, b"\x01" * 33, bytes(32), ORDER.to_bytes(32), b"\xff" * 32]
)
def test_what_is_no_private_key_is_refused(private_key: bytes) -> None:
    with pytest.raises(BadKeystore):
        Wallet(private_key)


def test_a_wallet_never_shows_its_key() -> None:
    shown = f"{WALLET} {WALLET!r} {[WALLET]} {vars(WALLET) if hasattr(WALLET, '__dict__') else ''}"
    assert "46" * 8 not in shown
    assert "FFFF" not in shown
    assert keccak.checksum_address(WALLET.address) in shown


def test_fresh_wallets_differ() -> None:
    assert new_wallet().address != new_wallet().address


def test_a_key_file_gives_the_key_back_to_whoever_has_the_password(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    save_keystore(WALLET, path, "correct horse", work=WEAK)
    assert path.stat().st_mode & 0o777 == 0o600
    assert WALLET.private_key.hex() not in path.read_text()
    assert load_keystore(path, "correct horse") == WALLET
    with pytest.raises(BadKeystore) as caught:
        load_keystore(path, "battery staple")
    assert WALLET.private_key.hex() not in str(caught.value)


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    save_keystore(WALLET, path, "one", work=WEAK)
    with pytest.raises(BadKeystore, match="there already"):
        save_keystore(new_wallet(), path, "two", work=WEAK)
    assert load_keystore(path, "one") == WALLET


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"version": 3}', '{"crypto": {}}', "é"])
def test_a_file_that_is_no_key_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(BadKeystore):
        load_keystore(path, "password")
    with pytest.raises(BadKeystore):
        load_keystore(tmp_path / "nowhere.json", "password")
