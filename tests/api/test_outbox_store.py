"""The outbox's tables on both engines."""

# ruff: noqa: F811 (pytest's fixtures are arguments of the same name)

import pytest
from sqlalchemy import Engine
from sqlmodel import SQLModel

from ledger.chain.protocol import Fees
from ledger.chain.wallet import Wallet
from ledger.outbox_states import (
    Entry,
    Inclusion,
    Intent,
    IntentKeyReused,
    State,
    UnknownIntent,
)
from ledger.outbox_store import OutboxStore, Signed
from ledger.units import Address, Hash32, from_unix_s
from tests.engines import database_url, engine, postgres_server  # noqa: F401 (fixtures)

NOW_AT = from_unix_s(1_464_739_200)
WALLET = Wallet(b"\x01" * 32)
FEES = Fees(max_fee_wei=2 * 10**12, priority_fee_wei=10**9)
TO = Address(b"\x07" * 20)


@pytest.fixture
def store(engine: Engine) -> OutboxStore:
    SQLModel.metadata.create_all(engine)
    made = OutboxStore(engine, chain_id=1337)
    made.bind(Hash32(bytes(32)))
    return made


def intent(key: str = "settle:1", *, data: bytes = b"\x01", due_s: int | None = None) -> Intent:
    return Intent(
        key=key,
        sender=WALLET.address,
        to=TO,
        data=data,
        created_at=NOW_AT,
        gas=2**33,
        not_before_at=None if due_s is None else from_unix_s(due_s),
    )


def entry_of(store: OutboxStore, key: str = "settle:1") -> Entry:
    entry = store.entry(key)
    assert entry is not None
    return entry


def make(nonce: int) -> Signed:
    return WALLET.sign_transaction(
        chain_id=1337, nonce=nonce, to=TO, data=b"\x01", gas=21_000, fees=FEES
    )


def sign(store: OutboxStore, key: str, nonce_mined: int = 5) -> Entry:
    entry = entry_of(store, key)
    store.sign(entry, nonce_mined=nonce_mined, gas=21_000, fees=FEES, now_at=NOW_AT, make=make)
    return entry_of(store, key)


def mined(entry: Entry, *, block: int = 9) -> Inclusion:
    return Inclusion(
        tx_hash=entry.live[-1].tx_hash,
        block_number=block,
        block_hash=Hash32(block.to_bytes(32)),
        succeeded=True,
        gas_used=2**33,
        contract_address=TO,
    )


def test_an_intent_comes_back_as_it_was_put(store: OutboxStore) -> None:
    store.put(intent(due_s=2**33))
    assert store.intent(entry_of(store)) == intent(due_s=2**33)


def test_the_same_intent_twice_is_one(store: OutboxStore) -> None:
    store.put(intent())
    store.put(intent())
    assert len(store.open_entries(WALLET.address, due_at=None)) == 1


def test_a_key_stands_for_one_transaction_only(store: OutboxStore) -> None:
    store.put(intent())
    with pytest.raises(IntentKeyReused):
        store.put(intent(data=b"\x02"))
    with pytest.raises(IntentKeyReused):
        OutboxStore(store.engine, chain_id=1).put(intent())


def test_an_intent_is_put_with_its_callers_transaction_or_not_at_all(store: OutboxStore) -> None:
    connection = store.engine.connect()
    transaction = connection.begin()
    store.put(intent(), connection)
    transaction.rollback()
    assert store.entry("settle:1") is None
    with store.engine.begin() as connection:
        store.put(intent(), connection)
    assert store.entry("settle:1") is not None


def test_signing_takes_the_lowest_free_nonce(store: OutboxStore) -> None:
    for number in range(4):
        store.put(intent(f"k{number}"))
    nonces = [sign(store, f"k{number}").live[-1].nonce for number in range(3)]
    assert nonces == [5, 6, 7]
    store.abandon(entry_of(store, "k1"))
    assert sign(store, "k3").live[-1].nonce == 6
    assert sign(store, "k1").live[-1].nonce == 8


def test_a_signed_transaction_comes_back_to_the_byte(store: OutboxStore) -> None:
    store.put(intent())
    entry = sign(store, "settle:1")
    assert entry.state is State.SIGNED
    assert entry.live[-1].fees == FEES
    assert entry.live[-1].signed_at == NOW_AT
    assert store.raw(entry, entry.live[-1].tx_hash) == make(5).raw


def test_a_change_decided_on_old_facts_is_not_made(store: OutboxStore) -> None:
    store.put(intent())
    old = entry_of(store)
    sign(store, "settle:1")
    again = store.sign(old, nonce_mined=5, gas=1, fees=FEES, now_at=NOW_AT, make=make)
    assert again is None
    assert not store.include(sign_less(old, store), mined(entry_of(store)), State.MINED)
    assert len(entry_of(store).attempts) == 1


def sign_less(old: Entry, store: OutboxStore) -> Entry:
    """The entry of before, knowing today's attempts."""
    from dataclasses import replace  # noqa: PLC0415

    return replace(old, attempts=entry_of(store).attempts)


def test_all_attempts_are_remembered_and_the_last_is_the_best_paid(store: OutboxStore) -> None:
    store.put(intent())
    entry = sign(store, "settle:1")
    higher = Fees(max_fee_wei=3 * 10**12, priority_fee_wei=2 * 10**9)
    signed = WALLET.sign_transaction(
        chain_id=1337, nonce=5, to=TO, data=b"\x01", gas=21_000, fees=higher
    )
    assert store.bump(entry, signed, fees=higher, now_at=NOW_AT)
    assert [attempt.fees for attempt in entry_of(store).live] == [FEES, higher]


def test_an_inclusion_comes_back_and_a_reorg_forgets_it(store: OutboxStore) -> None:
    store.put(intent())
    entry = sign(store, "settle:1")
    assert store.include(entry, mined(entry), State.CONFIRMED)
    assert entry_of(store).inclusion == mined(entry)
    assert store.open_entries(WALLET.address, due_at=None) == []
    assert store.lost_entries(WALLET.address, 6) == []
    assert [lost.key for lost in store.lost_entries(WALLET.address, 5)] == ["settle:1"]
    assert store.reopen(entry_of(store))
    assert entry_of(store).inclusion is None
    assert entry_of(store).state is State.SIGNED


def test_a_reverted_intent_is_tried_again_only_when_asked(store: OutboxStore) -> None:
    store.put(intent())
    entry = sign(store, "settle:1")
    store.retry(intent(data=b"\x02"))
    assert entry_of(store) == entry
    store.include(entry, mined(entry), State.REVERTED, error=("EnergyMarket_Early", "at=1"))
    assert entry_of(store).error_code == "EnergyMarket_Early"
    store.retry(intent(data=b"\x02"))
    retried = entry_of(store)
    assert (retried.state, retried.live, retried.error_code) == (State.PENDING, (), None)
    assert len(retried.attempts) == 1
    assert store.intent(retried).data == b"\x02"
    with pytest.raises(UnknownIntent):
        store.retry(intent("nobody"))


def test_intents_that_are_not_due_do_not_hide_those_that_are(store: OutboxStore) -> None:
    for number in range(40):
        store.put(intent(f"later{number}", due_s=2_000_000_000))
    store.put(intent("now"))
    assert "now" in {e.key for e in store.open_entries(WALLET.address, due_at=NOW_AT)}


def test_the_first_chain_of_an_id_is_the_one(store: OutboxStore) -> None:
    assert store.bind(Hash32(b"\x01" * 32)) == bytes(32)
    assert OutboxStore(store.engine, chain_id=7).bind(Hash32(b"\x01" * 32)) == b"\x01" * 32
