"""The escrow's events as a real chain has them, each altered in turn: what is not so is found."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.jobs.audit_charging import session_hash
from api.jobs.community import open_community
from api.jobs.escrow_acts import EscrowReading
from charging.derived_charges import Closing, EscrowAct, Transfer
from charging.escrow_audit import CLOSABLE_S, EscrowAudit
from charging.sessions import SESSION_S_MAX
from ledger.chain.escrow import EscrowReader
from ledger.keccak import domain_separator
from ledger.units import Address
from tests.charged_street import GIFT_MICRO, make_charged_street

STRANGER = Address(b"\x99" * 20)


class Folded:
    """What an audit of some events comes to."""

    def __init__(self, acts: Sequence[EscrowAct], *, escrow: Address, chain_id: int) -> None:
        self.notes: list[str] = []
        self.remarks: list[str] = []
        self.audit = EscrowAudit(
            separator=domain_separator(chain_id, escrow),
            escrow=escrow,
            note=lambda where, what: self.notes.append(f"{where}: {what}"),
            remark=lambda where, what: self.remarks.append(f"{where}: {what}"),
        )
        for act in acts:
            self.audit.apply(act)

    @property
    def state(self) -> tuple[object, ...]:
        """What the contract would have to remember."""
        audit = self.audit
        ends = [(each.end, each.paid_micro, each.last_wh) for each in audit.sessions.values()]
        return (audit.chargers, audit.claimable_micro, audit.owes_micro, ends)


class Street:
    """The events of a street's escrow."""

    def __init__(self, acts: list[EscrowAct], escrow: Address, chain_id: int) -> None:
        self.acts, self.escrow, self.chain_id = acts, escrow, chain_id

    def fold(self, acts: Sequence[EscrowAct]) -> Folded:
        return Folded(acts, escrow=self.escrow, chain_id=self.chain_id)

    def place_of(self, name: str, which: int = 0) -> int:
        return [place for place, act in enumerate(self.acts) if act.name == name][which]

    def notes(self, place: int, **changes: Any) -> list[str]:
        """What is said when one event is another."""
        acts = list(self.acts)
        acts[place] = replace(acts[place], **changes)
        return self.fold(acts).notes

    def arguments(self, place: int, **changes: Any) -> dict[str, Any]:
        return {**self.acts[place].arguments, **changes}


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    path = tmp_path_factory.mktemp("escrow") / "data"
    make_charged_street(path)
    with open_community(path, read_only=True) as community:
        chain, contracts = community.chain, community.contracts
        reading = EscrowReading(
            chain,
            escrow=contracts.escrow,
            token=contracts.token,
            to_block=chain.head().number,
        )
        acts = [act for place in reading.transactions() for act in reading.acts(*place)]
        yield Street(acts, contracts.escrow, chain.chain_id)


def test_the_events_of_a_real_chain_pass(street: Street) -> None:
    folded = street.fold(street.acts)
    assert (folded.notes, folded.remarks) == ([], [])
    names = {act.name for act in street.acts}
    assert names == {
        "ChargerRegistered",
        "RegisterReset",
        "DelegateSet",
        "SessionOpened",
        "ToppedUp",
        "SessionClosed",
        "SessionCancelled",
        "HostPaid",
        "NonceVoided",
    }


def test_the_hash_of_an_open_session_is_the_contracts(tmp_path: Path) -> None:
    make_charged_street(tmp_path / "data")
    with open_community(tmp_path / "data", read_only=True) as community:
        chain, contracts = community.chain, community.contracts
        reading = EscrowReading(
            chain,
            escrow=contracts.escrow,
            token=contracts.token,
            to_block=chain.head().number,
        )
        acts = [act for place in reading.transactions() for act in reading.acts(*place)]
        folded = Folded(acts, escrow=contracts.escrow, chain_id=chain.chain_id)
        reader = EscrowReader(chain, contracts.escrow)
        for session in folded.audit.sessions.values():
            assert session_hash(session) == reader.session_hash_of(session.words)


