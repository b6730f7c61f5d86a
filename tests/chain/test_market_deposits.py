"""Money in: deposits from a wallet and by permit."""

import pytest
from eth_account.signers.local import LocalAccount

from tests.chain.conftest import MEMBER_MICRO
from tests.chain.evm_world import reverts
from tests.chain.market_world import Community

HALF_ORDER_TIMES_TWO = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
AMOUNT = 7_000_001


def permit(
    community: Community, payer: LocalAccount, amount: int = AMOUNT, **changes: int
) -> tuple:
    """Arguments of `depositWithPermit` for account 2, with a good signature."""
    deadline = changes.get("deadline", community.world.now + 1_000)
    nonce = changes.get("nonce", 0)
    signature = community.sign_permit(payer, amount, nonce, deadline)
    return (2, payer.address, amount, nonce, deadline, signature)


def minted(community: Community, payer: LocalAccount, amount: int = AMOUNT) -> LocalAccount:
    rich = community.world.rich
    community.world.send(community.token, "mint", payer.address, amount, sender=rich)
    return payer


def test_a_deposit_credits_a_thousand_nano_for_each_base_unit(daily: Community) -> None:
    before, held_micro = daily.balances(), daily.held_micro()
    done = daily.deposit(3, AMOUNT)
    payer = daily.parties.of_account(3).address
    assert done.events == [
        ("Deposited", {"account": 3, "payer": payer, "amountMicro": AMOUNT}),
        ("Transfer", {"from": payer, "to": daily.market.address, "value": AMOUNT}),
    ]
    before[3] += AMOUNT * 1_000
    assert daily.balances() == before
    assert daily.held_micro() == held_micro + AMOUNT


def test_anybody_deposits_for_an_account_from_an_own_wallet(daily: Community) -> None:
    stranger = daily.parties.stranger
    daily.fund(stranger, AMOUNT)
    daily.send("deposit", 4, AMOUNT, sender=stranger)
    assert daily.read("balanceOf", 4) == (MEMBER_MICRO + AMOUNT) * 1_000


def test_a_deposit_of_nothing_is_refused(daily: Community) -> None:
    with reverts("EnergyMarket_ZeroAmount", 2):
        daily.send("deposit", 2, 0)


def test_a_deposit_for_nobody_is_refused(daily: Community) -> None:
    with reverts("EnergyMarket_UnknownAccount", 5):
        daily.send("deposit", 5, 1)


def test_a_deposit_takes_no_balance_above_its_limit(daily: Community) -> None:
    room_micro = (2**50 - MEMBER_MICRO * 1_000) // 1_000
    payer = daily.parties.of_account(2)
    daily.fund(payer, room_micro + 1)
    above_nano = (MEMBER_MICRO + room_micro + 1) * 1_000
    with reverts("EnergyMarket_DepositTooLarge", 2, above_nano, 2**50):
        daily.send("deposit", 2, room_micro + 1, sender=payer)
    with reverts("EnergyMarket_DepositTooLarge"):
        daily.send("deposit", 2, 2**64 - 1, sender=payer)
    daily.send("deposit", 2, room_micro, sender=payer)
    assert 2**50 - 1_000 < daily.read("balanceOf", 2) <= 2**50


def test_a_permit_pays_into_the_payers_account_whoever_relays_it(daily: Community) -> None:
    payer = minted(daily, daily.parties.of_account(2))
    done = daily.send("depositWithPermit", *permit(daily, payer), sender=daily.parties.stranger)
    deposited = {"account": 2, "payer": payer.address, "amountMicro": AMOUNT}
    assert ("Deposited", deposited) in done.events
    assert daily.read("balanceOf", 2) == (MEMBER_MICRO + AMOUNT) * 1_000


def test_a_permit_that_a_front_runner_brought_to_the_token_still_pays(daily: Community) -> None:
    payer = minted(daily, daily.parties.of_account(2))
    arguments = permit(daily, payer)
    _, _, amount, _, deadline, raw = arguments
    r, s, v = raw[:32], raw[32:64], raw[64]
    by = daily.parties.stranger.address
    spender = daily.market.address
    daily.world.send(
        daily.token, "permit", payer.address, spender, amount, deadline, v, r, s, sender=by
    )
    daily.send("depositWithPermit", *arguments)
    assert daily.read("balanceOf", 2) == (MEMBER_MICRO + AMOUNT) * 1_000


