"""Bytes in a bundle's JSON."""


def bytes_of(text: str, size: int | None = None) -> bytes:
    """The bytes of `0x` hex; raises ValueError, AttributeError for anything else."""
    if not text.startswith("0x"):
        raise ValueError("hex begins with 0x")
    data = bytes.fromhex(text[2:])
    if size is not None and len(data) != size:
        raise ValueError(f"{size} bytes are needed, not {len(data)}")
    return data


def hex_of(data: bytes) -> str:
    """`0x` hex."""
    return "0x" + data.hex()