def test_every_number_address_and_hash_of_every_event_is_held_against_the_others(
    street: Street,
) -> None:
    honest = street.fold(street.acts)
    missed = []
    for place, act in enumerate(street.acts):
        if act.name == "DelegateSet":
            continue  # Moves no money; the contract asks it when a session is opened.
        for name, value in act.arguments.items():
            if isinstance(value, dict):
                other: Any = {**value, "energyPerKwh": value["energyPerKwh"] + 1}
            else:
                other = value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]
            acts = list(street.acts)
            acts[place] = replace(act, arguments=street.arguments(place, **{name: other}))
            folded = street.fold(acts)
            if not folded.notes and folded.state == honest.state:
                missed.append((act.name, name))
    # A nonce that was voided and never used is nobody's loss.
    assert missed == [("NonceVoided", "driver"), ("NonceVoided", "nonce")]


def test_an_event_that_is_left_out_or_there_twice_is_found(street: Street) -> None:
    honest = street.fold(street.acts)
    for place, act in enumerate(street.acts):
        less = street.fold([*street.acts[:place], *street.acts[place + 1 :]])
        twice = street.fold([*street.acts[: place + 1], *street.acts[place:]])
        if act.name not in {"DelegateSet", "NonceVoided"}:
            assert less.notes or less.state != honest.state, act.name
        if act.name not in {"DelegateSet", "ChargerRegistered"}:
            assert twice.notes or twice.state != honest.state, act.name


def test_events_in_another_order_are_found(street: Street) -> None:
    """Where two events are about the same charger, one before the other means something."""
    for place, (act, later) in enumerate(zip(street.acts, street.acts[1:], strict=False)):
        own = {act.name, later.name}
        about_sessions = all(name.startswith(("Session", "ToppedUp", "HostPaid")) for name in own)
        if about_sessions and "SessionOpened" not in act.name + later.name:
            acts = [*street.acts[:place], later, act, *street.acts[place + 2 :]]
            assert street.fold(acts).notes, own


def test_a_deposit_or_refund_that_did_not_move_is_found(street: Street) -> None:
    for name in ("SessionOpened", "ToppedUp", "SessionClosed", "SessionCancelled", "HostPaid"):
        place = street.place_of(name)
        act = street.acts[place]
        (moved,) = act.transfers
        for transfers in (
            [],
            [replace(moved, amount_micro=moved.amount_micro - 1)],
            [replace(moved, sender=STRANGER, to=STRANGER)],
        ):
            assert street.notes(place, transfers=transfers), (name, transfers)


def test_tokens_that_leave_for_no_reason_are_found(street: Street) -> None:
    stolen = Transfer(sender=street.escrow, to=STRANGER, amount_micro=7)
    for place, act in enumerate(street.acts):
        (text,) = street.notes(place, transfers=[*act.transfers, stolen])
        assert "7 micro left for 0x" + STRANGER.hex() in text
        (text,) = street.notes(place, owed=[*act.owed, (STRANGER, 7)])
        assert "7 micro are owed to 0x" + STRANGER.hex() in text


def test_tokens_that_come_for_no_reason_are_a_gift(street: Street) -> None:
    gift = Transfer(sender=STRANGER, to=street.escrow, amount_micro=GIFT_MICRO)
    place = street.place_of("SessionClosed")
    assert street.notes(place, transfers=[*street.acts[place].transfers, gift]) == []


def test_a_refund_that_could_not_be_pushed_is_owed_and_no_discrepancy(street: Street) -> None:
    place = street.place_of("SessionClosed")
    act = street.acts[place]
    (moved,) = act.transfers
    acts = list(street.acts)
    acts[place] = replace(act, transfers=(), owed=[(moved.to, moved.amount_micro)])
    folded = street.fold(acts)
    assert folded.notes == []
    assert folded.audit.claimable_micro == {moved.to: moved.amount_micro}
    claimed = replace(
        act,
        name="Claimed",
        arguments={"owed": moved.to, "to": STRANGER, "amountMicro": moved.amount_micro},
        transfers=[replace(moved, to=STRANGER)],
        owed=(),
    )
    folded = street.fold([*acts, claimed])
    assert (folded.notes, folded.audit.claimable_micro) == ([], {moved.to: 0})
    more = replace(claimed, arguments={**claimed.arguments, "amountMicro": 1})
    assert street.fold([*acts, more]).notes