def test_a_permit_does_not_fill_an_account_that_is_not_the_payers(daily: Community) -> None:
    payer = minted(daily, daily.parties.of_account(2))
    _, *rest = permit(daily, payer)
    with reverts("EnergyMarket_NotPayersAccount", 3, payer.address):
        daily.send("depositWithPermit", 3, *rest, sender=daily.parties.of_account(3))


def test_a_permit_is_used_once_however_large_the_allowance(daily: Community) -> None:
    payer = minted(daily, daily.parties.of_account(2))
    arguments = permit(daily, payer)
    daily.send("depositWithPermit", *arguments)
    daily.fund(payer, 10 * AMOUNT)
    with reverts("EnergyMarket_PermitUsed"):
        daily.send("depositWithPermit", *arguments)
    assert daily.read("balanceOf", 2) == (MEMBER_MICRO + AMOUNT) * 1_000


def test_an_allowance_alone_moves_nobodys_tokens(daily: Community) -> None:
    payer = daily.parties.of_account(2)
    daily.fund(payer, AMOUNT)
    stranger = daily.parties.stranger
    deadline = daily.world.now + 1_000
    forged = daily.sign_permit(stranger, AMOUNT, 0, deadline, owner=payer.address)
    with reverts("EnergyMarket_BadSignature", payer.address):
        daily.send("depositWithPermit", 2, payer.address, AMOUNT, 0, deadline, forged)


def test_a_permit_for_another_spender_amount_or_nonce_is_refused(daily: Community) -> None:
    payer = daily.parties.of_account(2)
    daily.fund(payer, AMOUNT)
    deadline = daily.world.now + 1_000
    for signature in (
        daily.sign_permit(payer, AMOUNT, 0, deadline, spender=payer.address),
        daily.sign_permit(payer, AMOUNT - 1, 0, deadline),
        daily.sign_permit(payer, AMOUNT, 1, deadline),
        daily.sign_permit(payer, AMOUNT, 0, deadline + 1),
    ):
        with reverts("EnergyMarket_BadSignature", payer.address):
            daily.send("depositWithPermit", 2, payer.address, AMOUNT, 0, deadline, signature)


def test_a_permit_is_refused_after_its_deadline(daily: Community) -> None:
    payer = minted(daily, daily.parties.of_account(2))
    arguments = permit(daily, payer)
    deadline = arguments[4]
    daily.world.at(deadline + 1)
    with reverts("EnergyMarket_PermitExpired", deadline):
        daily.send("depositWithPermit", *arguments)


@pytest.mark.parametrize("form", ["high s", "64 bytes", "66 bytes", "empty"])
def test_a_permit_signature_has_one_form_only(daily: Community, form: str) -> None:
    payer = minted(daily, daily.parties.of_account(2))
    *rest, good = permit(daily, payer)
    s = int.from_bytes(good[32:64])
    bad = {
        "high s": good[:32] + (HALF_ORDER_TIMES_TWO - s).to_bytes(32) + bytes([27 + 28 - good[64]]),
        "64 bytes": good[:64],
        "66 bytes": good + b"\0",
        "empty": b"",
    }[form]
    with reverts("EnergyMarket_BadSignature", payer.address):
        daily.send("depositWithPermit", *rest, bad)


def test_a_permit_without_tokens_behind_it_fails_and_stays_usable(daily: Community) -> None:
    payer = daily.parties.of_account(2)
    arguments = permit(daily, payer)
    with reverts("ERC20InsufficientBalance", payer.address, 0, AMOUNT):
        daily.send("depositWithPermit", *arguments)
    minted(daily, payer)
    daily.send("depositWithPermit", *arguments)
    assert daily.read("balanceOf", 2) == (MEMBER_MICRO + AMOUNT) * 1_000
