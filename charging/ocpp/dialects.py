"""The two versions of OCPP by their subprotocols; each is imported when its first charger comes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from charging.ocpp.commands import Commands
from charging.ocpp.faults import Version
from charging.ocpp.frames import Payload
from charging.ocpp.hearing import Heard, Origin, Terms

SUBPROTOCOLS: Final = {"ocpp1.6": Version.V16, "ocpp2.0.1": Version.V201}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How to hear and how to ask one charger."""

    version: Version
    hear: Callable[[str, Payload, Origin, Terms], Heard]
    commands: Commands


def chosen_subprotocol(offered: Sequence[str]) -> str | None:
    """The first one offered that is spoken here (RFC 6455 §1.9: in order of preference)."""
    return next((name for name in offered if name in SUBPROTOCOLS), None)


def dialect_of(subprotocol: str) -> Dialect:
    """The dialect of one connection; the subprotocol is one of `SUBPROTOCOLS`."""
    version = SUBPROTOCOLS[subprotocol]
    match version:
        case Version.V16:
            from charging.ocpp import v16_commands, v16_hearing  # noqa: PLC0415

            commands: Commands = v16_commands.Commands16()
            return Dialect(version=version, hear=v16_hearing.hear, commands=commands)
        case Version.V201:
            from charging.ocpp import v201_commands, v201_hearing  # noqa: PLC0415

            listener = v201_hearing.Listener()
            commands = v201_commands.Commands201()
            return Dialect(version=version, hear=listener.hear, commands=commands)
        case _:
            assert_never(version)
