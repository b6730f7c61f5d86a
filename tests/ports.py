"""Ports for servers that stop and start again at the same one."""

import os
import random
import socket
from typing import Final

FIRST: Final = 20_000
LAST: Final = 32_000  # Above begins what the system gives out by itself: somebody might get ours.
_chosen = random.Random(os.getpid() ^ random.SystemRandom().getrandbits(32))


def free_port() -> int:
    """A port at which nobody listens, and which nobody is given by chance."""
    while True:
        port = _chosen.randint(FIRST, LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
