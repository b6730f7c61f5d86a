"""What a driver reads: the price first, what is signed, how a charge goes, what it came to."""

from collections.abc import Iterable

from api.cli.money import kw, kwh_exact, tokens_exact
from api.driver.answers import ChargePoint, Connector, Market, Session
from api.driver.signing import PermitOffer
from charging.desk import SessionState
from charging.orders import ChargeOrder
from charging.tariffs import ChargeTariff, cost_micro_down
from ledger.keccak import checksum_address
from ledger.units import BPS, from_unix_s, to_rfc3339

EXAMPLE_WH = 30_000
SECONDS_PER_HOUR = 3_600
MINUTES_PER_HOUR = 60


def price_words(tariff: ChargeTariff, currency: str) -> list[tuple[str, str]]:
    """The parts of a price that are not free, in the order of AFIR Art. 5(4)."""
    shown = []
    if tariff.energy_per_kwh:
        shown.append(("per kWh", f"{tokens_exact(tariff.energy_per_kwh)} {currency}"))
    if tariff.time_per_hour:
        shown.append(("per minute of charging", _per_minute(tariff.time_per_hour, currency)))
    if tariff.start_fee:
        shown.append(("per start", f"{tokens_exact(tariff.start_fee)} {currency}"))
    if tariff.idle_per_hour:
        shown.append(("per minute of idling", _per_minute(tariff.idle_per_hour, currency)))
    return shown or [("per kWh", f"0.00 {currency}, free")]


