"""Which sums strangers may see: those of at least 5 accounts of which none has over half.

An account is in a sum with what it adds to it: whoever adds nothing hides nobody. So a sum of zero
is not for strangers either, for it would tell of each single account that it had none.

A sum that is shown again with another value tells the difference. So a run that changes what an
earlier one showed shows it only if the rule holds for the changes, too; and what nobody settled yet
is shown only when every register is there that makes it up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ACCOUNTS_MIN: Final = 5
WORD_PARTS: Final = 4  # A row's word is four numbers of 64 bits (INTERFACES §5).
IMPORT, EXPORT, BOUGHT, SOLD = range(WORD_PARTS)
IMPORT_BITS: Final = 56  # Of the first; above them the flags.
Table = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCells:
    """What may be shown of one window, and how many accounts' rows were estimated."""

    imported: bool
    exported: bool
    traded: bool  # Neither its buyers nor its sellers could be told apart.
    estimated: int


NOBODYS: Final = WindowCells(imported=False, exported=False, traded=False, estimated=0)


def cells_of_runs(runs: Sequence[Sequence[bytes]], windows: int) -> list[WindowCells]:
    """Of each window of a period's last run, given what earlier runs showed.

    Args:
        runs: of each run all accounts' rows, in the words that were hashed; the last one counts.
    """
    tables = [_table(row_words, windows) for row_words in runs]
    energies_wh = [_energies(table) for table in tables]
    shown: list[Flags] = []
    for own_wh in energies_wh:
        may = is_open(own_wh)
        for earlier_wh, was_shown in zip(energies_wh, shown, strict=False):
            changes_wh = np.abs(own_wh - _as_long_as(own_wh, earlier_wh))
            may &= ~was_shown | ~changes_wh.any(axis=0) | is_open(changes_wh)
        may[:, BOUGHT] &= may[:, SOLD]  # One sum is both.
        may[:, SOLD] = may[:, BOUGHT]
        shown.append(may)
    return _cells(shown[-1], _estimated(tables[-1]))


def cells_so_far(row_words: Sequence[bytes], windows: int) -> list[WindowCells]:
    """Of each window of a period that no run says anything of: nothing that is estimated."""
    table = _table(row_words, windows)
    may, estimated = is_open(_energies(table)), _estimated(table)
    may[:, BOUGHT] &= may[:, SOLD]
    may &= (estimated == 0)[:, np.newaxis]
    return _cells(may, estimated)


def is_open(energies_wh: Table) -> Flags:
    """The rule, of what stands below each other. Half is not over half."""
    counts = (energies_wh > 0).sum(axis=0)
    largest_wh = energies_wh.max(axis=0, initial=0)
    sums_wh = energies_wh.sum(axis=0)
    shown: Flags = (counts >= ACCOUNTS_MIN) & (2 * largest_wh <= sums_wh)
    return shown


def _table(row_words: Sequence[bytes], windows: int) -> Table:
    words = np.frombuffer(b"".join(row_words), dtype=">u8")
    return words.reshape(-1, windows, WORD_PARTS).astype(np.uint64)


def _energies(table: Table) -> Table:
    """By account, window and part, in Wh."""
    energies_wh = table.astype(np.int64)
    energies_wh[:, :, IMPORT] &= 2**IMPORT_BITS - 1
    return energies_wh


def _estimated(table: Table) -> Table:
    flags = table[:, :, IMPORT] >> np.uint64(IMPORT_BITS)
    estimated: Table = (flags & np.uint64(1)).sum(axis=0)
    return estimated


def _as_long_as(longer: Table, shorter: Table) -> Table:
    """Accounts that came later had nothing before."""
    grown = np.zeros_like(longer)
    grown[: len(shorter)] = shorter
    return grown


def _cells(may: Flags, estimated: Table) -> list[WindowCells]:
    return [
        WindowCells(imported=own[IMPORT], exported=own[EXPORT], traded=own[BOUGHT], estimated=count)
        for own, count in zip(may.tolist(), estimated.tolist(), strict=True)
    ]
