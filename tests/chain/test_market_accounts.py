"""Enrolment, recovery and moves of accounts."""

import pytest

from tests.chain.evm_world import reverts
from tests.chain.market_world import DAY_S, ZERO, Community


def test_enrolment_gives_the_next_index_to_an_address(daily: Community) -> None:
    someone = daily.parties.stranger.address
    done = daily.send("enrol", 5, someone)
    assert done.events == [("AccountEnrolled", {"account": 5, "owner": someone})]
    assert daily.read("accountCount") == 6
    assert daily.read("addressOf", 5) == someone
    assert daily.read("balanceOf", 5) == 0


def test_enrolment_of_many_gives_them_indexes_in_order(daily: Community) -> None:
    owners = [member.address for member in daily.parties.members]
    daily.send("enrolMany", 5, owners)
    assert [daily.read("addressOf", 5 + i) for i in range(3)] == owners


def test_enrolment_by_a_stranger_is_refused(daily: Community) -> None:
    stranger = daily.parties.stranger
    with reverts("EnergyMarket_NotOperator", stranger.address):
        daily.send("enrol", 5, stranger.address, sender=stranger)
    with reverts("EnergyMarket_NotOperator", stranger.address):
        daily.send("enrolMany", 5, [stranger.address], sender=stranger)


@pytest.mark.parametrize("account", [0, 4, 6])
def test_enrolment_twice_or_with_a_gap_is_refused(daily: Community, account: int) -> None:
    with reverts("EnergyMarket_NotNextAccount", account, 5):
        daily.send("enrol", account, daily.parties.stranger.address)


def test_enrolment_of_nobody_is_refused(daily: Community) -> None:
    with reverts("EnergyMarket_ZeroAddress"):
        daily.send("enrol", 5, ZERO)


def test_enrolment_of_more_than_256_at_once_is_refused(daily: Community) -> None:
    with reverts("EnergyMarket_TooManyAccounts", 257, 256):
        daily.send("enrolMany", 5, [daily.parties.stranger.address] * 257)


def test_the_account_names_and_unnames_its_recovery_address(daily: Community) -> None:
    member, stranger = daily.parties.of_account(2), daily.parties.stranger
    done = daily.send("nameRecovery", 2, stranger.address, sender=member)
    assert done.events == [("RecoveryNamed", {"account": 2, "recovery": stranger.address})]
    assert daily.read("recoveryOf", 2) == stranger.address
    daily.send("nameRecovery", 2, ZERO, sender=member)
    assert daily.read("recoveryOf", 2) == ZERO


def test_only_the_accounts_own_address_names_a_recovery_address(daily: Community) -> None:
    with reverts("EnergyMarket_NotAccountsAddress", 2, daily.parties.operator.address):
        daily.send("nameRecovery", 2, daily.parties.operator.address)
    with reverts("EnergyMarket_UnknownAccount", 5):
        daily.send("nameRecovery", 5, daily.parties.operator.address)


def test_a_move_takes_effect_after_the_delay_and_starts_without_recovery(daily: Community) -> None:
    member, other = daily.parties.of_account(2), daily.parties.stranger
    daily.send("nameRecovery", 2, other.address, sender=member)
    begun = daily.send("requestMove", 2, other.address, sender=member)
    assert begun.events == [
        ("MoveRequested", {"account": 2, "to": other.address, "byRecovery": False})
    ]
    began_at = daily.world.now
    assert daily.read("moveOf", 2) == (other.address, began_at, False)

    daily.world.at(began_at + 5 * DAY_S - 1)
    with reverts("EnergyMarket_TooEarly", began_at + 5 * DAY_S):
        daily.send("executeMove", 2, sender=other)
    daily.world.at(began_at + 5 * DAY_S)
    done = daily.send("executeMove", 2, sender=daily.parties.operator)
    moved = {"account": 2, "from": member.address, "to": other.address}
    assert done.events == [("AccountMoved", moved)]
    assert daily.read("addressOf", 2) == other.address
    assert daily.read("recoveryOf", 2) == ZERO
    assert daily.read("moveOf", 2) == (ZERO, 0, False)
    with reverts("EnergyMarket_NotAccountsAddress", 2, member.address):
        daily.send("requestWithdrawal", 2, 1, sender=member)


def test_a_move_by_recovery_can_be_cancelled_by_the_account(daily: Community) -> None:
    member, recovery = daily.parties.of_account(2), daily.parties.stranger
    daily.send("nameRecovery", 2, recovery.address, sender=member)
    begun = daily.send("requestMove", 2, recovery.address, sender=recovery)
    assert begun.events[0][1]["byRecovery"] is True
    done = daily.send("cancelMove", 2, sender=member)
    assert done.events == [("MoveCancelled", {"account": 2})]
    daily.world.later(6 * DAY_S)
    with reverts("EnergyMarket_NoMove", 2):
        daily.send("executeMove", 2, sender=recovery)


def test_recovery_cannot_replace_a_move_that_the_account_began(daily: Community) -> None:
    member, recovery = daily.parties.of_account(2), daily.parties.stranger
    daily.send("nameRecovery", 2, recovery.address, sender=member)
    daily.send("requestMove", 2, daily.parties.owner.address, sender=member)
    with reverts("EnergyMarket_OwnMoveUnderWay", 2):
        daily.send("requestMove", 2, recovery.address, sender=recovery)


def test_the_account_replaces_a_move_that_recovery_began(daily: Community) -> None:
    member, recovery = daily.parties.of_account(2), daily.parties.stranger
    daily.send("nameRecovery", 2, recovery.address, sender=member)
    daily.send("requestMove", 2, recovery.address, sender=recovery)
    daily.send("requestMove", 2, recovery.address, sender=recovery)  # its own it may replace
    daily.send("requestMove", 2, daily.parties.owner.address, sender=member)
    assert daily.read("moveOf", 2)[::2] == (daily.parties.owner.address, False)


def test_neither_operator_nor_stranger_moves_an_account(daily: Community) -> None:
    for caller in (daily.parties.operator, daily.parties.owner, daily.parties.stranger):
        with reverts("EnergyMarket_NotAccountsAddress", 2, caller.address):
            daily.send("requestMove", 2, caller.address, sender=caller)
    with reverts("EnergyMarket_NotAccountsAddress", 2, daily.parties.stranger.address):
        daily.send("cancelMove", 2, sender=daily.parties.stranger)
    with reverts("EnergyMarket_UnknownAccount", 9):
        daily.send("requestMove", 9, daily.parties.stranger.address)


def test_a_move_to_nobody_is_refused(daily: Community) -> None:
    with reverts("EnergyMarket_ZeroAddress"):
        daily.send("requestMove", 2, ZERO, sender=daily.parties.of_account(2))


def test_there_is_nothing_to_cancel_or_execute_without_a_move(daily: Community) -> None:
    with reverts("EnergyMarket_NoMove", 2):
        daily.send("cancelMove", 2, sender=daily.parties.of_account(2))
    with reverts("EnergyMarket_NoMove", 2):
        daily.send("executeMove", 2)


def test_views_refuse_a_balance_of_nobody(daily: Community) -> None:
    for view in ("balanceOf", "availableOf"):
        with reverts("EnergyMarket_UnknownAccount", 5):
            daily.read(view, 5)
