"""Closing a session: what the meter measured is paid, the rest goes back at once."""

from typing import Any

import pytest
from web3 import Web3

from tests.chain.escrow_world import (
    CLOSABLE_S,
    DAY_S,
    DEPOSIT,
    EVIDENCE,
    FIRST_WH,
    POWER_W,
    TARIFF,
    TYPES,
    Session,
    Site,
    charger_id,
    cost_micro,
    moved,
    with_high_s,
)
from tests.chain.evm_world import Reverted, calldata, reverts

REGISTER_MAX = 10**12
CREDIT_MAX = 2**56 - 1


def closed_at(site: Site, session: Session, at: int, **changes: Any) -> Any:
    closing = site.closing(session, **changes)
    site.world.at(at)
    return site.send("close", closing, sender=site.people.stranger)


def test_closing_pays_the_host_by_the_signed_tariff_and_refunds_the_driver(site: Site) -> None:
    _, session = site.open()
    closing = site.closing(session)
    site.stopped(session)
    before = site.money()
    done = site.send("close", closing, sender=site.people.stranger)
    # 0.35 to start, 10 kWh for 0.45 each, 50 minutes for 0.10 an hour, 10 minutes idle for 3.
    paid = 350_000 + 4_500_000 + 83_333 + 500_000
    assert site.cost(closing) == paid
    closed = {
        "sessionId": site.session_id(session),
        "chargerId": site.charger,
        "startWh": FIRST_WH,
        "stopWh": FIRST_WH + 10_000,
        "paidMicro": paid,
        "refundedMicro": DEPOSIT - paid,
        "evidenceHash": EVIDENCE,
    }
    transfer = {"from": site.escrow.address, "to": site.people.driver.address}
    assert done.events == [
        ("SessionClosed", closed),
        ("Transfer", transfer | {"value": DEPOSIT - paid}),
    ]
    assert moved(before, site.money()) == {
        "escrow": paid - DEPOSIT,
        "driver": DEPOSIT - paid,
        "credit": paid,
    }
    charger = site.charger_now()
    assert (charger["lastWh"], charger["session"]) == (FIRST_WH + 10_000, bytes(32))


def test_a_cost_above_the_deposit_takes_the_deposit_and_no_more(site: Site) -> None:
    _, session = site.open(depositMicro=5_433_332)
    before = site.money()
    done = closed_at(site, session, session["openedAt"] + 3_600)
    assert [name for name, _ in done.events] == ["SessionClosed"]
    assert done.events[0][1]["paidMicro"] == 5_433_332
    assert done.events[0][1]["refundedMicro"] == 0
    assert moved(before, site.money()) == {"credit": 5_433_332}


def test_a_charge_that_never_began_costs_what_the_tariff_says(site: Site) -> None:
    _, session = site.open(tariff=TARIFF | {"startFee": 0})
    before = site.money()
    opened = session["openedAt"]
    nothing = {"stopWh": FIRST_WH, "stoppedAt": opened, "idleS": 0}
    done = closed_at(site, session, opened + 1, **nothing)
    assert done.events[0][1]["refundedMicro"] == DEPOSIT
    assert moved(before, site.money()) == {"escrow": -DEPOSIT, "driver": DEPOSIT}


@pytest.mark.parametrize("fraction", [0, 1, 2_999_999, 3_599_999, 3_600_000])
def test_the_cost_is_rounded_down_once(site: Site, fraction: int) -> None:
    """Energy and time are added before they are divided."""
    tariff = {"energyPerKwh": fraction, "startFee": 1, "timePerHour": 7, "idlePerHour": 11}
    for energy_wh, time_s, idle_s in ((1, 0, 0), (999, 3_599, 3_599), (1_001, 1, 86_399)):
        expected = cost_micro(tariff, energy_wh, time_s, idle_s, DEPOSIT)
        given = site.read("costMicro", tariff, energy_wh, time_s, idle_s, DEPOSIT)
        assert given == expected


def test_the_cost_of_the_largest_numbers_is_the_deposit(site: Site) -> None:
    most = 2**64 - 1
    tariff = dict.fromkeys(TARIFF, most)
    for deposit in (0, 1, most):
        assert site.read("costMicro", tariff, most, most, most, deposit) == deposit


def test_a_session_is_closed_once(site: Site) -> None:
    _, session = site.open()
    closing = site.closing(session)
    site.stopped(session)
    site.send("close", closing, sender=site.people.stranger)
    before = site.money()
    for by in (site.people.stranger, site.people.host):
        with reverts("ChargingEscrow_NotOpen", site.session_id(session)):
            site.send("close", closing, sender=by)
    assert moved(before, site.money()) == {}


