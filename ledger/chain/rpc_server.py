"""The embedded chain as a JSON-RPC endpoint, for wallets and verifiers: it reads, and takes signed
transactions (JSON-RPC 2.0; ethereum/execution-apis).

Nobody asks for more of this process than they could use: gas, blocks and answers have limits.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ledger.chain import jsonrpc
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.errors import ChainUnavailable, Refusal, TransactionRefused, UnknownBlock
from ledger.chain.rpc_reads import ChainReads
from ledger.chain.rpc_render import data_text, quantity_text
from ledger.errors import LedgerError
from ledger.json_text import NotJson, parse_json
from ledger.units import Address

CLIENT: Final = "wattledger-embedded"
GAS_MAX: Final = 8_000_000  # Of a call or transaction from outside; some three seconds of py-evm.
MARGIN: Final = 105  # Per cent of the gas used: calls within calls keep a 64th back (EIP-150).
BATCH_MAX: Final = 50
AHEAD_S_MAX: Final = 30
NAME_CHARS_SHOWN: Final = 40

_PARSE_ERROR, _INVALID_REQUEST, _NO_METHOD, _BAD_PARAMS, _INTERNAL = (
    -32_700,
    -32_600,
    -32_601,
    -32_602,
    -32_603,
)
_REFUSED: Final = -32_000
_REVERTED: Final = 3  # Geth's number for a revert, which clients go by.
_WORDS: Final[Mapping[Refusal, str]] = {  # Geth's, which clients go by, too.
    Refusal.NONCE_TOO_LOW: "nonce too low",
    Refusal.NONCE_TOO_HIGH: "nonce too high",
    Refusal.WRONG_CHAIN: "invalid chain id for signer",
    Refusal.UNDERPRICED: "transaction underpriced",
    Refusal.FUNDS_MISSING: "insufficient funds for gas * price + value",
    Refusal.GAS_OUT_OF_RANGE: "intrinsic gas too low, or gas limit too high",
    Refusal.BAD_TRANSACTION: "rlp: cannot decode, or signature invalid",
    Refusal.READ_ONLY: "this endpoint takes no transactions",
}


@dataclass(eq=False, kw_only=True)
class RpcFailure(LedgerError):
    """A request that is answered with a JSON-RPC error."""

    code: ClassVar[str] = "rpc_failure"
    number: int
    message: str
    data: bytes | None = None


class RpcServer:
    """Answers JSON-RPC requests. It waits for disk and EVM: call it in a thread."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain
        reads = ChainReads(chain)
        self._methods: Mapping[str, Callable[..., object]] = {
            "web3_clientVersion": lambda: CLIENT,
            "net_version": lambda: str(chain.chain_id),
            "eth_chainId": lambda: quantity_text(chain.chain_id),
            "eth_syncing": lambda: False,
            "eth_accounts": list,
            "eth_gasPrice": lambda: quantity_text(0),
            "eth_maxPriorityFeePerGas": lambda: quantity_text(0),
            "eth_feeHistory": reads.fee_history,
            "eth_blockNumber": reads.block_number,
            "eth_getBlockByNumber": reads.block_by_number,
            "eth_getBlockByHash": reads.block_by_hash,
            "eth_getTransactionByHash": reads.transaction_by_hash,
            "eth_getTransactionReceipt": reads.receipt,
            "eth_getTransactionCount": reads.transaction_count,
            "eth_getBalance": reads.balance,
            "eth_getCode": reads.code,
            "eth_getLogs": reads.logs,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate_gas,
            "eth_sendRawTransaction": self._send_raw,
        }
        self._reads = reads

    def answer(self, body: bytes) -> bytes:
        """The answer to one request or a batch, as bytes of JSON; empty for notifications alone."""
        try:
            request = parse_json(body.decode())
        except (NotJson, UnicodeDecodeError):
            return _bytes_of(_error(None, RpcFailure(number=_PARSE_ERROR, message="not JSON")))
        if not isinstance(request, list):
            answer = self._answer_one(request)
            return b"" if answer is None else _bytes_of(answer)
        if not 0 < len(request) <= BATCH_MAX:
            rule = f"a batch holds 1 to {BATCH_MAX} requests"
            return _bytes_of(_error(None, RpcFailure(number=_INVALID_REQUEST, message=rule)))
        answers = [self._answer_one(each) for each in request]
        return _bytes_of([each for each in answers if each is not None] or None)

    def _answer_one(self, request: object) -> object | None:
        known_id = request.get("id") if isinstance(request, dict) else None
        if not isinstance(known_id, str | int | float | None):
            known_id = None
        try:
            result = self._result(request)
        except RpcFailure as failure:
            return _error(known_id, failure)
        if isinstance(request, dict) and "id" not in request:
            return None  # A notification: it was done, and nobody waits.
        return {"jsonrpc": "2.0", "id": known_id, "result": result}

    def _result(self, request: object) -> object:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            raise RpcFailure(number=_INVALID_REQUEST, message="not a JSON-RPC request")
        name, params = request["method"], request.get("params", [])
        method = self._methods.get(name)
        if method is None:
            shown = name[:NAME_CHARS_SHOWN].encode("ascii", "replace").decode()
            raise RpcFailure(number=_NO_METHOD, message=f"the method {shown} is not available")
        if not isinstance(params, list):
            raise RpcFailure(number=_BAD_PARAMS, message="params must be an array")
        try:
            return method(*params)
        except RpcFailure:
            raise
        except TransactionRefused as error:
            raise RpcFailure(number=_REFUSED, message=_refusal(error)) from error
        except ChainUnavailable as error:
            raise RpcFailure(number=_INTERNAL, message="the chain is unavailable") from error
        except UnknownBlock as error:
            raise RpcFailure(number=_REFUSED, message="unknown block") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RpcFailure(number=_BAD_PARAMS, message=f"{name}: invalid params") from error

    # What runs code.

    def _call(self, request: object, at: object = "latest", *_overrides: object) -> str:
        header = self._reads.header_to_run_on(at)
        with self._chain.underneath() as backend:
            outcome = backend.execute(**_message(request), header=header, gas=GAS_MAX)
        _require_success(outcome)
        return data_text(outcome.output)

    def _estimate_gas(self, request: object, at: object = "latest", *_overrides: object) -> str:
        header = self._reads.header_to_run_on(at)
        with self._chain.underneath() as backend:
            outcome = backend.execute(**_message(request), header=header, gas=GAS_MAX)
        _require_success(outcome)
        return quantity_text(outcome.gas_by(MARGIN))

    def _send_raw(self, raw: object) -> str:
        if self._chain.ahead_s() > AHEAD_S_MAX:
            # Every block takes a second: strangers must not move the time that orders end by.
            rule = "the chain is ahead of its clock: send it again in a minute"
            raise RpcFailure(number=_REFUSED, message=rule)
        signed = jsonrpc.octets(raw)
        with self._chain.underneath() as backend:
            if backend.decode(signed).gas > GAS_MAX:
                rule = f"at most {GAS_MAX}"
                raise TransactionRefused(reason=Refusal.GAS_OUT_OF_RANGE, rule=rule)
            return data_text(self._chain.send_raw(signed))


