"""The `Idempotency-Key` header: a request that is sent again is not done again.

    draft-ietf-httpapi-idempotency-key-header

The answer is kept in the transaction of what it tells of: either both are there, or neither.
"""

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from api.deps import CallerDep, ServiceDep
from api.errors import BadInput, IdempotencyKeyReused
from api.idempotency_store import IdempotencyStore, KeptAnswer
from ledger.errors import LedgerError
from ledger.json_text import NotJson, parse_json
from ledger.units import Address

T = TypeVar("T")
Also = Callable[[Connection, T], None]  # Called in the transaction that does what was asked.
KEPT_FOR: Final = timedelta(days=1)
KEY_CHARS_MAX: Final = 200
# A string of RFC 8941, or the same without its quotes.
_KEY: Final = re.compile(r'"([ !#-\[\]-~]{1,200})"|([!#-\[\]-~]{1,200})')


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """One request, and what makes it the same when it comes again."""

    store: IdempotencyStore
    caller: Address
    key: str | None  # None: every request is another one.
    fingerprint: bytes
    now_at: datetime

    def answer(
        self,
        status: int,
        render: Callable[[T], BaseModel],
        do: Callable[[Also[T]], T],
    ) -> Response:
        """Does what was asked, or answers what it was answered before.

        Args:
            do: does it in a transaction, in which it calls what it is given with its result.

        Raises:
            IdempotencyKeyReused: something else was asked with this key.
        """
        known = self._known()
        if known is not None:
            return known

        def also(connection: Connection, result: T) -> None:
            if self.key is not None:
                self._keep(connection, self.key, status, _json_of(render(result)))

        try:
            result = do(also)
        except (IntegrityError, LedgerError):
            known = self._known()  # It came twice at once, and the other one was first.
            if known is None:
                raise
            return known
        return _response(status, _json_of(render(result)))

    def _known(self) -> Response | None:
        if self.key is None:
            return None
        found = self.store.find(self.caller, self.key, now_at=self.now_at)
        if found is None:
            return None
        if found.fingerprint != self.fingerprint:
            raise IdempotencyKeyReused(rule="something else was asked with this key")
        return _response(found.status, found.body)

    def _keep(self, connection: Connection, key: str, status: int, body: str) -> None:
        self.store.keep(
            connection,
            self.caller,
            key,
            KeptAnswer(fingerprint=self.fingerprint, status=status, body=body),
            now_at=self.now_at,
            expires_at=self.now_at + KEPT_FOR,
        )


async def once_of(
    request: Request,
    caller: CallerDep,
    service: ServiceDep,
    idempotency_key: Annotated[
        str | None,
        Header(
            max_length=KEY_CHARS_MAX + 2,
            description="Sent again with the same key within a day, a request is not done again: "
            "it gets the same answer.",
            examples=['"8e03978e-40d5-43e8-bc93-6894a57f9324"'],
        ),
    ] = None,
) -> Once:
    """The request, by its key; raises BadInput."""
    return Once(
        store=IdempotencyStore(service.community.engine),
        caller=caller.address,
        key=_key_of(idempotency_key),
        fingerprint=_fingerprint(request, await request.body()),
        now_at=service.now(),
    )


OnceDep = Annotated[Once, Depends(once_of)]


def _key_of(header: str | None) -> str | None:
    if header is None:
        return None
    found = _KEY.fullmatch(header)
    if found is None:
        rule = f"a string of 1 to {KEY_CHARS_MAX} visible characters, as a UUID in quotes"
        raise BadInput(field="Idempotency-Key", rule=rule)
    return found[1] or found[2]


def _fingerprint(request: Request, body: bytes) -> bytes:
    """What is asked; that a body is spelled otherwise does not make it another."""
    with suppress(NotJson, UnicodeDecodeError):  # Then it is refused elsewhere, or there is none.
        body = json.dumps(parse_json(body.decode()), sort_keys=True).encode()
    asked = f"{request.method} {request.url.path}\n".encode() + body
    return hashlib.sha256(asked).digest()


def _json_of(answer: BaseModel) -> str:
    return answer.model_dump_json(by_alias=True)


def _response(status: int, body: str) -> Response:
    return Response(body, status_code=status, media_type="application/json")
