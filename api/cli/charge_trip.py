"""One charge of one driver: signed, placed, followed, settled, and checked in the end."""

import json
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ClassVar

from api.cli.charge_line import shown_where
from api.cli.charge_outcome import Ended, ended_outcome, placed_outcome
from api.cli.charge_words import session_line, signing_text
from api.cli.context import Outcome
from api.cli.money import tokens_exact
from api.driver.answers import Connector, Market, Session
from api.driver.desk import DriverDesk
from api.driver.following import Following, Wishes, interruptible
from api.driver.http import BadAnswer, ServiceUnreachable
from api.driver.news import Inbox
from api.driver.signing import PermitOffer, escrow_domain, new_order, new_top_up, permit_offer
from api.files import write_whole
from api.jobs.verify import Verdict
from api.jobs.verify_receipt import EscrowFacts, verify_receipt
from charging.desk import Permit, SessionState
from charging.orders import ChargeOrder, SessionId
from charging.receipt_file import receipt_from_json
from ledger.chain.protocol import Chain
from ledger.errors import LedgerError
from ledger.units import from_unix_s

PLACE_TRIES = 3
PLACE_AGAIN_S = 2


@dataclass(eq=False, kw_only=True)
class LeftSession(LedgerError):
    """The driver left before the end."""

    code: ClassVar[str] = "interrupted"
    session: str
    rule: str = "the service stops it and refunds the rest; --session ID follows it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A driver, the chain, and what is wanted."""

    desk: DriverDesk
    chain: Chain
    wishes: Wishes
    endpoint: str  # Of the chain.
    receipt_file: Path | None
    shown: bool

    @property
    def market(self) -> Market:
        """Where the driver charges."""
        return self.desk.market

    def offer(
        self, connector: Connector, deposit_micro: int
    ) -> tuple[ChargeOrder, PermitOffer | None]:
        """What can be signed; raises FundsMissing."""
        driver, now_at = self.desk.wallet.address, self._now_at()
        order = new_order(
            connector,
            driver,
            deposit_micro=deposit_micro,
            now_at=now_at,
            speed=self.market.clock.speed,
        )
        return order, self._permit_offer(deposit_micro)

    def signing_text(self, order: ChargeOrder, permit: PermitOffer | None, name: str) -> str:
        """The same in words."""
        return signing_text(self.market, order, self._session_id(order), permit, name)

    def charge(self, order: ChargeOrder, permit: PermitOffer | None, *, follow: bool) -> Outcome:
        """Signs, puts the deposit down, and stays to the end if that is wanted."""
        inbox: Inbox = SimpleQueue()
        with interruptible(inbox):
            session = self._place(order, permit)
            if session.session_id != self._session_id(order):
                rule = "the session is another one than was signed"
                raise BadAnswer(url=self.desk.service.url, rule=rule)
            if follow:
                return self._follow(session.session_id, inbox)
        return placed_outcome(session)

    def follow(self, session_id: SessionId) -> Outcome:
        """Stays with a session to its end."""
        inbox: Inbox = SimpleQueue()
        with interruptible(inbox):
            return self._follow(session_id, inbox)

    def _follow(self, session_id: SessionId, inbox: Inbox) -> Outcome:
        try:
            with shown_where(shown=self.shown) as where:
                currency = self.market.currency
                followed = Following(
                    self.desk,
                    session_id,
                    self.wishes,
                    inbox=inbox,
                    show=lambda session: where.line(session_line(session, currency)),
                    note=where.note,
                    top_up=lambda add_micro: where.note(self._top_up(session_id, add_micro)),
                ).run()
        except KeyboardInterrupt as error:
            raise LeftSession(session="0x" + session_id.hex()) from error
        ended = Ended(
            session=followed.session, currency=self.market.currency, stop_asked=followed.stop_asked
        )
        if followed.session.state is not SessionState.CLOSED:
            return ended_outcome(ended)
        return self._settled(ended)

    def _settled(self, ended: Ended) -> Outcome:
        """With its receipt, which is kept and checked."""
        document = self.desk.receipt(ended.session.session_id)
        if self.receipt_file is not None:
            write_whole(self.receipt_file, json.dumps(document, indent=1) + "\n")
        verdict = self._verified(ended.session, document)
        return ended_outcome(
            ended,
            receipt=document,
            verdict=verdict,
            file=self.receipt_file,
            endpoint=self.endpoint,
        )

    def _verified(self, session: Session, document: dict[str, Any]) -> Verdict:
        receipt = receipt_from_json(document)
        if receipt.session_id != session.session_id:
            raise BadAnswer(url=self.desk.service.url, rule="the receipt is of another session")
        return verify_receipt(receipt, EscrowFacts(self.chain, self.market.escrow))

    def _place(self, order: ChargeOrder, permit_offer: PermitOffer | None) -> Session:
        """Brings the order; whatever drops on the way, it is one session."""
        wallet = self.desk.wallet
        signature = wallet.sign_digest(self._session_id(order))
        permit: Permit | None = permit_offer.signed(wallet) if permit_offer else None
        for tries_left in reversed(range(PLACE_TRIES)):
            try:
                return self.desk.place(order, signature, permit)
            except ServiceUnreachable:
                if not tries_left:
                    raise
            time.sleep(PLACE_AGAIN_S)
        raise AssertionError  # The last try returned or raised.

    def _top_up(self, session_id: SessionId, add_micro: int) -> str:
        offer = self._permit_offer(add_micro)
        wallet, addition = self.desk.wallet, new_top_up(session_id, add_micro)
        signature = wallet.sign_digest(addition.digest(escrow_domain(self.market)))
        self.desk.top_up(addition, signature, offer.signed(wallet) if offer else None)
        return f"{tokens_exact(add_micro)} {self.market.currency} are added to the deposit"

    def _permit_offer(self, amount_micro: int) -> PermitOffer | None:
        driver, now_at = self.desk.wallet.address, self._now_at()
        return permit_offer(self.chain, self.market, driver, amount_micro, now_at=now_at)

    def _session_id(self, order: ChargeOrder) -> SessionId:
        return order.session_id(escrow_domain(self.market))

    def _now_at(self) -> datetime:
        """By the community's clock, or the chain's where that is ahead."""
        return max(self.market.clock.now(), from_unix_s(self.chain.head().timestamp_s))
