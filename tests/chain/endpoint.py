"""An embedded chain behind a URL, served by nothing but the standard library."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ledger.chain.embedded import EmbeddedChain
from ledger.chain.rpc_server import RpcServer


@contextmanager
def endpoint(
    chain: EmbeddedChain, port: int = 0, *, hold: Callable[[], object] = lambda: None
) -> Iterator[str]:
    """URL at which a chain answers JSON-RPC, each time after `hold` returns."""
    server = RpcServer(chain)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # Head and body are two writes: it would cost 40 ms.

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hold()
            answer = server.answer(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Whoever asked has gone, or was killed."""

    listener = Server(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
