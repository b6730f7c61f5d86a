"""What a service says to a gateway; fields that are new are left."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from api.clock import SPEED_MAX
from api.driver.http import BadAnswer, Service, one_line
from api.gateway.key_file import ReadingDomain, domain_of
from ledger.json_fields import BadField, Fields, instant_s, listed, text, whole
from ledger.units import from_unix_s

WINDOW_S_MAX: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What readings are signed for, and when they matter."""

    domain: ReadingDomain
    window_s: int
    now_at: datetime  # The community's time.
    speed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A reading that the service did not take in."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a batch: those that are not refused are there."""

    accepted: int
    duplicates: int
    refused: Mapping[int, Refused]  # By place in the batch.


def fetch_market(service: Service) -> Market:
    """`GET /v1/market`; raises as `Service.ask`."""
    document = service.ask("/v1/market")
    try:
        fields = Fields(document, "")
        contracts = Fields(fields.take("contracts", lambda value, _: value), "contracts")
        return Market(
            domain=domain_of(fields, contracts),
            window_s=fields.take("window_s", whole(1, WINDOW_S_MAX)),
            now_at=from_unix_s(fields.take("now", instant_s)),
            speed=fields.take("speed", whole(1, SPEED_MAX)),
        )
    except BadField as error:
        raise BadAnswer(url=service.url, rule=error.detail) from error


def taken_of(url: str, document: object, count: int) -> Taken:
    """The answer to a batch of so many; raises BadAnswer if it does not tell of each."""
    try:
        fields = Fields(document, "")
        refused = dict(
            fields.take("rejected", listed(lambda each, path: _refused(each, path, count)))
        )
        taken = Taken(
            accepted=fields.take("accepted", whole(0, count)),
            duplicates=fields.take("duplicates", whole(0, count)),
            refused=refused,
        )
    except BadField as error:
        raise BadAnswer(url=url, rule=error.detail) from error
    if taken.accepted + taken.duplicates + len(refused) != count:
        raise BadAnswer(url=url, rule="it does not say what became of each reading")
    return taken


def _refused(value: object, path: str, count: int) -> tuple[int, Refused]:
    fields = Fields(value, path)
    return fields.take("index", whole(0, count - 1)), Refused(
        code=one_line(fields.take("code", text)), detail=one_line(fields.take("detail", text))
    )
