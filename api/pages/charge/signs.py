"""The sign of a charger: a QR code that leads to its page."""

import io
from typing import Final

BORDER: Final = 4  # Modules; scanners need them (ISO/IEC 18004).
FILE_SCALE: Final = 8
ERRORS: Final = "m"  # 15 % of a sign may be dirty.


def qr_svg(url: str) -> str:
    """A code as SVG for a page: it grows with the box that it is in."""
    import segno  # noqa: PLC0415 (only signs need it)

    code = segno.make_qr(url, error=ERRORS)
    return code.svg_inline(border=BORDER, omitsize=True, svgclass="qr", light="#fff")


def qr_png(url: str) -> bytes:
    """A code as a picture, for whoever makes signs."""
    import segno  # noqa: PLC0415

    file = io.BytesIO()
    segno.make_qr(url, error=ERRORS).save(file, kind="png", border=BORDER, scale=FILE_SCALE)
    return file.getvalue()
