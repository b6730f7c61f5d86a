"""A receipt as a page that prints well: the figures of the file, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from charging.desk import SessionView
from charging.tariffs import vat_micro_down
from ledger.keccak import checksum_address
from ledger.units import BPS, MICRO_PER_TOKEN, to_rfc3339

if TYPE_CHECKING:
    from jinja2 import Template

HTML: Final = "text/html"
JSON: Final = "application/json"
WH_PER_KWH: Final = 1_000
BPS_PER_CENT: Final = 100
DIGITS_LEAST: Final = 2
QUALITY_MAX: Final = 1_000
_KINDS: Final[Mapping[tuple[str, bool], str]] = {  # By kind, and whether it was verified.
    ("ocmf", True): "The charger's meter signed its values (OCMF), and the signature is good.",
    ("ocmf", False): "The charger's meter signed its values (OCMF); its key is not known here.",
    ("meter_values", True): "The charger's meter values are kept with this receipt.",
    ("meter_values", False): "The charger's meter values, unsigned, are kept with this receipt.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table: what it is, how much, in what."""

    name: str
    value: str
    unit: str = ""


def prefers_html(accept: str) -> bool:
    """Whether somebody would rather read a page than a file (RFC 9110, section 12.5.1)."""
    return _quality(accept, HTML) > _quality(accept, JSON)


def receipt_page(receipt: Mapping[str, object], view: SessionView) -> str:
    """The page of a receipt file."""
    document: Mapping[str, Any] = receipt
    return _template().render(
        session_id=document.get("session_id", "0x" + view.session_id.hex()),
        state=view.state.value,
        reason=view.reason,
        headline=_headline(view),
        place=f"{view.charge_point_id}, connector {view.connector_id}",
        people=[
            Row(name="Driver", value=checksum_address(view.driver)),
            Row(name="Host", value=checksum_address(view.host)),
        ],
        times=_times(view),
        tariff=_tariff(view),
        meter=_meter(document, view),
        money=_money(view),
        signer=_signer(document),
        evidence=_evidence(document),
        chain=_chain(document),
        currency=document.get("currency", "tokens"),
    )


