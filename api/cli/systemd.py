"""Tells systemd how the service fares, where systemd runs it (sd_notify)."""

import contextlib
import socket
from typing import Final

from api.settings import notify_address

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"


def tell_systemd(state: str) -> None:
    """Says one thing to whoever started us; to nobody if nobody wants to know."""
    address = notify_address()
    if address is None:
        return
    # A manager that has gone is no reason to fail.
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller,
    ):
        teller.sendto(state.encode(), address)