def test_another_host_takes_no_credit_that_the_one_before_earned(street: Street) -> None:
    last = street.place_of("SessionClosed", 1)
    closed, first = street.acts[last], street.acts[street.place_of("ChargerRegistered")]
    charger_id = closed.arguments["chargerId"]
    paid_micro = closed.arguments["paidMicro"]
    host = street.fold(street.acts).audit.chargers[charger_id].host
    arguments = {**first.arguments, "chargerId": charger_id, "host": STRANGER}
    owed = [(host, paid_micro)]
    changed = replace(first, arguments=arguments, transfers=(), owed=owed)
    folded = street.fold([*street.acts, changed])
    assert folded.notes == []
    assert folded.audit.claimable_micro == {host: paid_micro}
    assert street.fold([*street.acts, replace(changed, owed=())]).notes
    # A session that was open meanwhile is paid to the host that it was opened with.
    acts = [*street.acts[:last], replace(changed, owed=()), closed]
    (text,) = street.fold(acts).notes
    assert f"its host was not credited with {paid_micro} micro" in text
    acts[last + 1] = replace(closed, owed=owed)
    assert street.fold(acts).notes == []


@pytest.mark.parametrize("field", ["startWh", "stopWh", "startedAt", "stoppedAt", "idleS"])
@pytest.mark.parametrize("step", [-1, 1, 10**6])
def test_a_record_in_calldata_that_was_not_signed_is_found(
    field: str, step: int, street: Street
) -> None:
    place = street.place_of("SessionClosed")
    (closing,) = street.acts[place].closings or ()
    if field == "idleS" and step < 0:
        return  # No idling: there is no less.
    words = {**closing.record_words, field: closing.record_words[field] + step}
    notes = street.notes(place, closings=[replace(closing, record_words=words)])
    assert any("signed by" in text or "its record is none" in text for text in notes)


def test_a_record_of_another_session_or_in_none_of_the_calldata_is_found(street: Street) -> None:
    first, second = street.place_of("SessionClosed"), street.place_of("SessionClosed", 1)
    (own,), (other,) = street.acts[first].closings or (), street.acts[second].closings or ()
    assert any("is of session" in text for text in _with(street, first, own, other))
    for closings in ([], [other]):
        (text,) = street.notes(first, closings=closings)
        assert "its closing transaction does not state it" in text
    assert street.notes(first, closings=[other, own]) == []


def _with(street: Street, place: int, own: Closing, other: Closing) -> list[str]:
    foreign = replace(own, record_words=other.record_words, signature=other.signature)
    return street.notes(place, closings=[foreign])


def test_a_session_that_another_contract_closed_is_a_remark(street: Street) -> None:
    place = street.place_of("SessionClosed")
    acts = list(street.acts)
    acts[place] = replace(acts[place], closings=None)
    folded = street.fold(acts)
    assert folded.notes == []
    assert len(folded.remarks) == 1
    assert "another contract closed it" in folded.remarks[0]


def test_times_that_the_contract_forbids_are_found(street: Street) -> None:
    opened, closed = street.place_of("SessionOpened"), street.place_of("SessionClosed")
    topped = street.place_of("ToppedUp")
    opened_s = street.acts[opened].timestamp_s
    valid_until_s = street.acts[opened].arguments["validUntil"]
    late = street.notes(closed, timestamp_s=opened_s + CLOSABLE_S + 1)
    assert any("closed too late" in text for text in late)
    assert street.notes(closed, timestamp_s=opened_s + CLOSABLE_S) == []
    early = street.notes(closed, timestamp_s=opened_s + 60)
    assert any("stops in the future" in text for text in early)
    expired = street.notes(opened, timestamp_s=valid_until_s + 1)
    assert any("after its order had ended" in text for text in expired)
    after = street.notes(topped, timestamp_s=opened_s + SESSION_S_MAX + 1)
    assert any("topped up after its day" in text for text in after)
    cancelled = street.place_of("SessionCancelled")
    reclaimed = street.notes(cancelled, name="SessionReclaimed")
    assert any("reclaimed too early" in text for text in reclaimed)


def test_a_nonce_that_is_used_twice_is_found(street: Street) -> None:
    place, opened = street.place_of("NonceVoided"), street.place_of("SessionOpened")
    nonce = street.acts[opened].arguments["nonce"]
    (text,) = street.notes(place, arguments=street.arguments(place, nonce=nonce))
    assert f"nonce {nonce}" in text
