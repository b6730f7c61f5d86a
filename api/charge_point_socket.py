"""A charger's WebSocket as `charging/ocpp` wants it, and who its TLS certificate says it is."""

from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from charging.ocpp.sockets import SocketClosed

CERTIFICATE: Final = "wattledger.client_certificate"  # Our extension of the ASGI scope.


class ChargePointSocket:
    """A Starlette WebSocket after its handshake."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def recv(self) -> str:
        """The next message; bytes are read as text, since OCPP-J knows nothing else."""
        try:
            message = await self._websocket.receive()
        except RuntimeError as error:
            raise SocketClosed from error
        if message["type"] == "websocket.disconnect":
            raise SocketClosed
        text: str | None = message.get("text")
        return message["bytes"].decode(errors="replace") if text is None else text

    async def send(self, text: str) -> None:
        """Sends one message."""
        try:
            await self._websocket.send({"type": "websocket.send", "text": text})
        except (WebSocketDisconnect, RuntimeError) as error:
            raise SocketClosed from error

    async def close(self, code: int) -> None:
        """Begins the closing handshake."""
        try:
            await self._websocket.close(code)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise SocketClosed from error


def certificate_name_of(websocket: WebSocket) -> str | None:
    """The common name of the client's verified certificate, None without one.

    It comes from the TLS layer (`charge_point_transport.py`), or from the header that
    `app.state.certificate_header` names, where a proxy before us ends TLS and sets that header.
    """
    extension = websocket.scope.get("extensions", {}).get(CERTIFICATE)
    if extension is not None:
        name: str = extension["common_name"]
        return name
    header: str | None = getattr(websocket.app.state, "certificate_header", None)
    return websocket.headers.get(header) or None if header else None
