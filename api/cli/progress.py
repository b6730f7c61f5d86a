"""Progress on standard error: a bar where somebody looks, nothing where nobody does."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Bars:
    """One bar for each stage of a job, made when the stage begins."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(
            self._progress.task_ids[self._tasks[what]], completed=done, total=total
        )


@contextmanager
def bars(*, shown: bool) -> Iterator[Bars]:
    """Bars on standard error while a job runs."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not shown or not sys.stderr.isatty(),
    ) as progress:
        yield Bars(progress)
