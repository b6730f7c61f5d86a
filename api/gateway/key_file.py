"""A meter's key file, `wattledger.meter-key/1`, as the page `/home` makes it.

`{"format", "label", "key", "secret", "meter_id", "service", "chain_id", "registry"}`: address and
secret of the meter's key, its id, and what it signs for. What is not said is asked of the service;
fields that are new are left.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from api.errors import BadInput
from api.files import storage
from api.gateway.errors import KeyExposed
from ledger.json_fields import BadField, Fields, choice, octets, text, whole
from ledger.json_text import NotJson, parse_json
from ledger.keccak import address_of, domain_separator
from ledger.units import Address, Hash32
from metering.readings import METER_ID_BYTES, MeterId

FORMAT: Final = "wattledger.meter-key/1"
FILE_BYTES_MAX: Final = 65_536
CHAIN_ID_MAX: Final = 2**53 - 1
ADDRESS_BYTES: Final = 20
SECRET_BYTES: Final = 32
# Anybody may read it, or others than its owner may replace what it says. A group may read it: so
# systemd hands credentials to a service.
EXPOSED: Final = stat.S_IRWXO | stat.S_IWGRP
OPTION: Final = "--key"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingDomain:
    """What readings are signed for: one registry on one chain."""

    chain_id: int
    registry: Address

    @property
    def separator(self) -> Hash32:
        """EIP-712."""
        return domain_separator(self.chain_id, self.registry)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterKey:
    """A meter's id and the key that speaks for it."""

    meter_id: MeterId
    label: str
    secret: bytes = field(repr=False)
    service: str | None  # Its address.
    domain: ReadingDomain | None


def read_meter_key(path: Path) -> MeterKey:
    """A key file that only its owner can read.

    Raises:
        KeyExposed: others can read it.
        BadInput: it is no key file, or its parts contradict each other; never with what is in it.
        StorageFailed: it cannot be read.
    """
    with storage(path), path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        content = file.read(FILE_BYTES_MAX + 1)
    if os.name != "nt" and stat.S_ISREG(mode) and mode & EXPOSED:
        rule = f"others can read or change it: chmod 600 {path.name}"
        raise KeyExposed(file=str(path), rule=rule)
    if len(content) > FILE_BYTES_MAX:
        raise BadInput(field=OPTION, rule=f"{path.name} is no key file: it is too long")
    try:
        return _key_of(Fields(parse_json(content.decode()), ""))
    except (NotJson, UnicodeDecodeError) as error:
        raise BadInput(field=OPTION, rule=f"{path.name} is no JSON") from error
    except BadField as error:
        rule = f"{path.name}: {error.field} {error.rule}"
        if error.field == "meter_id":
            rule += "; the page /home shows the meter's id"
        raise BadInput(field=OPTION, rule=rule) from error


def _key_of(fields: Fields) -> MeterKey:
    fields.take("format", choice([FORMAT]))
    key = fields.take("key", octets(ADDRESS_BYTES))
    secret = fields.take("secret", octets(SECRET_BYTES))
    try:
        is_its_own = address_of(secret) == key
    except ValueError:  # Zero, or beyond the curve's order.
        is_its_own = False
    if not is_its_own:
        raise BadField(field="secret", rule="is not that of key")
    domain = None
    if "chain_id" in fields or "registry" in fields:
        domain = domain_of(fields, fields)
    return MeterKey(
        meter_id=MeterId(fields.take("meter_id", octets(METER_ID_BYTES))),
        label=fields.take("label", text),
        secret=secret,
        service=fields.take("service", text) if "service" in fields else None,
        domain=domain,
    )


def domain_of(fields: Fields, contracts: Fields) -> ReadingDomain:
    """What an answer or a file says of it."""
    return ReadingDomain(
        chain_id=fields.take("chain_id", whole(1, CHAIN_ID_MAX)),
        registry=Address(contracts.take("registry", octets(ADDRESS_BYTES))),
    )