def _refusal(error: TransactionRefused) -> str:
    words = _WORDS[error.reason]
    if error.reason is Refusal.BAD_TRANSACTION:
        return words  # The library's own words could be taken for another refusal.
    return f"{words}: {error.rule}"


def _message(request: object) -> dict[str, Any]:
    """What a call says of sender, target and data."""
    if not isinstance(request, dict):
        raise TypeError(request)
    if jsonrpc.quantity(request.get("value") or "0x0"):
        raise RpcFailure(number=_REFUSED, message="insufficient funds: there is no ether here")
    data = request.get("input", request.get("data")) or "0x"
    sender, to = request.get("from"), request.get("to")
    return {
        "data": jsonrpc.octets(data),
        "sender": None if sender is None else _address(sender),
        "to": None if to is None else _address(to),
    }


def _address(value: object) -> Address:
    return jsonrpc.address(value)


def _require_success(outcome: Any) -> None:
    computation = outcome.computation
    if not computation.is_error:
        return
    match type(computation.error).__name__:
        case "Revert":
            raise RpcFailure(number=_REVERTED, message="execution reverted", data=outcome.output)
        case "OutOfGas":
            raise RpcFailure(number=_REFUSED, message=f"out of gas: at most {GAS_MAX} here")
    raise RpcFailure(number=_REFUSED, message="invalid opcode, jump or stack")


def _error(known_id: object, failure: RpcFailure) -> dict[str, object]:
    error: dict[str, object] = {"code": failure.number, "message": failure.message}
    if failure.data is not None:
        error["data"] = data_text(failure.data)
    return {"jsonrpc": "2.0", "id": known_id, "error": error}


def _bytes_of(answer: Mapping[str, object] | Sequence[object] | object | None) -> bytes:
    return b"" if answer is None else json.dumps(answer).encode("ascii")
