"""Which of two forms somebody would rather have (RFC 9110, section 12.5.1)."""

from typing import Final

HTML: Final = "text/html"
JSON: Final = "application/json"
QUALITY_MAX: Final = 1_000


def prefers_html(accept: str) -> bool:
    """Whether somebody would rather read a page than a file."""
    return _quality(accept, HTML) > _quality(accept, JSON)


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
