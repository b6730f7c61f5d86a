"""The demo token: six decimals, permits, and an owner who mints."""

from tests.chain.evm_world import reverts
from tests.chain.market_world import Community


def test_the_demo_token_has_six_decimals_and_a_permit_domain(daily: Community) -> None:
    world, token = daily.world, daily.token
    assert world.call(token, "decimals") == 6
    domain = world.call(token, "eip712Domain")
    assert domain[1:5] == (
        "Wattledger Demo Token",
        "1",
        world.web3.eth.chain_id,
        token.address,
    )


def test_only_the_owner_of_the_demo_token_mints(daily: Community) -> None:
    world, token, stranger = daily.world, daily.token, daily.parties.stranger.address
    with reverts("OwnableUnauthorizedAccount", stranger):
        world.send(token, "mint", stranger, 1, sender=stranger)
    world.send(token, "mint", stranger, 3, sender=world.rich)
    assert world.call(token, "balanceOf", stranger) == 3
