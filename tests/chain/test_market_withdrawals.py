"""Money out: requests, their delay, and the race against a proposal."""

from eth_account.signers.local import LocalAccount

from tests.chain.conftest import MEMBER_MICRO
from tests.chain.evm_world import reverts
from tests.chain.market_world import DAY_S, FIRST_PERIOD, HOUR_S, Community

DELAY_S = 5 * DAY_S
SHORT_DELAY_S = 6 * HOUR_S  # Of the disputed community.


def wallet_micro(community: Community, owner: LocalAccount) -> int:
    return int(community.world.call(community.token, "balanceOf", owner.address))


def test_a_withdrawal_is_paid_to_the_accounts_address_after_the_delay(daily: Community) -> None:
    member = daily.parties.of_account(2)
    requested = daily.send("requestWithdrawal", 2, 5_000_000, sender=member)
    asked = {"account": 2, "amountMicro": 5_000_000}
    assert requested.events == [("WithdrawalRequested", asked)]
    asked_at = daily.world.now
    assert daily.read("requestOf", 2) == (5_000_000, asked_at)

    daily.world.at(asked_at + DELAY_S - 1)
    with reverts("EnergyMarket_NotMatured", 2, asked_at + DELAY_S):
        daily.send("withdraw", 2)
    daily.world.at(asked_at + DELAY_S)
    done = daily.send("withdraw", 2, sender=daily.parties.stranger)
    paid = {"account": 2, "to": member.address, "amountMicro": 5_000_000}
    assert done.events[0] == ("Withdrawn", paid)
    assert wallet_micro(daily, member) == 5_000_000
    assert daily.read("balanceOf", 2) == (MEMBER_MICRO - 5_000_000) * 1_000
    assert daily.read("requestOf", 2) == (0, 0)
    with reverts("EnergyMarket_NoRequest", 2):
        daily.send("withdraw", 2)


def test_a_withdrawal_pays_whole_base_units_and_the_rest_stays(daily: Community) -> None:
    member = daily.parties.of_account(2)
    daily.end_of()
    daily.settle([1_999, 0, -1_999, 0, 0])
    daily.send("requestWithdrawal", 2, 2**64 - 1, sender=member)
    daily.world.later(DELAY_S)
    daily.send("withdraw", 2)
    assert wallet_micro(daily, member) == MEMBER_MICRO - 2
    assert daily.read("balanceOf", 2) == 1


def test_a_withdrawal_of_an_empty_account_pays_nothing_and_ends_the_request(
    daily: Community,
) -> None:
    daily.send("enrol", 5, daily.parties.stranger.address)
    daily.send("requestWithdrawal", 5, 10, sender=daily.parties.stranger)
    daily.world.later(DELAY_S)
    done = daily.send("withdraw", 5)
    assert done.events[0][1]["amountMicro"] == 0
    assert daily.read("requestOf", 5) == (0, 0)


def test_a_new_request_replaces_the_old_one_and_starts_the_delay_anew(daily: Community) -> None:
    member = daily.parties.of_account(2)
    daily.send("requestWithdrawal", 2, 1, sender=member)
    daily.world.later(DELAY_S - 10)
    daily.send("requestWithdrawal", 2, 2, sender=member)
    replaced_at = daily.world.now
    daily.world.later(DELAY_S - 10)
    with reverts("EnergyMarket_NotMatured", 2, replaced_at + DELAY_S):
        daily.send("withdraw", 2)
    daily.world.at(replaced_at + DELAY_S)
    assert daily.send("withdraw", 2).events[0][1]["amountMicro"] == 2


def test_a_request_of_zero_cancels(daily: Community) -> None:
    member = daily.parties.of_account(2)
    daily.send("requestWithdrawal", 2, 1, sender=member)
    done = daily.send("requestWithdrawal", 2, 0, sender=member)
    assert done.events == [("WithdrawalRequested", {"account": 2, "amountMicro": 0})]
    daily.world.later(DELAY_S)
    with reverts("EnergyMarket_NoRequest", 2):
        daily.send("withdraw", 2)


def test_nobody_else_asks_for_a_withdrawal(daily: Community) -> None:
    for caller in (daily.parties.operator, daily.parties.owner, daily.parties.stranger):
        with reverts("EnergyMarket_NotAccountsAddress", 2, caller.address):
            daily.send("requestWithdrawal", 2, 1, sender=caller)


