"""JSON-RPC over HTTP through web3's provider, with every way to fail under one name.

Nothing else is taken from web3: its formatters cost more than the request, and an answer that is
not what the method promises must become a `ChainUnavailable` here, not a surprise further in.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from ledger.chain.errors import ChainUnavailable
from ledger.errors import LedgerError
from ledger.units import Address, Hash32

T = TypeVar("T")
TRIES = 3
PAUSE_S = 0.1  # Before the second try; four times as long before each further one.
WAITS = 3  # So often a node that asks us to wait (RFC 6585, section 4) is waited for,
WAIT_S_MAX = 60  # so long each time at most.
TOO_MANY = 429
_RULE_CHARS_MAX = 200


@dataclass(eq=False, kw_only=True)
class RpcError(LedgerError):
    """The node understood the request and refused it; `rpc.py` says what that means."""

    code: ClassVar[str] = "rpc_error"
    method: str
    number: int
    message: str
    data: bytes | None


class Endpoint:
    """One URL. Reads are tried again when nobody answers; writes never are."""

    def __init__(self, url: str, timeout_s: float) -> None:
        import requests  # noqa: PLC0415 (slow to import)
        from web3.providers import HTTPProvider  # noqa: PLC0415

        self._session = requests.Session()
        self._failures = (OSError, ValueError, requests.RequestException)
        self._provider = HTTPProvider(
            url,
            request_kwargs={"timeout": timeout_s},
            session=self._session,
            exception_retry_configuration=None,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def read(self, method: str, params: Sequence[object], parse: Callable[[Any], T]) -> T:
        """An answer to a question that may be asked again; a node that asks for it is waited for.

        Raises:
            RpcError: the node refuses.
            ChainUnavailable: nobody answers, or not what was asked.
        """
        pause_s, tries, waits = PAUSE_S, 0, 0
        while True:
            try:
                return self.write(method, params, parse)
            except ChainUnavailable as problem:
                wait_s = _asked_to_wait_s(problem.__cause__)
                if wait_s is not None and waits < WAITS:
                    waits += 1
                    time.sleep(wait_s)
                    continue
                tries += 1
                if tries == TRIES:
                    raise
            time.sleep(pause_s)
            pause_s *= 4

    def write(self, method: str, params: Sequence[object], parse: Callable[[Any], T]) -> T:
        """An answer to a request that is made exactly once. Raises as `read`."""
        try:
            answer: Any = self._provider.make_request(method, list(params))
        except self._failures as error:
            raise unavailable(method, _reason(error)) from error
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise unavailable(method, "the answer is not JSON-RPC")
        if answer.get("error") is not None:
            raise _refusal(method, answer["error"])
        try:
            return parse(answer["result"])
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise unavailable(method, f"the answer makes no sense: {error}") from error


def unavailable(method: str, reason: str) -> ChainUnavailable:
    """The chain cannot be used, and why."""
    return ChainUnavailable(rule=f"{method}: {reason}"[:_RULE_CHARS_MAX])


def quantity(value: Any) -> int:
    """An integer as JSON-RPC writes it."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"{value!r} is not a quantity")
    return int(value, 16)


def octets(value: Any) -> bytes:
    """Bytes as JSON-RPC writes them."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"{value!r} is not hex")
    return bytes.fromhex(value[2:])


def hash32(value: Any) -> Hash32:
    """A hash."""
    return Hash32(_exactly(octets(value), 32))


def address(value: Any) -> Address:
    """An address."""
    return Address(_exactly(octets(value), 20))


def _exactly(value: bytes, length: int) -> bytes:
    if len(value) != length:
        raise ValueError(f"{len(value)} bytes instead of {length}")
    return value


def _refusal(method: str, error: Any) -> RpcError | ChainUnavailable:
    if not isinstance(error, dict):
        return unavailable(method, "the error is not JSON-RPC's")
    number, message, data = error.get("code"), error.get("message"), error.get("data")
    try:
        revert_data = octets(data)
    except ValueError:
        revert_data = None
    return RpcError(
        method=method,
        number=number if isinstance(number, int) else 0,
        message=str(message)[:_RULE_CHARS_MAX],
        data=revert_data,
    )


def _asked_to_wait_s(error: BaseException | None) -> int | None:
    """How long a node that was asked too often wants us to wait; None: it was not that."""
    response = getattr(error, "response", None)
    if response is None or response.status_code != TOO_MANY:
        return None
    stated = str(response.headers.get("Retry-After", ""))
    return min(int(stated), WAIT_S_MAX) if stated.isdecimal() else 1


def _reason(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}"
    # Not `str(error)`: it quotes the URL, which may hold an access key.
    return type(error).__name__
