"""The embedded chain's JSON-RPC endpoint, for wallets and verifiers."""

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response

from api.deps import ANYONE, ServiceDep
from api.errors import NotFound
from api.openapi import example, failures, merged
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.rpc_server import RpcServer

router = APIRouter(tags=["chain"])
REQUEST = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
ANSWER = {"jsonrpc": "2.0", "id": 1, "result": "0x2a"}


@router.post(
    "/rpc",
    dependencies=[Depends(ANYONE)],
    response_class=Response,
    responses=merged({200: {"description": "JSON-RPC", **example(ANSWER)}}, failures(NotFound)),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {}, "example": REQUEST}},
        }
    },
)
async def post_rpc(request: Request, service: ServiceDep) -> Response:
    """Answer JSON-RPC, one request or a batch. There only where the chain is embedded."""
    server = rpc_server_of(service.community.chain)
    body = await request.body()
    # One at a time: running code is work for the whole process.
    answer = await run_sync(server.answer, body, limiter=limiter_of(request))
    return Response(answer, media_type="application/json")


def rpc_server_of(chain: object) -> RpcServer:
    """An endpoint for an embedded chain; raises NotFound where a node has one of its own."""
    if not isinstance(chain, EmbeddedChain):
        raise NotFound(rule="the chain is behind a node: ask that")
    return RpcServer(chain)


def limiter_of(request: Request) -> anyio.CapacityLimiter:
    """Whose turn it is; made with the first request, because it belongs to a loop."""
    state = request.app.state
    if not hasattr(state, "rpc_limiter"):
        state.rpc_limiter = anyio.CapacityLimiter(1)
    limiter: anyio.CapacityLimiter = state.rpc_limiter
    return limiter