def test_a_matured_request_is_no_longer_available_to_a_settlement(daily: Community) -> None:
    member = daily.parties.of_account(2)
    daily.send("requestWithdrawal", 2, 30_000_000, sender=member)
    asked_at = daily.world.now
    daily.world.at(asked_at + DELAY_S - 1)
    daily.world.tester.mine_block()
    assert daily.read("availableOf", 2) in (MEMBER_MICRO * 1_000, 70_000_000_000)
    daily.world.later(1)
    daily.world.tester.mine_block()
    assert daily.read("availableOf", 2) == 70_000_000_000


def test_availability_is_never_below_zero(daily: Community) -> None:
    daily.send("requestWithdrawal", 2, 2**64 - 1, sender=daily.parties.of_account(2))
    daily.world.later(DELAY_S)
    daily.world.tester.mine_block()
    assert daily.read("availableOf", 2) == 0


def test_a_signed_withdrawal_is_relayed_by_anybody_and_used_once(daily: Community) -> None:
    member = daily.parties.of_account(2)
    request = {"account": 2, "amountMicro": 5, "nonce": 3}
    signature = daily.sign_withdrawal(request, member)
    daily.send("requestWithdrawalBySig", request, signature, sender=daily.parties.stranger)
    assert daily.read("requestOf", 2)[0] == 5
    assert daily.read("withdrawalNonce", 2) == 3
    with reverts("EnergyMarket_NonceUsed", 2, 3, 3):
        daily.send("requestWithdrawalBySig", request, signature)
    lower = request | {"nonce": 2}
    with reverts("EnergyMarket_NonceUsed", 2, 2, 3):
        daily.send("requestWithdrawalBySig", lower, daily.sign_withdrawal(lower, member))


def test_a_withdrawal_signed_by_somebody_else_is_refused(daily: Community) -> None:
    request = {"account": 2, "amountMicro": 5, "nonce": 1}
    forged = daily.sign_withdrawal(request, daily.parties.operator)
    with reverts("EnergyMarket_BadSignature", daily.parties.of_account(2).address):
        daily.send("requestWithdrawalBySig", request, forged)
    changed = daily.sign_withdrawal(request, daily.parties.of_account(2))
    with reverts("EnergyMarket_BadSignature", daily.parties.of_account(2).address):
        daily.send("requestWithdrawalBySig", request | {"amountMicro": 6}, changed)


def test_a_proposal_made_before_a_request_matures_holds_its_payment_up(disputed: Community) -> None:
    member = disputed.parties.of_account(2)
    disputed.world.at(FIRST_PERIOD + 4 * HOUR_S - SHORT_DELAY_S + 100)
    disputed.send("requestWithdrawal", 2, MEMBER_MICRO, sender=member)
    matures_at = disputed.world.now + SHORT_DELAY_S
    disputed.end_of()
    deltas = [10, 0, -10, 0, 0]
    disputed.propose(deltas)
    disputed.world.at(matures_at)
    with reverts("EnergyMarket_ProposalPending", FIRST_PERIOD, 0):
        disputed.send("withdraw", 2)
    disputed.world.at(disputed.read("pending")[2] + HOUR_S)
    disputed.finalize(deltas)
    assert disputed.send("withdraw", 2).events[0][1]["amountMicro"] == MEMBER_MICRO - 1


def test_a_proposal_made_after_a_request_matured_does_not_hold_it_up(disputed: Community) -> None:
    member = disputed.parties.of_account(2)
    disputed.send("requestWithdrawal", 2, MEMBER_MICRO, sender=member)
    disputed.world.later(SHORT_DELAY_S)
    disputed.end_of()
    # All of it is spoken for, so nothing is available: the bill of 10 is left out of the delta.
    disputed.propose([0, 0, 0, 0, 0], shorts=[{"account": 2, "shortfallNano": 10}])
    assert disputed.send("withdraw", 2).events[0][1]["amountMicro"] == MEMBER_MICRO
    disputed.world.later(HOUR_S)
    disputed.finalize([0, 0, 0, 0, 0])


def test_a_lapsed_or_cancelled_proposal_holds_nobody_up(disputed: Community) -> None:
    member = disputed.parties.of_account(2)
    for end in ("lapse", "cancel"):
        with disputed.world.undone():
            disputed.end_of()
            disputed.propose([0] * 5)
            proposed_at = disputed.world.now
            disputed.send("requestWithdrawal", 2, 7, sender=member)
            if end == "cancel":
                disputed.send("cancel")
            disputed.world.at(proposed_at + SHORT_DELAY_S + 10)
            assert disputed.send("withdraw", 2).events[0][1]["amountMicro"] == 7
