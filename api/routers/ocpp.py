"""Chargers: OCPP 1.6J and 2.0.1 over WebSocket, at `/ocpp/{charge_point_id}`."""

from typing import Final

from fastapi import APIRouter, WebSocket
from starlette.responses import Response

from api.charge_point_socket import ChargePointSocket, certificate_name_of
from api.charger_log_ins import failed_log_ins
from api.errors import BadInput, NotAuthenticated
from api.problems import problem_response
from charging.ocpp.central_system import CentralSystem
from charging.ocpp.dialects import SUBPROTOCOLS, chosen_subprotocol
from ledger.errors import LedgerError

router = APIRouter()

STRANGER: Final = NotAuthenticated(rule="the charge point's id and password, or its certificate")
NO_PROTOCOL: Final = BadInput(
    field="Sec-WebSocket-Protocol", rule=f"one of {', '.join(SUBPROTOCOLS)}"
)
CHALLENGE: Final = 'Basic realm="charge point", charset="UTF-8"'


@router.websocket("/ocpp/{charge_point_id}")
async def charge_point(websocket: WebSocket, charge_point_id: str) -> None:
    """Serve one charger for as long as it stays."""
    points: CentralSystem = websocket.app.state.points
    log_ins = failed_log_ins(websocket)
    refused = log_ins.refusal(websocket, charge_point_id)
    if refused is not None:
        await websocket.send_denial_response(refusal_response(refused))
        return
    is_let_in = await points.may_connect(
        charge_point_id,
        authorization=websocket.headers.get("authorization"),
        certificate_name=certificate_name_of(websocket),
    )
    if not is_let_in:
        log_ins.failed(websocket, charge_point_id)
    subprotocol = chosen_subprotocol(websocket.scope["subprotocols"])
    if not is_let_in or subprotocol is None:
        refusal = refusal_response(NO_PROTOCOL if is_let_in else STRANGER)
        await websocket.send_denial_response(refusal)
        return
    await websocket.accept(subprotocol)
    await points.serve_charge_point(ChargePointSocket(websocket), charge_point_id, subprotocol)


def refusal_response(error: LedgerError) -> Response:
    """A problem before the upgrade; a stranger is asked for a password (RFC 7617)."""
    response = problem_response(error)
    if response.headers.get("WWW-Authenticate"):
        response.headers["WWW-Authenticate"] = CHALLENGE
    return response
