"""Time that goes on while a community is served, where it stood with the data before."""

from api.clock import RunningClock
from api.errors import BadInput
from api.jobs.community import Community
from ledger.chain.embedded import EmbeddedChain


def let_time_run(community: Community, *, speed: int = 1) -> None:
    """From now on a clock that followed data goes on by itself, for people and blocks alike.

    Raises:
        BadInput: no clock has this speed, or this one cannot be sped up.
    """
    chain = community.chain
    if community.config.chain.clock == "data" and isinstance(chain, EmbeddedChain):
        community.clock = RunningClock(community.clock.now(), speed=speed)
        chain.follow_clock(community.clock.now)
    elif speed != 1:
        raise BadInput(field="--speed", rule="only time that follows data can be sped up")