@pytest.mark.parametrize(
    "name", ["driver", "depositMicro", "validUntil", "nonce", "chargerId", "tariff"]
)
def test_a_session_whose_order_is_given_otherwise_is_not_open(site: Site, name: str) -> None:
    site.register(charger_id("next"))
    _, session = site.open()
    other = {
        "driver": site.people.stranger.address,
        "chargerId": charger_id("next"),
        "tariff": TARIFF | {"energyPerKwh": 0},
    }
    order = session["order"]
    changed = session | {"order": order | {name: other.get(name) or order[name] + 1}}
    site.stopped(session)
    with reverts("ChargingEscrow_NotOpen", site.session_id(changed)):
        site.send("close", site.closing(changed), sender=site.people.host)


@pytest.mark.parametrize("name", ["host", "recordKey", "powerW", "openedAt", "depositMicro"])
def test_a_session_that_is_given_otherwise_is_not_open(site: Site, name: str) -> None:
    _, session = site.open()
    value = session[name]
    other = site.people.stranger.address if isinstance(value, str) else value + 1
    changed = session | {name: other}
    site.stopped(session)
    closing = site.closing(changed, site.people.stranger, startedAt=session["openedAt"])
    with reverts("ChargingEscrow_NotOpen", site.session_id(session)):
        site.send("close", closing, sender=site.people.stranger)


def test_a_record_of_another_session_is_refused(site: Site) -> None:
    _, session = site.open()
    closing = site.closing(session, sessionId=b"\x01" * 32)
    site.stopped(session)
    with reverts("ChargingEscrow_WrongSession", site.session_id(session), b"\x01" * 32):
        site.send("close", closing, sender=site.people.host)


@pytest.mark.parametrize("who", ["host", "driver", "registrar", "stranger", "other_key"])
def test_only_the_record_key_signs_a_record(site: Site, who: str) -> None:
    _, session = site.open()
    closing = site.closing(session, getattr(site.people, who))
    site.stopped(session)
    with reverts("ChargingEscrow_BadSignature", site.people.key.address):
        site.send("close", closing, sender=site.people.host)


@pytest.mark.parametrize("form", ["high s", "64 bytes", "66 bytes", "empty"])
def test_a_records_signature_has_one_form_only(site: Site, form: str) -> None:
    _, session = site.open()
    closing = site.closing(session)
    good = closing["signature"]
    bad = {
        "high s": with_high_s(good),
        "64 bytes": good[:64],
        "66 bytes": good + b"\0",
        "empty": b"",
    }[form]
    site.stopped(session)
    with reverts("ChargingEscrow_BadSignature", site.people.key.address):
        site.send("close", closing | {"signature": bad}, sender=site.people.host)


@pytest.mark.parametrize("domain", [{"chainId": 1}, {"verifyingContract": "0x" + "11" * 20}])
def test_a_record_for_another_chain_or_contract_is_refused(
    site: Site, domain: dict[str, Any]
) -> None:
    _, session = site.open()
    record = site.record(session)
    signature = site.sign("ChargeRecord", record, site.people.key, **domain)
    site.stopped(session)
    closing = {"session": session, "record": record, "signature": signature}
    with reverts("ChargingEscrow_BadSignature", site.people.key.address):
        site.send("close", closing, sender=site.people.host)


@pytest.mark.parametrize(
    "name", ["startWh", "stopWh", "startedAt", "stoppedAt", "idleS", "evidenceHash"]
)
def test_no_digit_of_a_record_can_be_changed(site: Site, name: str) -> None:
    _, session = site.open()
    closing = site.closing(session)
    value = closing["record"][name]
    closing["record"][name] = value + 1 if isinstance(value, int) else b"\x01" * 32
    site.stopped(session)
    with reverts("ChargingEscrow_BadSignature", site.people.key.address):
        site.send("close", closing, sender=site.people.host)


def test_a_charge_starts_at_most_300_s_before_the_opening(site: Site) -> None:
    _, session = site.open()
    opened = session["openedAt"]
    with reverts("ChargingEscrow_StartsBeforeOpening", opened - 301, opened - 300):
        closed_at(site, session, opened + 3_600, startedAt=opened - 301)
    for started in (0, 2**64 - 301):
        name = "StartsBeforeOpening" if started == 0 else "StopsBeforeStart"
        with reverts(f"ChargingEscrow_{name}"):
            closed_at(site, session, opened + 3_600, startedAt=started)
    closed_at(site, session, opened + 3_600, startedAt=opened - 300)


def test_a_charge_does_not_stop_before_it_starts(site: Site) -> None:
    _, session = site.open()
    opened = session["openedAt"]
    wrong = {"startedAt": opened + 10, "stoppedAt": opened + 9, "idleS": 0}
    with reverts("ChargingEscrow_StopsBeforeStart", opened + 10, opened + 9):
        closed_at(site, session, opened + 3_600, **wrong)