@cache
def _template() -> "Template":
    from jinja2 import (  # noqa: PLC0415 (only who shows a page needs it)
        Environment,
        PackageLoader,
        StrictUndefined,
    )

    environment = Environment(
        loader=PackageLoader("api"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("receipt.html")


def _headline(view: SessionView) -> str:
    if view.paid_micro is None or view.refunded_micro is None:
        return f"{_kwh(view.energy_wh)} kWh so far"
    return (
        f"{_kwh(view.energy_wh)} kWh for {_tokens(view.paid_micro)}; "
        f"{_tokens(view.refunded_micro)} came back"
    )


def _times(view: SessionView) -> list[Row]:
    instants = {
        "Deposit taken": view.opened_at,
        "Charging began": view.started_at,
        "Charging ended": view.stopped_at,
    }
    rows = [Row(name=name, value=to_rfc3339(at)) for name, at in instants.items() if at is not None]
    return [
        *rows,
        Row(name="Charging", value=_clock(view.time_s), unit="h:min:s"),
        Row(name="Plugged in without charging", value=_clock(view.idle_s), unit="h:min:s"),
    ]


def _tariff(view: SessionView) -> list[Row]:
    tariff = view.tariff
    return [
        Row(name="Energy", value=_tokens(tariff.energy_per_kwh), unit="per kWh"),
        Row(name="Time", value=_tokens(tariff.time_per_hour), unit="per hour of charging"),
        Row(name="Start", value=_tokens(tariff.start_fee), unit="once"),
        Row(name="Idling", value=_tokens(tariff.idle_per_hour), unit="per hour"),
    ]


def _meter(document: Mapping[str, Any], view: SessionView) -> list[Row]:
    record = document.get("record")
    rows = []
    if isinstance(record, Mapping):
        registers = {"Register at the start": "startWh", "Register at the end": "stopWh"}
        rows = [
            Row(name=name, value=_kwh(int(record[field])), unit="kWh")
            for name, field in registers.items()
            if field in record
        ]
    rows.append(Row(name="Energy", value=_kwh(view.energy_wh), unit="kWh"))
    sun_wh = document.get("sun_wh")
    sun = "not settled yet" if sun_wh is None else _kwh(int(sun_wh))
    rows.append(Row(name="Of it neighbours' sun", value=sun, unit="" if sun_wh is None else "kWh"))
    return rows


def _money(view: SessionView) -> list[Row]:
    paid_micro = view.cost_micro if view.paid_micro is None else view.paid_micro
    vat_micro = vat_micro_down(paid_micro, view.vat_bps)
    rows = [
        Row(name="Deposit", value=_tokens(view.deposit_micro)),
        Row(name="Paid", value=_tokens(paid_micro)),
        Row(name=f"VAT in it, {_per_cent(view.vat_bps)} %", value=_tokens(vat_micro)),
        Row(name="Paid without VAT", value=_tokens(paid_micro - vat_micro)),
    ]
    if view.refunded_micro is not None:
        rows.append(Row(name="Refunded", value=_tokens(view.refunded_micro)))
    return rows


def _signer(document: Mapping[str, Any]) -> str:
    match document.get("record_signer"):
        case "charger":
            return "The charger itself signed what it measured."
        case "host":
            return "The host's service signed what the charger reported."
    return "Nothing was measured, so nothing was signed."


def _evidence(document: Mapping[str, Any]) -> list[str]:
    evidence = document.get("evidence")
    if not isinstance(evidence, Mapping) or evidence["kind"] == "none":
        return ["There are no meter values to show beside the record."]
    sentences = [_KINDS[evidence["kind"], evidence["verified"] is True]]
    sentences += [f"Signed by the key {evidence['signer']}."] if evidence.get("signer") else []
    sentences += [f"Its hash, which is on the chain too, is {evidence['hash']}."]
    sentences += [f"Noted: {note}." for note in evidence.get("notes", ())]
    if left_out_wh := evidence.get("not_billed_wh"):
        sentences.append(f"{_kwh(left_out_wh)} kWh were measured by one source and not billed.")
    return sentences


def _chain(document: Mapping[str, Any]) -> list[Row]:
    transactions = document.get("transactions")
    rows = [
        Row(name="Chain", value=str(document.get("chain_id", ""))),
        Row(name="Escrow", value=str(document.get("escrow", ""))),
    ]
    if isinstance(transactions, Mapping):
        names = {"Deposit": "open", "Payment and refund": "close"}
        rows += [Row(name=name, value=str(transactions.get(key))) for name, key in names.items()]
    return [row for row in rows if row.value not in {"", "None"}]


def _tokens(amount_micro: int) -> str:
    """Two digits behind the point, more only where they say something."""
    whole, rest = divmod(amount_micro, MICRO_PER_TOKEN)
    digits = f"{rest:06d}".rstrip("0").ljust(DIGITS_LEAST, "0")
    return f"{whole}.{digits}"


def _kwh(energy_wh: int) -> str:
    return f"{energy_wh // WH_PER_KWH}.{energy_wh % WH_PER_KWH:03d}"


def _per_cent(bps: int) -> str:
    return f"{bps // BPS_PER_CENT}.{bps % BPS_PER_CENT:02d}" if bps <= BPS else str(bps)


def _clock(length_s: int) -> str:
    minutes, seconds = divmod(length_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def _quality(accept: str, wanted: str) -> int:
    """How much a type is wanted, in thousandths; the most exact range that fits counts."""
    best = (-1, 0)
    for part in accept.split(","):
        media, *parameters = [piece.strip().lower() for piece in part.split(";")]
        if media == wanted:
            exactness = 2
        elif media == wanted.split("/", maxsplit=1)[0] + "/*":
            exactness = 1
        elif media == "*/*":
            exactness = 0
        else:
            continue
        best = max(best, (exactness, _weight(parameters)))
    return best[1]


def _weight(parameters: list[str]) -> int:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            whole, _, digits = value.partition(".")
            thousandths = (whole + digits[:3].ljust(3, "0")).strip()
            is_number = thousandths.isascii() and thousandths.isdecimal()
            return min(int(thousandths), QUALITY_MAX) if is_number else 0
    return QUALITY_MAX
