"""The service's routes as a driver uses them, signed in where that is asked for."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from api.driver.answers import (
    ChargePoint,
    Market,
    Session,
    charge_point_of,
    charge_points_of,
    market_of,
    read,
    session_of,
)
from api.driver.http import BadAnswer, Event, Service, ServiceRefused, refusal_of
from api.driver.signing import order_body, sign_in_body, top_up_body
from charging.desk import Permit
from charging.orders import ChargeOrder, SessionId, TopUp
from ledger.chain.wallet import Wallet
from ledger.json_text import NotJson, parse_json

NOT_SIGNED_IN: Final = "not_authenticated"
PAGES_MAX: Final = 1_000


def fetch_market(service: Service) -> Market:
    """`GET /v1/market`."""
    return read(service.url, service.ask("/v1/market"), market_of)


def fetch_charge_point(service: Service, charge_point_id: str) -> ChargePoint:
    """`GET /v1/chargers/{id}`; a ServiceRefused of `charger_unknown` if there is none."""
    answer = service.ask(f"/v1/chargers/{quote(charge_point_id, safe='')}")
    return read(service.url, answer, charge_point_of)


def fetch_charge_points(service: Service) -> Iterator[ChargePoint]:
    """All charge points."""
    query = ""
    for _ in range(PAGES_MAX):
        points, following = read(service.url, service.ask(f"/v1/chargers{query}"), charge_points_of)
        yield from points
        if following is None:
            return
        query = f"?cursor={quote(following, safe='')}"


class DriverDesk:
    """One driver at one service. Signs in when it is needed, and again when that has ended."""

    def __init__(self, service: Service, market: Market, wallet: Wallet) -> None:
        self.service = service
        self.market = market
        self.wallet = wallet
        self._token: str | None = None

    def place(self, order: ChargeOrder, signature: bytes, permit: Permit | None) -> Session:
        """Brings an order; the same one again is the same session."""
        answer = self.service.ask("/v1/sessions", order_body(order, signature, permit))
        return self._session(answer)

    def session(self, session_id: SessionId) -> Session:
        """A session as it is now."""
        return self._session(self._ask(session_id))

    def stop(self, session_id: SessionId) -> Session:
        """Ends a charge; asking twice is no error."""
        return self._session(self._ask(session_id, "/stop", method="POST"))

    def top_up(self, top_up: TopUp, signature: bytes, permit: Permit | None) -> Session:
        """Adds to a deposit."""
        body = top_up_body(top_up, signature, permit)
        return self._session(self._ask(top_up.session_id, "/top-up", body))

    def receipt(self, session_id: SessionId) -> dict[str, Any]:
        """The receipt file's JSON."""
        answer = self._ask(session_id, "/receipt")
        if not isinstance(answer, dict):
            raise BadAnswer(url=self.service.url, rule="a receipt is a JSON object")
        return answer

    def events(self, session_id: SessionId, last_seen: str | None) -> Iterator[tuple[Session, str]]:
        """A session whenever it changes, with the event's id, until it has ended."""
        path = f"{_path(session_id)}/events"
        try:
            found = self.service.events(path, token=self._signed_in(), last_seen=last_seen)
            for event in found:
                yield self._told(event), event.event_id
        except ServiceRefused as error:
            if error.code == NOT_SIGNED_IN:
                self._token = None
            raise

    def _told(self, event: Event) -> Session:
        try:
            said = parse_json(event.data)
        except NotJson as error:
            raise BadAnswer(url=self.service.url, rule="an event is not JSON") from error
        if event.name == "problem" and isinstance(said, dict):
            raise refusal_of(said)
        return self._session(said)

    def _ask(
        self, session_id: SessionId, what: str = "", body: object = None, *, method: str = ""
    ) -> Any:
        path = _path(session_id) + what
        try:
            return self.service.ask(path, body, token=self._signed_in(), method=method)
        except ServiceRefused as error:
            if error.code != NOT_SIGNED_IN:
                raise
        self._token = None  # It lasts half a day, and a charge a whole one.
        return self.service.ask(path, body, token=self._signed_in(), method=method)

    def _signed_in(self) -> str:
        if self._token is None:
            service = self.service
            nonce = service.ask("/v1/auth/nonce", {})
            body = sign_in_body(
                self.wallet,
                url=service.url,
                host=service.host,
                chain_id=self.market.chain_id,
                nonce=str(nonce.get("nonce")) if isinstance(nonce, dict) else "",
                now_at=service.now_at(),
            )
            answer = service.ask("/v1/auth/login", body)
            token = answer.get("access_token") if isinstance(answer, dict) else None
            if not isinstance(token, str):
                raise BadAnswer(url=service.url, rule="signing in gave no token")
            self._token = token
        return self._token

    def _session(self, answer: object) -> Session:
        return read(self.service.url, answer, session_of)


def _path(session_id: SessionId) -> str:
    return f"/v1/sessions/0x{session_id.hex()}"
