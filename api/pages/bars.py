"""Bars of energy as integers of a picture: what was given and what was taken, on one scale.

No figure lives here alone: pages show the same energies in a table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

BAR_WIDTH: Final = 10
BAR_GAP: Final = 2
HEIGHT: Final = 100
SMALLEST_TOP_WH: Final = 100
LABELS_MAX: Final = 6
STEPS: Final = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80)  # Tenths of a power of ten.


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a bar: a kind with a colour and a pattern of its own."""

    kind: str
    energy_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One stretch of time, its parts from the bottom up."""

    label: str
    parts: tuple[Part, ...]
    title: str  # All of it in words.
    is_final: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle of the picture."""

    kind: str
    x: int
    y: int
    height: int
    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Bars side by side."""

    bars: tuple[Bar, ...]
    top_wh: int  # The scale's upper end.

    @property
    def width(self) -> int:
        """Of the picture, in its own units."""
        return len(self.bars) * BAR_WIDTH

    @property
    def labels(self) -> tuple[str, ...]:
        """One a bar; most are empty, so that those that are there have room."""
        every = -(-len(self.bars) // LABELS_MAX)
        return tuple(bar.label if place % every == 0 else "" for place, bar in enumerate(self.bars))

    def boxes(self) -> Iterator[Box]:
        """What is drawn. Heights are cut from sums, so that stacked parts meet."""
        for place, bar in enumerate(self.bars):
            below_wh = [0]
            for part in bar.parts:
                below_wh.append(below_wh[-1] + part.energy_wh)
            levels = pairwise(HEIGHT * energy_wh // self.top_wh for energy_wh in below_wh)
            for part, (lower, upper) in zip(bar.parts, levels, strict=True):
                if upper > lower:
                    yield Box(
                        kind=part.kind,
                        x=place * BAR_WIDTH + BAR_GAP // 2,
                        y=HEIGHT - upper,
                        height=upper - lower,
                        is_final=bar.is_final,
                    )


def top_of(*rows: Sequence[Bar]) -> int:
    """A round upper end for all of them."""
    highest_wh = max(
        (sum(part.energy_wh for part in bar.parts) for bars in rows for bar in bars), default=0
    )
    scale = 1
    while True:
        for step in STEPS:
            if step * scale >= max(highest_wh, SMALLEST_TOP_WH):
                return step * scale
        scale *= 10
