"""Files of ours: written whole or not at all, and failures of the disk with a name."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from api.errors import StorageFailed
from metering.errors import EmptyFile

PART: Final = ".part"
PRIVATE: Final = 0o600


@contextmanager
def our_file(path: Path) -> Iterator[None]:
    """The same for a file that we wrote, and if it does not read as we wrote it."""
    try:
        with storage(path):
            yield
    except (ValueError, TypeError) as error:
        raise StorageFailed(path=str(path), reason="is damaged") from error


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into StorageFailed."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            path=str(error.filename or path), reason=error.strerror or type(error).__name__
        ) from error


def read_text(path: Path) -> str:
    """A text file that somebody gives us; what is not UTF-8 in it becomes U+FFFD.

    Raises:
        StorageFailed, EmptyFile: it cannot be read, or there is nothing in it.
    """
    with storage(path):
        text = path.read_text(encoding="utf-8", errors="replace")
    if not text.removeprefix("\ufeff").strip():
        raise EmptyFile(rule="there is nothing in it")
    return text


def write_whole(path: Path, text: str) -> None:
    """Writes a file that can be made again, whole or not at all, under its final name."""
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, [text], durable=False)


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """The same for a file that is made in pieces."""
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, pieces, durable=False)


def write_private(path: Path, text: str) -> None:
    """Writes a file for its owner alone; when it returns, a power cut does not take it back."""
    with storage(path):
        _replace(path, [text], durable=True)


def _replace(path: Path, pieces: Iterable[str], *, durable: bool) -> None:
    part = path.with_name(path.name + PART)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(pieces)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    part.replace(path)
    if durable:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes new names in a directory last."""
    if os.name == "nt":  # Windows opens no directory.
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
