"""A receipt as a page that prints well: the figures of the file, in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.pages.charge.reasons import reason_words
from api.pages.words import Words
from charging.desk import SessionView
from charging.tariffs import vat_micro_down
from ledger.keccak import checksum_address
from ledger.units import to_rfc3339

_TRANSACTIONS: Final = {"deposit": "open", "payment": "close"}
_REGISTERS: Final = {"register_start": "startWh", "register_end": "stopWh"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table: what it is, and how much."""

    name: str
    value: str
    exact: str = ""  # The same for machines.
    is_code: bool = False  # Long and for machines: may break anywhere.


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows that belong together."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptPage:
    """Everything that a receipt says."""

    session_id: str
    place: str
    headline: str
    reason: str
    tables: Sequence[Table]
    evidence: Sequence[str]
    chain: Table


def receipt_page(receipt: Mapping[str, object], view: SessionView, words: Words) -> ReceiptPage:
    """The page of a receipt file."""
    document: Mapping[str, Any] = receipt
    writer = _Writer(words)
    return ReceiptPage(
        session_id="0x" + view.session_id.hex(),
        place=f"{view.charge_point_id}/{view.connector_id}",
        headline=writer.headline(view),
        reason=reason_words(view.reason, words) if view.reason else "",
        tables=[
            writer.table("money", writer.money(view)),
            writer.table("meter", writer.meter(document, view)),
            writer.table("tariff", writer.tariff(view)),
            writer.table("times", writer.times(view)),
            writer.table("who", writer.people(view)),
        ],
        evidence=list(writer.evidence(document)),
        chain=writer.table("chain", writer.chain(document)),
    )


class _Writer:
    """Says it in one reader's language."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def _say(self, key: str, **facts: object) -> str:
        return self._words(f"charge.receipt.{key}", **facts)

    def table(self, name: str, rows: Iterator[Row]) -> Table:
        """Rows under their heading."""
        return Table(title=self._say(name), rows=list(rows))

    def _row(self, name: str, value: str, *, is_code: bool = False, **facts: object) -> Row:
        return Row(name=self._say(name, **facts), value=value, is_code=is_code)

    def headline(self, view: SessionView) -> str:
        """What it came to."""
        energy, money = self._words.energy(view.energy_wh), self._words.money_micro
        if view.paid_micro is None or view.refunded_micro is None:
            return self._say("so_far", energy=energy)
        paid, refunded = money(view.paid_micro), money(view.refunded_micro)
        return self._say("headline", energy=energy, paid=paid, refunded=refunded)

    def money(self, view: SessionView) -> Iterator[Row]:
        """Deposit, what was paid and what came back."""
        money = self._words.money_micro
        paid_micro = view.cost_micro if view.paid_micro is None else view.paid_micro
        vat_micro = vat_micro_down(paid_micro, view.vat_bps)
        yield self._row("deposit", money(view.deposit_micro))
        yield self._row("paid", money(paid_micro))
        yield self._row("vat", money(vat_micro), percent=self._words.per_cent(view.vat_bps))
        yield self._row("net", money(paid_micro - vat_micro))
        if view.refunded_micro is not None:
            yield self._row("refunded", money(view.refunded_micro))

    def meter(self, document: Mapping[str, Any], view: SessionView) -> Iterator[Row]:
        """The registers, the energy, and how much of it was neighbours' sun."""
        record, energy = document.get("record"), self._words.energy
        if isinstance(record, Mapping):
            for name, field in _REGISTERS.items():
                if field in record:
                    yield self._row(name, energy(int(record[field])))
        yield self._row("energy", energy(view.energy_wh))
        sun_wh = document.get("sun_wh")
        sun = self._say("sun_unknown") if sun_wh is None else energy(int(sun_wh))
        yield self._row("sun", sun)

    def tariff(self, view: SessionView) -> Iterator[Row]:
        """All four parts, free ones too: this is what was signed."""
        money, tariff = self._words.money_micro, view.tariff
        yield self._row("per_kwh", money(tariff.energy_per_kwh))
        yield self._row("per_hour", money(tariff.time_per_hour))
        yield self._row("per_start", money(tariff.start_fee))
        yield self._row("per_idle_hour", money(tariff.idle_per_hour))

    def times(self, view: SessionView) -> Iterator[Row]:
        """Local for people, and in UTC for machines."""
        instants = {
            "opened": view.opened_at,
            "started": view.started_at,
            "stopped": view.stopped_at,
        }
        for name, at in instants.items():
            if at is not None:
                shown = self._words.instant(at)
                yield Row(name=self._say(name), value=shown, exact=to_rfc3339(at))
        yield self._row("charging", _clock(view.time_s))
        yield self._row("idle", _clock(view.idle_s))

    def people(self, view: SessionView) -> Iterator[Row]:
        """Who drove and who was paid."""
        yield self._row("driver", checksum_address(view.driver), is_code=True)
        yield self._row("host", checksum_address(view.host), is_code=True)

    def evidence(self, document: Mapping[str, Any]) -> Iterator[str]:
        """Who signed what, and what it was made from."""
        signer = document.get("record_signer")
        yield self._say(f"signer.{signer if signer in ('charger', 'host') else 'nobody'}")
        evidence = document.get("evidence")
        if not isinstance(evidence, Mapping) or evidence["kind"] == "none":
            yield self._say("evidence.none")
            return
        sort = "verified" if evidence["verified"] is True else "unverified"
        yield self._say(f"evidence.{evidence['kind']}.{sort}")
        if key := evidence.get("signer"):
            yield self._say("evidence.key", signer=key)
        yield self._say("evidence.hash", hash=evidence["hash"])
        for note in evidence.get("notes", ()):
            yield self._say("evidence.note", note=note)
        if left_out_wh := evidence.get("not_billed_wh"):
            yield self._say("evidence.not_billed", energy=self._words.energy(left_out_wh))

    def chain(self, document: Mapping[str, Any]) -> Iterator[Row]:
        """Where it can be looked up."""
        if chain_id := document.get("chain_id"):
            yield self._row("chain_id", str(chain_id))
        if escrow := document.get("escrow"):
            yield self._row("escrow", str(escrow), is_code=True)
        transactions = document.get("transactions")
        if isinstance(transactions, Mapping):
            for name, key in _TRANSACTIONS.items():
                if transactions.get(key):
                    yield self._row(f"{name}_tx", str(transactions[key]), is_code=True)


def _clock(length_s: int) -> str:
    minutes, seconds = divmod(length_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
