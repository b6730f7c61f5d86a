"""Tokens that do not behave: nothing they do makes balances and tokens differ."""

from collections.abc import Iterator

import pytest

from tests.chain.evm_world import World, calldata, reverts
from tests.chain.market_world import DAY_S, Community

AMOUNT = 1_000_000


@pytest.fixture
def strange(evm: World, request: pytest.FixtureRequest) -> Iterator[Community]:
    with evm.undone():
        yield Community.create(evm, token=request.param)


def money(community: Community) -> tuple[int, int]:
    return sum(community.balances()), community.held_micro() * 1_000


@pytest.mark.parametrize("strange", ["FeeToken"], indirect=True)
def test_a_fee_on_transfer_token_is_refused(strange: Community) -> None:
    payer = strange.parties.of_account(2)
    strange.fund(payer, AMOUNT)
    with reverts("EnergyMarket_WrongTransfer", AMOUNT, AMOUNT - 1):
        strange.send("deposit", 2, AMOUNT, sender=payer)
    assert money(strange) == (0, 0)


@pytest.mark.parametrize("strange", ["FalseToken"], indirect=True)
def test_a_token_that_says_false_changes_no_balance(strange: Community) -> None:
    strange.deposit(2, AMOUNT)
    before = money(strange)
    payer = strange.parties.of_account(2)
    strange.send("requestWithdrawal", 2, AMOUNT, sender=payer)
    strange.fund(payer, AMOUNT)
    strange.world.send(strange.token, "breakDown", sender=payer.address)
    with reverts("SafeERC20FailedOperation", strange.token.address):
        strange.send("deposit", 2, AMOUNT, sender=payer)
    strange.world.later(5 * DAY_S)
    with reverts("SafeERC20FailedOperation", strange.token.address):
        strange.send("withdraw", 2)
    assert money(strange) == before
    assert strange.read("requestOf", 2)[0] == AMOUNT


@pytest.mark.parametrize("strange", ["CallbackToken"], indirect=True)
def test_a_token_that_calls_back_cannot_deposit_twice(strange: Community) -> None:
    payer = strange.parties.of_account(2)
    strange.fund(payer, 2 * AMOUNT)
    again = calldata(strange.market.abi, "deposit", [2, AMOUNT])
    by = payer.address
    strange.world.send(strange.token, "arm", strange.market.address, again, sender=by)
    with reverts("ReentrancyGuardReentrantCall"):
        strange.send("deposit", 2, AMOUNT, sender=payer)
    assert money(strange) == (0, 0)


@pytest.mark.parametrize("strange", ["CallbackToken"], indirect=True)
def test_a_token_that_calls_back_cannot_withdraw_twice(strange: Community) -> None:
    strange.deposit(2, AMOUNT)
    strange.deposit(3, AMOUNT)
    payer = strange.parties.of_account(2)
    strange.send("requestWithdrawal", 2, AMOUNT, sender=payer)
    strange.world.later(5 * DAY_S)
    again = calldata(strange.market.abi, "withdraw", [2])
    by = payer.address
    strange.world.send(strange.token, "arm", strange.market.address, again, sender=by)
    with reverts("ReentrancyGuardReentrantCall"):
        strange.send("withdraw", 2)
    assert money(strange) == (2 * AMOUNT * 1_000, 2 * AMOUNT * 1_000)


@pytest.mark.parametrize("strange", ["CallbackToken"], indirect=True)
def test_a_deposit_during_which_other_tokens_arrive_is_refused(strange: Community) -> None:
    payer = strange.parties.of_account(2)
    strange.fund(payer, AMOUNT)
    gift = calldata(strange.token.abi, "mint", [strange.market.address, 1])
    by = payer.address
    strange.world.send(strange.token, "arm", strange.token.address, gift, sender=by)
    with reverts("EnergyMarket_WrongTransfer", AMOUNT, AMOUNT + 1):
        strange.send("deposit", 2, AMOUNT, sender=payer)
    assert money(strange) == (0, 0)


@pytest.mark.parametrize("strange", ["CallbackToken"], indirect=True)
def test_a_callback_in_a_withdrawal_sees_the_balance_already_reduced(strange: Community) -> None:
    strange.deposit(2, AMOUNT)
    payer = strange.parties.of_account(2)
    strange.send("requestWithdrawal", 2, AMOUNT, sender=payer)
    strange.world.later(5 * DAY_S)
    by = payer.address
    again = calldata(strange.market.abi, "balanceOf", [2])
    strange.world.send(strange.token, "arm", strange.market.address, again, sender=by)
    strange.send("withdraw", 2)
    assert money(strange) == (0, 0)
