"""`wattledger charge`: a driver's whole way, from the price to a receipt that was checked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from api.cli.charge_trip import Trip
from api.cli.charge_words import chargers_text, offer_text
from api.cli.context import Options, Outcome, data_path
from api.driver.answers import ChargePoint, Connector, Market
from api.driver.desk import DriverDesk, fetch_charge_point, fetch_charge_points, fetch_market
from api.driver.following import Wishes
from api.driver.http import BadAnswer, Service, ServiceRefused
from api.driver.wallets import DemoWallets
from api.errors import BadInput
from api.jobs.verify_receipt import EscrowFacts
from api.settings import read_settings
from charging.errors import DepositTooSmall
from charging.orders import SessionId, charger_id_of
from charging.tariffs import cost_micro_down
from ledger.chain.protocol import Chain
from ledger.chain.wallet import Wallet, load_keystore

SECONDS_PER_MINUTE = 60
SECONDS_PER_HOUR = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeOptions:
    """What the driver wants, as it was typed."""

    url: str
    rpc: str | None
    charger: str | None
    connector: int
    deposit_micro: int | None
    wallet: Path | None
    demo_wallet: str | None
    energy_wh: int | None
    minutes: int | None
    top_up_micro: int | None
    receipt: Path | None
    session: SessionId | None
    follow: bool
    yes: bool

    def wishes(self) -> Wishes:
        """What is to be done during the charge."""
        return Wishes(
            energy_wh=self.energy_wh,
            charge_s=None if self.minutes is None else SECONDS_PER_MINUTE * self.minutes,
            top_up_micro=self.top_up_micro,
        )


def run_list(url: str) -> Outcome:
    """All chargers of a service, with their prices."""
    service = Service(url)
    market, points = fetch_market(service), list(fetch_charge_points(service))
    found = [
        {
            "charger": point.charge_point_id,
            "connector": each.connector_id,
            "place": point.place,
            "online": point.online,
            "state": each.state,
            "busy": each.busy,
            "power_w": each.power_w,
            "energy_per_kwh": each.tariff.energy_per_kwh,
            "time_per_hour": each.tariff.time_per_hour,
            "start_fee": each.tariff.start_fee,
            "idle_per_hour": each.tariff.idle_per_hour,
            "vat_bps": each.vat_bps,
            "deposit_micro_min": str(each.deposit_micro_min),
        }
        for point in points
        for each in point.connectors
    ]
    return Outcome(
        document={"currency": market.currency, "chargers": found},
        text=chargers_text(points, market.currency),
    )


def run_charge(options: Options, wanted: ChargeOptions) -> Outcome:
    """Charges, or follows a charge that began before."""
    wishes = wanted.wishes()
    if options.as_json and not wanted.yes and wanted.session is None:
        raise BadInput(field="--yes", rule="with --json nobody is asked: say --yes to sign")
    if (wanted.wallet is None) == (wanted.demo_wallet is None):
        raise BadInput(field="--wallet", rule="say either --wallet FILE or --demo-wallet NAME")
    if wanted.session is not None:
        return _take_up(options, wanted, wishes, wanted.session)
    if wanted.charger is None or wanted.deposit_micro is None:
        missing = "--charger" if wanted.charger is None else "--deposit"
        raise BadInput(field=missing, rule="is needed; --list shows chargers and their prices")
    deposit_micro = wanted.deposit_micro
    service = Service(wanted.url)
    market = fetch_market(service)
    point = fetch_charge_point(service, wanted.charger)
    connector = _connector(service, point, wanted.connector)
    say = _say(options)
    say(offer_text(market, point, connector, deposit_micro, wishes.top_up_micro))
    if deposit_micro < connector.deposit_micro_min:
        least_micro = connector.deposit_micro_min
        raise DepositTooSmall(deposit_micro=deposit_micro, deposit_micro_min=least_micro)
    wishes = replace(wishes, full_micro_per_hour=_full_micro_per_hour(connector))
    with _trip(options, wanted, service, market, wishes, needed_micro=deposit_micro) as trip:
        name = f"{point.charge_point_id}/{connector.connector_id}"
        order, permit = trip.offer(connector, deposit_micro)
        say(trip.signing_text(order, permit, name))
        if not wanted.yes and not typer.confirm("Sign and put the deposit down?"):
            return Outcome(document={}, text="Nothing was signed.", passed=False)
        return trip.charge(order, permit, follow=wanted.follow)


def _take_up(
    options: Options, wanted: ChargeOptions, wishes: Wishes, session_id: SessionId
) -> Outcome:
    """Follows a session that was placed before."""
    service = Service(wanted.url)
    market = fetch_market(service)
    with _trip(options, wanted, service, market, wishes, needed_micro=0) as trip:
        session_now = trip.desk.session(session_id)
        point = fetch_charge_point(service, session_now.charge_point_id)
        connector = _connector(service, point, session_now.connector_id)
        full = _full_micro_per_hour(connector)
        wishes = replace(wishes, full_micro_per_hour=full)
        return replace(trip, wishes=wishes).follow(session_id)


@contextmanager
def _trip(
    options: Options,
    wanted: ChargeOptions,
    service: Service,
    market: Market,
    wishes: Wishes,
    *,
    needed_micro: int,
) -> Iterator[Trip]:
    endpoint = wanted.rpc or f"{service.url}/rpc"
    if wanted.rpc is None:
        _require_rpc(service)
    with _chain(endpoint, service, market) as chain:
        wallet = _wallet(options, wanted, chain, market, needed_micro)
        yield Trip(
            desk=DriverDesk(service, market, wallet),
            chain=chain,
            wishes=wishes,
            endpoint=endpoint,
            receipt_file=wanted.receipt,
            shown=not options.as_json,
        )


def _full_micro_per_hour(connector: Connector) -> int:
    """What a charger costs at full power, rounded down."""
    return cost_micro_down(
        replace(connector.tariff, start_fee=0),
        energy_wh=connector.power_w,
        time_s=SECONDS_PER_HOUR,
        idle_s=0,
    )


def _connector(service: Service, point: ChargePoint, connector_id: int) -> Connector:
    for connector in point.connectors:
        if connector.connector_id == connector_id:
            if connector.charger_id != charger_id_of(point.charge_point_id, connector_id):
                raise BadAnswer(url=service.url, rule="charger_id is another charger's")
            return connector
    known = ", ".join(str(each.connector_id) for each in point.connectors)
    raise BadInput(field="--connector", rule=f"{point.charge_point_id} has: {known}")


@contextmanager
def _chain(endpoint: str, service: Service, market: Market) -> Iterator[Chain]:
    """The chain that the orders are for, seen to have their escrow."""
    from ledger.chain.rpc import RpcChain  # noqa: PLC0415 (imports web3)

    timeout_s = read_settings().rpc_timeout_s
    with RpcChain.connect(
        endpoint, expected_chain_id=market.chain_id, timeout_s=timeout_s
    ) as chain:
        escrow = EscrowFacts(chain, market.escrow)
        problem = escrow.problem
        if problem is None and escrow.token != market.token:
            problem = "its token is not the market's"
        if problem is not None:
            raise BadAnswer(url=service.url, rule=f"the escrow that it names: {problem}")
        yield chain


def _require_rpc(service: Service) -> None:
    question = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    try:
        service.ask("/rpc", question)
    except ServiceRefused as error:
        if error.code != "not_found":
            raise
        rule = "the service's chain is behind a node: say the address of one"
        raise BadInput(field="--rpc", rule=rule) from error


def _wallet(
    options: Options, wanted: ChargeOptions, chain: Chain, market: Market, needed_micro: int
) -> Wallet:
    """The driver's key; a demo's driver has tokens, too."""
    if wanted.wallet is not None:
        password = read_settings().wallet_password
        if password is not None:
            return load_keystore(wanted.wallet, password.get_secret_value())
        asked = typer.prompt("Password of the key file", hide_input=True, err=True)
        return load_keystore(wanted.wallet, asked)
    demo = DemoWallets(data_path(options))
    wallet = demo.wallet(wanted.demo_wallet or "")
    demo.fill(chain, market, wallet.address, needed_micro)
    return wallet


def _say(options: Options) -> Callable[[str], None]:
    return (lambda _: None) if options.as_json else typer.echo