def test_a_charge_does_not_stop_in_the_future(site: Site) -> None:
    _, session = site.open()
    opened = session["openedAt"]
    with reverts("ChargingEscrow_StopsTooLate", opened + 3_600, opened + 3_599):
        closed_at(site, session, opened + 3_599)
    with reverts("ChargingEscrow_StopsTooLate", 2**64 - 1, opened + 3_600):
        closed_at(site, session, opened + 3_600, stoppedAt=2**64 - 1)
    closed_at(site, session, opened + 3_600)


def test_a_charge_lasts_at_most_a_day_from_its_opening(site: Site) -> None:
    _, session = site.open()
    opened = session["openedAt"]
    with reverts("ChargingEscrow_StopsTooLate", opened + DAY_S + 1, opened + DAY_S):
        closed_at(site, session, opened + 2 * DAY_S, stoppedAt=opened + DAY_S + 1)
    closed_at(site, session, opened + 2 * DAY_S + 9, stoppedAt=opened + DAY_S)


def test_idling_is_part_of_the_time(site: Site) -> None:
    _, session = site.open()
    opened = session["openedAt"]
    for idle_s in (3_601, 2**64 - 1):
        with reverts("ChargingEscrow_IdleTooLong", idle_s, 3_600):
            closed_at(site, session, opened + 3_600, idleS=idle_s)
    done = closed_at(site, session, opened + 3_600, idleS=3_600)
    assert done.events[0][1]["paidMicro"] == 350_000 + 4_500_000 + 3_000_000


def test_a_register_goes_on_from_where_it_was(site: Site) -> None:
    _, session = site.open()
    opened = session["openedAt"]
    with reverts("ChargingEscrow_RegisterRanBackwards", FIRST_WH, FIRST_WH - 1):
        closed_at(site, session, opened + 3_600, startWh=FIRST_WH - 1)
    with reverts("ChargingEscrow_RegisterRanBackwards", FIRST_WH + 2, FIRST_WH + 1):
        closed_at(site, session, opened + 3_600, startWh=FIRST_WH + 2, stopWh=FIRST_WH + 1)
    # What was used between two sessions is nobody's charge.
    closed_at(site, session, opened + 3_600, startWh=FIRST_WH + 5, stopWh=FIRST_WH + 5)
    _, session = site.open()
    with reverts("ChargingEscrow_RegisterRanBackwards", FIRST_WH + 5, FIRST_WH + 4):
        closed_at(site, session, session["openedAt"] + 3_600, startWh=FIRST_WH + 4)


def test_a_register_is_at_most_a_tera_watt_hour(site: Site) -> None:
    _, session = site.open()
    opened = session["openedAt"]
    above = {"startWh": REGISTER_MAX - 5, "stopWh": REGISTER_MAX + 1}
    with reverts("ChargingEscrow_RegisterOutOfRange", REGISTER_MAX + 1, REGISTER_MAX):
        closed_at(site, session, opened + 3_600, **above)
    closed_at(site, session, opened + 3_600, startWh=REGISTER_MAX - 5, stopWh=REGISTER_MAX)
    assert site.charger_now()["lastWh"] == REGISTER_MAX


@pytest.mark.parametrize("duration_s", [0, 1, 3_599, 3_600, DAY_S])
def test_energy_is_at_most_what_the_power_gives_in_the_time(site: Site, duration_s: int) -> None:
    _, session = site.open()
    opened = session["openedAt"]
    most_wh = POWER_W * duration_s // 3_600 + 100
    times = {"stoppedAt": opened + duration_s, "idleS": 0}
    at = opened + duration_s + 10
    with reverts("ChargingEscrow_MoreThanPower", most_wh + 1, most_wh):
        closed_at(site, session, at, stopWh=FIRST_WH + most_wh + 1, **times)
    closed_at(site, session, at + 5, stopWh=FIRST_WH + most_wh, **times)


def test_a_session_is_closed_within_four_days(site: Site) -> None:
    _, session = site.open()
    closing = site.closing(session)
    until = session["openedAt"] + CLOSABLE_S
    site.world.at(until + 1)
    with reverts("ChargingEscrow_TooLate", site.session_id(session), until):
        site.send("close", closing, sender=site.people.host)


def test_a_session_is_closed_in_the_last_second_of_the_fourth_day(site: Site) -> None:
    _, session = site.open()
    before = site.money()
    closed_at(site, session, session["openedAt"] + CLOSABLE_S)
    assert moved(before, site.money())["credit"] == 5_433_333


