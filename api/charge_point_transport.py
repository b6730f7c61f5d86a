"""How uvicorn has to serve chargers: its options, and the client's certificate in the ASGI scope.

uvicorn itself checks a client's certificate but does not pass it on, so its WebSocket protocol is
extended by that.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from api.charge_point_socket import CERTIFICATE

MESSAGE_BYTES_MAX: Final = 65_536  # A longer message is answered with close code 1009.
PING_EVERY_S: Final = 60.0
PONG_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Security profiles 2 and 3 of OCPP.

    With a client CA, a client that shows a certificate must show a valid one; pages and chargers
    with a password need none, since they share the port.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


class ChargePointProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which tells the application whom a certificate names."""

    def handle_connect(self, event: Request) -> None:
        """Goes before the application's task, which runs only after it returns."""
        super().handle_connect(event)
        name = common_name_of(self.transport.get_extra_info("peercert"))
        if name is not None and hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope["extensions"] or {}
            self.scope["extensions"] = {**extensions, CERTIFICATE: {"common_name": name}}

    async def send(self, message: ASGISendEvent) -> None:
        """Counts a refusal as an answer; uvicorn would log it as none."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True


def common_name_of(certificate: Any) -> str | None:
    """The subject's only common name, of what `ssl.SSLSocket.getpeercert` returns."""
    subject = (certificate or {}).get("subject", ())
    names = [value for names in subject for key, value in names if key == "commonName"]
    return names[0] if len(names) == 1 else None


def websocket_options(tls: Tls | None = None) -> dict[str, Any]:
    """Options of `uvicorn.Config` for serving chargers."""
    options: dict[str, Any] = {
        "ws": ChargePointProtocol,
        "ws_max_size": MESSAGE_BYTES_MAX,
        "ws_per_message_deflate": False,  # It costs more than half of the CPU and memory.
        "ws_ping_interval": PING_EVERY_S,
        "ws_ping_timeout": PONG_WITHIN_S,
    }
    if tls is not None:
        options |= {"ssl_certfile": str(tls.certificate), "ssl_keyfile": str(tls.key)}
        if tls.client_ca is not None:
            options |= {
                "ssl_ca_certs": str(tls.client_ca),
                "ssl_cert_reqs": ssl.CERT_OPTIONAL,
            }
    return options
