"""The catalogue of what a community publishes: DCAT-AP 3, as JSON-LD."""

from collections.abc import Mapping
from typing import Any, Final

from api.config import CommunityConfig
from api.jobs.market.cells import ACCOUNTS_MIN
from ledger.units import from_unix_s, to_rfc3339

MEDIA_TYPE: Final = "application/ld+json"
CONTEXT: Final = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
AUTHORITY: Final = "http://publications.europa.eu/resource/authority/"
RULE: Final = (
    f"A sum is given only if at least {ACCOUNTS_MIN} accounts stand behind it, each with something "
    "and none with over half of it; what is traded, only if that holds for its buyers and for its "
    "sellers; what a revision changed, only if that holds for the changes, too. Any other sum, one "
    "of zero too, is left empty. Only final periods are given, by their last run. Times are UTC."
)


def catalogue(
    config: CommunityConfig, *, base_url: str, window_s: int, from_s: int, until_s: int
) -> Mapping[str, Any]:
    """The catalogue's document.

    Args:
        base_url: where the service was asked, with a slash at its end.
        from_s, until_s: what the windows cover.
    """
    own = f"{base_url}v1/open-data/"
    publisher = {"@type": "foaf:Agent", "foaf:name": config.grid_operator.name}
    return {
        "@context": CONTEXT,
        "@id": f"{own}catalog.jsonld",
        "@type": "dcat:Catalog",
        "dct:title": _text(f"Open data of {config.name}"),
        "dct:description": _text("What an energy community imported, exported and traded."),
        "dct:publisher": publisher,
        "dct:language": _in("language/ENG"),
        "dct:license": {"@id": config.open_data_licence},
        "foaf:homepage": {"@id": base_url},
        "dcat:dataset": [
            {
                "@id": f"{own}catalog.jsonld#windows",
                "@type": "dcat:Dataset",
                "dct:identifier": "windows",
                "dct:title": _text(f"Windows of {config.name}"),
                "dct:description": _text(
                    "Of each market window its prices, in millionths of a settlement token per "
                    f"kWh, VAT included, and what the community did, in Wh. {RULE}"
                ),
                "dct:publisher": publisher,
                "dct:accessRights": _in("access-right/PUBLIC"),
                "dct:accrualPeriodicity": _in("frequency/CONT"),
                "dcat:theme": _in("data-theme/ENER"),
                "dcat:keyword": [_text(word) for word in ("electricity", "energy community")],
                "dct:temporal": {
                    "@type": "dct:PeriodOfTime",
                    "dcat:startDate": _instant(from_s),
                    "dcat:endDate": _instant(until_s),
                },
                "dcat:temporalResolution": {
                    "@type": "xsd:duration",
                    "@value": f"PT{window_s}S",
                },
                "dcat:distribution": [
                    {
                        "@id": f"{own}windows.csv",
                        "@type": "dcat:Distribution",
                        "dct:title": _text("Windows as a table (RFC 4180)"),
                        "dcat:accessURL": {"@id": f"{own}windows.csv"},
                        "dcat:downloadURL": {"@id": f"{own}windows.csv"},
                        "dct:format": _in("file-type/CSV"),
                        "dcat:mediaType": {
                            "@id": "https://www.iana.org/assignments/media-types/text/csv"
                        },
                        "dct:license": {"@id": config.open_data_licence},
                    }
                ],
            }
        ],
    }


def _in(place: str) -> Mapping[str, str]:
    """A term of the European authority tables."""
    return {"@id": AUTHORITY + place}


def _text(text: str) -> Mapping[str, str]:
    return {"@value": text, "@language": "en"}


def _instant(unix_s: int) -> Mapping[str, str]:
    return {"@type": "xsd:dateTime", "@value": to_rfc3339(from_unix_s(unix_s))}
