"""Price limits: signed by the account, relayed by anybody."""

import pytest

from tests.chain.evm_world import reverts
from tests.chain.market_world import DAY_S, Community

NO_LIMIT = 2**64 - 1


def limits(**changes: int) -> dict[str, int]:
    base = {"account": 2, "validFrom": 0, "maxBuyPerKwh": 250_000, "minSellPerKwh": 100_000}
    return base | {"nonce": 1} | changes


def test_limits_are_effective_from_block_time_at_the_earliest(daily: Community) -> None:
    message = limits()
    signature = daily.sign_limits(message, daily.parties.of_account(2))
    done = daily.send("setLimits", message, signature, sender=daily.parties.stranger)
    now = daily.world.now
    event = {key: message[key] for key in ("account", "maxBuyPerKwh", "minSellPerKwh", "nonce")}
    assert done.events == [("LimitsSet", event | {"effectiveFrom": now})]
    assert daily.read("limitsOf", 2) == ((now, 250_000, 100_000),)
    assert daily.read("limitsNonce", 2) == 1


def test_limits_may_start_later_and_are_all_kept_in_order(daily: Community) -> None:
    later = daily.world.now + 9 * DAY_S
    first = limits(validFrom=later, maxBuyPerKwh=NO_LIMIT, minSellPerKwh=0)
    second = limits(nonce=2)
    for message in (first, second):
        daily.send("setLimits", message, daily.sign_limits(message, daily.parties.of_account(2)))
    now = daily.world.now
    assert daily.read("limitsOf", 2) == ((later, NO_LIMIT, 0), (now, 250_000, 100_000))


def test_limits_signed_by_somebody_else_are_refused(daily: Community) -> None:
    message = limits()
    with reverts("EnergyMarket_BadSignature", daily.parties.of_account(2).address):
        daily.send("setLimits", message, daily.sign_limits(message, daily.parties.operator))


@pytest.mark.parametrize(
    "domain",
    [{"chainId": 1}, {"verifyingContract": "0x" + "11" * 20}, {"version": "2"}, {"name": "Other"}],
)
def test_limits_for_another_chain_or_market_are_refused(daily: Community, domain: dict) -> None:
    message = limits()
    signature = daily.sign_limits(message, daily.parties.of_account(2), **domain)
    with reverts("EnergyMarket_BadSignature"):
        daily.send("setLimits", message, signature)


def test_limits_with_a_high_s_are_refused(daily: Community) -> None:
    message = limits()
    good = daily.sign_limits(message, daily.parties.of_account(2))
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = order - int.from_bytes(good[32:64])
    with reverts("EnergyMarket_BadSignature"):
        bad = good[:32] + high.to_bytes(32) + bytes([55 - good[64]])
        daily.send("setLimits", message, bad)


def test_limits_with_a_used_nonce_are_refused(daily: Community) -> None:
    member = daily.parties.of_account(2)
    for nonce in (5, 5, 4):
        message = limits(nonce=nonce, maxBuyPerKwh=nonce)
        signature = daily.sign_limits(message, member)
        if daily.read("limitsNonce", 2) == 0:
            daily.send("setLimits", message, signature)
            continue
        with reverts("EnergyMarket_NonceUsed", 2, nonce, 5):
            daily.send("setLimits", message, signature)


def test_nonces_of_limits_and_withdrawals_and_of_accounts_are_separate(daily: Community) -> None:
    for account in (2, 3):
        member = daily.parties.of_account(account)
        message = limits(account=account, nonce=1)
        daily.send("setLimits", message, daily.sign_limits(message, member))
        request = {"account": account, "amountMicro": 1, "nonce": 1}
        daily.send("requestWithdrawalBySig", request, daily.sign_withdrawal(request, member))


def test_limits_of_nobody_are_refused(daily: Community) -> None:
    message = limits(account=5)
    with reverts("EnergyMarket_UnknownAccount", 5):
        daily.send("setLimits", message, daily.sign_limits(message, daily.parties.stranger))


def test_a_contract_signs_for_its_account_by_erc_1271(daily: Community) -> None:
    key = daily.parties.stranger
    wallet = daily.world.deploy("ContractWallet", key.address)
    daily.send("enrol", 5, wallet.address)
    message = limits(account=5)
    with reverts("EnergyMarket_BadSignature", wallet.address):
        daily.send("setLimits", message, daily.sign_limits(message, daily.parties.operator))
    daily.send("setLimits", message, daily.sign_limits(message, key))
    assert len(daily.read("limitsOf", 5)) == 1


def test_after_a_move_the_new_address_signs_and_the_old_one_no_longer(daily: Community) -> None:
    old, new = daily.parties.of_account(2), daily.parties.stranger
    daily.send("requestMove", 2, new.address, sender=old)
    daily.world.later(5 * DAY_S)
    daily.send("executeMove", 2)
    message = limits()
    with reverts("EnergyMarket_BadSignature", new.address):
        daily.send("setLimits", message, daily.sign_limits(message, old))
    daily.send("setLimits", message, daily.sign_limits(message, new))