def test_what_was_registered_at_the_opening_counts(site: Site) -> None:
    """Another key, power and host afterwards change nothing for the session."""
    _, session = site.open()
    people = site.people
    site.change(host=people.other_host.address, recordKey=people.other_key.address, powerW=1)
    assert site.is_open(session)
    before = site.money()
    opened = session["openedAt"]
    with reverts("ChargingEscrow_BadSignature", people.key.address):
        site.world.at(opened + 3_600)
        site.send("close", site.closing(session, people.other_key), sender=people.host)
    done = closed_at(site, session, opened + 3_601)
    paid = 5_433_333
    names = [name for name, _ in done.events]
    assert names == ["SessionClosed", "Owed", "Transfer"]
    assert done.events[1][1] == {"owed": people.host.address, "amountMicro": paid}
    assert moved(before, site.money()) == {
        "escrow": paid - DEPOSIT,
        "driver": DEPOSIT - paid,
        "host owed": paid,
    }
    assert site.charger_now()["lastWh"] == FIRST_WH + 10_000


def test_a_host_that_came_back_earns_its_credit(site: Site) -> None:
    _, session = site.open()
    site.change(host=site.people.other_host.address)
    site.change()
    before = site.money()
    closed_at(site, session, session["openedAt"] + 3_600)
    assert moved(before, site.money())["credit"] == 5_433_333


def test_a_credit_that_does_not_fit_is_owed_instead(site: Site) -> None:
    """Nothing that a host has earned stands in the way of closing."""
    dear = TARIFF | {"startFee": 2**64 - 1}
    _, session = site.open(depositMicro=CREDIT_MAX, tariff=dear)
    closed_at(site, session, session["openedAt"] + 3_600)
    assert site.charger_now()["creditMicro"] == CREDIT_MAX
    before = site.money()
    _, session = site.open(depositMicro=1, tariff=dear)
    done = closed_at(site, session, session["openedAt"] + 3_600)
    assert done.events[1:] == [
        ("Owed", {"owed": site.people.host.address, "amountMicro": 1}),
    ]
    assert moved(before, site.money()) == {"escrow": 1, "host owed": 1}
    assert site.charger_now()["lastWh"] == FIRST_WH + 20_000
    site.send("payHost", site.charger, sender=site.people.stranger)
    _, session = site.open(depositMicro=2**64 - 1, tariff=dear)
    closed_at(site, session, session["openedAt"] + 3_600)
    assert site.read("claimableOf", site.people.host.address) == 2**64


def test_a_push_gets_its_gas_or_the_close_fails(site: Site) -> None:
    _, session = site.open()
    closing = site.closing(session)
    site.stopped(session)
    with reverts("ChargingEscrow_NotEnoughGas"):
        site.send("close", closing, sender=site.people.stranger, gas=140_000)
    assert site.is_open(session)
    site.send("close", closing, sender=site.people.stranger, gas=165_000)


WHOLE_WORDS = {"chargerId": 2, "nonce": 9, "sessionId": 15, "evidenceHash": 21}


@pytest.mark.parametrize("word", sorted(set(range(1, 22)) - set(WHOLE_WORDS.values())))
def test_values_beyond_their_type_are_refused(site: Site, word: int) -> None:
    """Hashes are made of calldata as it stands; bits that do not belong there get nowhere."""
    _, session = site.open()
    data = bytearray(calldata(site.escrow.abi, "close", [site.closing(session)]))
    site.stopped(session)
    data[4 + 32 * word] ^= 1
    by = site.people.stranger.address
    with pytest.raises(Reverted):
        site.world.send_data(site.escrow, bytes(data), sender=by)
    data[4 + 32 * word] ^= 1
    site.world.send_data(site.escrow, bytes(data), sender=by)


def test_values_beyond_their_type_are_refused_even_if_signed(site: Site) -> None:
    """A record key that signs such values, as the hash has them, closes nothing with them."""
    _, session = site.open()
    record = site.record(session)
    site.stopped(session)
    kind = (
        "ChargeRecord(" + ",".join(f"{kind} {name}" for kind, name in TYPES["ChargeRecord"]) + ")"
    )
    names = [name for _, name in TYPES["ChargeRecord"]]
    for dirty in ("startWh", "stopWh", "startedAt", "stoppedAt", "idleS"):
        words = {
            name: value if isinstance(value, bytes) else value.to_bytes(32)
            for name, value in record.items()
        }
        words[dirty] = b"\x01" + words[dirty][1:]
        struct = Web3.keccak(Web3.keccak(text=kind) + b"".join(words[name] for name in names))
        signature = site.sign_struct(struct, site.people.key)
        closing = {"session": session, "record": record, "signature": signature}
        data = bytearray(calldata(site.escrow.abi, "close", [closing]))
        data[4 + 32 * (15 + names.index(dirty))] = 1
        with pytest.raises(Reverted) as refused:
            site.world.send_data(site.escrow, bytes(data), sender=site.people.host.address)
        assert refused.value.name == "0x"  # Not the signature: the value.
