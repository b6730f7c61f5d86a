"""An app behind a real socket, in a thread of this process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

STARTS_WITHIN_S = 30


@contextmanager
def served(app: FastAPI, **options: Any) -> Iterator[str]:
    """URL of an app that is being served; `options` are uvicorn's."""
    config = uvicorn.Config(
        app, port=0, log_config=None, access_log=False, lifespan="off", **options
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        ends_at = time.monotonic() + STARTS_WITHIN_S
        while not server.started:
            assert time.monotonic() < ends_at
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
