"""What a driver reads before and during a charge: exact, and the price before anything else."""

import pytest
import typer

from api.cli.charge_words import offer_text, price_words, session_line
from api.cli.money import kw, kwh_exact, tokens_exact
from api.cli.values import amount_micro, energy_wh
from api.clock import SystemClock
from api.driver.answers import ChargePoint, Connector, Market, Session
from charging.desk import SessionState
from charging.orders import ChargerId, SessionId
from charging.tariffs import ChargeTariff
from ledger.units import Address

MARKET = Market(
    name="Lindenhof",
    clock=SystemClock(),
    currency="EUR",
    chain_id=1337,
    escrow=Address(b"\xe5" * 20),
    token=Address(b"\x70" * 20),
)
FOUR = ChargeTariff(
    energy_per_kwh=390_000, start_fee=350_000, time_per_hour=600_000, idle_per_hour=1_000_000
)


def connector(tariff: ChargeTariff, *, until_s: int | None = None) -> Connector:
    return Connector(
        connector_id=1,
        charger_id=ChargerId(bytes(32)),
        state="available",
        busy=False,
        power_w=22_000,
        tariff=tariff,
        tariff_until_s=until_s,
        vat_bps=1_905,
        deposit_micro_min=1,
    )


def point(tariff: ChargeTariff, **changes: int | None) -> tuple[ChargePoint, Connector]:
    found = connector(tariff, **changes)
    return (
        ChargePoint(charge_point_id="CP1", place="Main", online=True, connectors=(found,)),
        found,
    )


def session(state: SessionState, **changes: object) -> Session:
    facts: dict[str, object] = {
        "session_id": SessionId(bytes(32)),
        "state": state,
        "reason": "",
        "charge_point_id": "CP1",
        "connector_id": 1,
        "deposit_micro": 20_000_000,
        "energy_wh": 12_345,
        "power_w": 10_960,
        "measured_s": 1_795_600_000,
        "time_s": 3_600,
        "idle_s": 0,
        "cost_micro": 5_164_550,
        "paid_micro": None,
        "refunded_micro": None,
        "started_s": 1_795_596_400,
        "open_tx": None,
        "close_tx": None,
    }
    return Session(**(facts | changes))  # type: ignore[arg-type]


def test_the_price_has_its_parts_in_the_order_that_drivers_compare_them_in() -> None:
    assert price_words(FOUR, "EUR") == [
        ("per kWh", "0.39 EUR"),
        ("per minute of charging", "0.01 EUR (0.60 an hour)"),
        ("per start", "0.35 EUR"),
        ("per minute of idling", "about 0.016667 EUR (1.00 an hour)"),
    ]


def test_parts_that_are_free_are_not_named_and_a_free_charge_is() -> None:
    assert price_words(ChargeTariff(start_fee=1), "EUR") == [("per start", "0.000001 EUR")]
    assert price_words(ChargeTariff(), "EUR") == [("per kWh", "0.00 EUR, free")]


def test_price_example_deposit_and_refund_stand_in_this_order() -> None:
    text = offer_text(MARKET, *point(FOUR, until_s=1_795_600_000), 20_000_000, 5_000_000)
    lines = text.splitlines()
    assert lines[0] == "CP1, connector 1, Main (22.0 kW, available)"
    assert [line.split("  ")[1] for line in lines[1:7]] == [
        "per kWh",
        "per minute of charging",
        "per start",
        "per minute of idling",
        "example, 30 kWh",
        "deposit",
    ]
    # 30 kWh at 22 kW take 4,909 s: 0.35 + 11.70 + 0.818166 tokens, rounded down once.
    assert lines[5].endswith("12.868166 EUR, 1 h 21 min at full power")
    assert lines[6].endswith("20.00 EUR; what is not used is back in the same transaction")
    assert lines[7].endswith("5.00 EUR, once, when the deposit is nearly used")
    assert lines[8] == "  19.05 % VAT included"
    assert lines[9].startswith("  this price is good until 2026-11-25T")


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (SessionState.OPENING, "the deposit is on its way into the escrow"),
        (SessionState.OPEN, "the deposit is there: plug in at CP1, connector 1"),
        (
            SessionState.CHARGING,
            "12.345 kWh  11.0 kW  5.16455 EUR, 14.83545 of 20.00 left  measured 09:46:40 UTC",
        ),
        (SessionState.CANCELLED, "cancelled"),
    ],
)
def test_a_line_says_how_a_charge_goes(state: SessionState, line: str) -> None:
    assert session_line(session(state), "EUR") == line


def test_what_was_not_measured_is_not_shown() -> None:
    early = session(SessionState.STOPPING, power_w=None, measured_s=None, energy_wh=0, cost_micro=0)
    assert session_line(early, "EUR") == "0.000 kWh  0.00 EUR, 20.00 of 20.00 left  stopping"


def test_amounts_and_energies_keep_all_their_digits() -> None:
    assert [tokens_exact(each) for each in (0, 1, 100_000, 5_164_550, 20_000_000)] == [
        *("0.00", "0.000001", "0.10", "5.16455", "20.00")
    ]
    assert [kwh_exact(each) for each in (0, 7, 1_000, 123_456)] == [
        *("0.000", "0.007", "1.000", "123.456")
    ]
    assert [kw(each) for each in (0, 49, 50, 10_960)] == ["0.0", "0.0", "0.1", "11.0"]


def test_amounts_are_read_without_losing_a_digit() -> None:
    assert amount_micro("20.00") == 20_000_000
    assert amount_micro("0.000001") == 1
    assert amount_micro("999999999999.999999") == 999_999_999_999_999_999
    assert energy_wh("12.5") == 12_500
    assert energy_wh("0.001") == 1


@pytest.mark.parametrize(
    "text", ["", "0", "0.00", "-1", "+1", "1e3", "1,5", ".5", "5.", "1.0000001", "NaN", "٣", " 1"]
)
def test_what_is_no_amount_is_refused_with_its_rule(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"as 20\.00"):
        amount_micro(text)
    with pytest.raises(typer.BadParameter, match=r"as 12\.5"):
        energy_wh(text)