def _per_minute(price_per_hour: int, currency: str) -> str:
    """A price per minute, rounded up where it is no whole number; per hour it is exact."""
    per_minute = -(-price_per_hour // MINUTES_PER_HOUR)
    about = "about " if price_per_hour % MINUTES_PER_HOUR else ""
    return f"{about}{tokens_exact(per_minute)} {currency} ({tokens_exact(price_per_hour)} an hour)"


def short_price(tariff: ChargeTariff, currency: str) -> str:
    """A price in one line."""
    return ", ".join(f"{text} {name}" for name, text in price_words(tariff, currency))


def offer_text(
    market: Market,
    point: ChargePoint,
    connector: Connector,
    deposit_micro: int,
    top_up_micro: int | None,
) -> str:
    """The price, an example, the deposit, and what becomes of it."""
    currency, tariff = market.currency, connector.tariff
    time_s = EXAMPLE_WH * SECONDS_PER_HOUR // connector.power_w
    example_micro = cost_micro_down(tariff, energy_wh=EXAMPLE_WH, time_s=time_s, idle_s=0)
    place = f", {point.place}" if point.place else ""
    head = f"{point.charge_point_id}, connector {connector.connector_id}{place}"
    lines = [f"{head} ({kw(connector.power_w)} kW, {_state(point, connector)})"]
    rows = price_words(tariff, currency)
    example = f"{tokens_exact(example_micro)} {currency}, {_span(time_s)} at full power"
    rows.append((f"example, {EXAMPLE_WH // 1_000} kWh", example))
    vat = f"{connector.vat_bps * 100 // BPS}.{connector.vat_bps % 100:02d} % VAT included"
    deposit = f"{tokens_exact(deposit_micro)} {currency}"
    rows.append(("deposit", f"{deposit}; what is not used is back in the same transaction"))
    if top_up_micro is not None:
        top_up = f"{tokens_exact(top_up_micro)} {currency}"
        rows.append(("top-up", f"{top_up}, once, when the deposit is nearly used"))
    lines += _table(rows)
    lines.append(f"  {vat}")
    if connector.tariff_until_s is not None:
        until = to_rfc3339(from_unix_s(connector.tariff_until_s))
        lines.append(f"  this price is good until {until}; a charge keeps it to its end")
    return "\n".join(lines)


def _state(point: ChargePoint, connector: Connector) -> str:
    if not point.online:
        return "offline now"
    return "busy" if connector.busy else connector.state.lower()


def signing_text(
    market: Market, order: ChargeOrder, session_id: bytes, permit: PermitOffer | None, name: str
) -> str:
    """The fields that are signed, in words, in their order, with the digests."""
    tariff = order.tariff
    currency = market.currency
    where = f"chain {market.chain_id}, escrow {checksum_address(market.escrow)}"
    lines = [
        f"You sign a ChargeOrder for {where}:",
        *_table(
            [
                ("driver", checksum_address(order.driver)),
                ("chargerId", f"0x{order.charger_id.hex()} ({name})"),
                ("depositMicro", f"{order.deposit_micro} ({tokens_exact(order.deposit_micro)})"),
                (
                    "energyPerKwh",
                    f"{tariff.energy_per_kwh} ({tokens_exact(tariff.energy_per_kwh)})",
                ),
                ("startFee", f"{tariff.start_fee} ({tokens_exact(tariff.start_fee)})"),
                ("timePerHour", f"{tariff.time_per_hour} ({tokens_exact(tariff.time_per_hour)})"),
                ("idlePerHour", f"{tariff.idle_per_hour} ({tokens_exact(tariff.idle_per_hour)})"),
                ("validUntil", f"{order.valid_until_s} ({_instant(order.valid_until_s)})"),
                ("nonce", str(order.nonce)),
                ("digest", f"0x{session_id.hex()}, the session's id"),
            ]
        ),
    ]
    if permit is None:
        lines.append("No permit is needed: the escrow's allowance suffices.")
        return "\n".join(lines)
    lines.append(f"and a Permit of the token {checksum_address(market.token)}:")
    lines += _table(
        [
            ("owner", checksum_address(order.driver)),
            ("spender", f"{checksum_address(market.escrow)}, the escrow"),
            ("value", f"{permit.amount_micro} ({tokens_exact(permit.amount_micro)} {currency})"),
            ("nonce", str(permit.nonce)),
            ("deadline", f"{permit.deadline_s} ({_instant(permit.deadline_s)})"),
            ("digest", f"0x{permit.digest.hex()}"),
        ]
    )
    return "\n".join(lines)


def session_line(session: Session, currency: str) -> str:
    """How a charge goes, in one line."""
    match session.state:
        case SessionState.OPENING:
            return "the deposit is on its way into the escrow"
        case SessionState.OPEN:
            connector = f"{session.charge_point_id}, connector {session.connector_id}"
            return f"the deposit is there: plug in at {connector}"
        case SessionState.CHARGING | SessionState.STOPPING:
            power = "" if session.power_w is None else f"  {kw(session.power_w)} kW"
            left_micro = session.deposit_micro - session.cost_micro
            measured = "" if session.measured_s is None else f"  measured {_clock(session)}"
            ending = "  stopping" if session.state is SessionState.STOPPING else ""
            return (
                f"{kwh_exact(session.energy_wh)} kWh{power}  "
                f"{tokens_exact(session.cost_micro)} {currency}, "
                f"{tokens_exact(left_micro)} of {tokens_exact(session.deposit_micro)} left"
                f"{measured}{ending}"
            )
    return f"{session.state.value}{': ' if session.reason else ''}{session.reason}"


def _clock(session: Session) -> str:
    return f"{from_unix_s(session.measured_s or 0):%H:%M:%S} UTC"


def chargers_text(points: Iterable[ChargePoint], currency: str) -> str:
    """All chargers with their prices."""
    lines = [
        f"{point.charge_point_id}/{connector.connector_id}  "
        f"{_state(point, connector):<12}  {kw(connector.power_w):>5} kW  "
        f"{short_price(connector.tariff, currency)}  {point.place}".rstrip()
        for point in points
        for connector in point.connectors
    ]
    return "\n".join(lines) or "there are no chargers here"


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]


def _span(seconds: int) -> str:
    minutes, rest_s = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest_s:02d} s"


def _instant(unix_s: int) -> str:
    return to_rfc3339(from_unix_s(unix_s))
