"""What a simulated charge point is made of."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from charging.simulator.clock import Clock
from charging.simulator.errors import BadPointSetting
from charging.simulator.faults import Fault
from charging.simulator.ocmf import OcmfSigner
from charging.simulator.settings import METER_INTERVAL, SECONDS_MAX, may_be
from ledger.units import REGISTER_WH_MAX

PROTOCOLS: Final = ("1.6", "2.0.1")
CONNECTORS_MAX: Final = 100
POWER_W_MAX: Final = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything about one charge point that does not change.

    Raises:
        BadPointSetting: names the setting and its rule.
    """

    url: str
    charge_point_id: str
    password: str | None
    protocol: str
    connectors: int
    clock: Clock
    power_w: int
    interval_s: int
    register_wh: int
    signer: OcmfSigner | None
    faults: frozenset[Fault]
    note: Callable[[str], None]
    ssl_context: ssl.SSLContext | None
    checks_schemas: bool
    ping_s: int | None
    retry_ms: int

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise BadPointSetting(field="protocol", rule=f"one of {', '.join(PROTOCOLS)}")
        if not may_be(METER_INTERVAL, self.interval_s):
            raise BadPointSetting(field="interval_s", rule=f"from 0 (none) to {SECONDS_MAX}")
        for field, value, value_min, value_max in (
            ("connectors", self.connectors, 1, CONNECTORS_MAX),
            ("power_w", self.power_w, 1, POWER_W_MAX),
            ("register_wh", self.register_wh, 0, REGISTER_WH_MAX),
        ):
            if not value_min <= value <= value_max:
                raise BadPointSetting(field=field, rule=f"from {value_min} to {value_max}")
