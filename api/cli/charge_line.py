"""Where a charge is shown while it goes: one line that changes, or lines where nobody looks."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import typer


class Shown(Protocol):
    """Somewhere to say how a charge goes."""

    def line(self, text: str) -> None:
        """Says how it is now."""
        ...

    def note(self, text: str) -> None:
        """Says what was done, for good."""
        ...


class Lines:
    """Plain lines, for files and pipes; none where nothing is to be printed."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._last = ""

    def line(self, text: str) -> None:
        """Prints what is new."""
        if text != self._last:
            self._last = text
            self.note(text)

    def note(self, text: str) -> None:
        """Prints a line."""
        if self._shown:
            typer.echo(text)


@contextmanager
def shown_where(*, shown: bool) -> Iterator[Shown]:
    """One line that changes on a terminal, else plain ones."""
    if not shown or not sys.stdout.isatty():
        yield Lines(shown=shown)
        return
    from rich.console import Console  # noqa: PLC0415 (only a terminal needs it)
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class OneLine:
        def line(self, text: str) -> None:
            live.update(Text(text, no_wrap=True, overflow="ellipsis"))

        def note(self, text: str) -> None:
            live.console.print(Text(text))

    with Live(Text(""), console=Console(), refresh_per_second=4, transient=True) as live:
        yield OneLine()
