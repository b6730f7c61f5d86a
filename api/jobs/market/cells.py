"""Which sums strangers may see: those of at least 5 accounts of which none has over half.

An account is in a sum with what it adds to it: whoever adds nothing hides nobody. So a sum of zero
is not for strangers either, for it would tell of each single account that it had none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ACCOUNTS_MIN: Final = 5
WORD_PARTS: Final = 4  # A row's word is four numbers of 64 bits (INTERFACES §5).
IMPORT_BITS: Final = 56  # Of the first; above them the flags.
Table = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCells:
    """What may be shown of one window, and how many accounts' rows were estimated."""

    imported: bool
    exported: bool
    traded: bool  # Neither its buyers nor its sellers could be told apart.
    estimated: int


NOBODYS: Final = WindowCells(imported=False, exported=False, traded=False, estimated=0)


def cells_of(row_words: Sequence[bytes], windows: int) -> list[WindowCells]:
    """Of each window of a run, from all accounts' rows in the words that were hashed."""
    table = np.frombuffer(b"".join(row_words), dtype=">u8").reshape(-1, windows, WORD_PARTS)
    first = table[:, :, 0].astype(np.uint64)
    energies_wh = [first & np.uint64(2**IMPORT_BITS - 1)]
    energies_wh += [table[:, :, part].astype(np.uint64) for part in range(1, WORD_PARTS)]
    imported, exported, bought, sold = (is_open(each) for each in energies_wh)
    estimated = (first >> np.uint64(IMPORT_BITS) & np.uint64(1)).sum(axis=0)
    columns = (imported, exported, bought & sold, estimated)
    return [
        WindowCells(imported=found[0], exported=found[1], traded=found[2], estimated=found[3])
        for found in zip(*(each.tolist() for each in columns), strict=True)
    ]


def is_open(energies_wh: Table) -> npt.NDArray[np.bool_]:
    """The rule: of each column, whether its sum may be shown. Half is not over half."""
    counts = (energies_wh > 0).sum(axis=0)
    largest_wh = energies_wh.max(axis=0, initial=0)
    sums_wh = energies_wh.sum(axis=0)
    shown: npt.NDArray[np.bool_] = (counts >= ACCOUNTS_MIN) & (2 * largest_wh <= sums_wh)
    return shown
