"""What ``stagedoor import`` and ``export`` tell: a bar or lines while they work, then a summary."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import click

from registry.transfer.passage import Watcher
from registry.transfer.source import Broken
from registry.transfer.tally import Tally
from tracking.sql_past import Effect

_KINDS = {
    "experiment": "experiments",
    "run": "runs",
    "point": "metric points",
    "logged model": "logged models",
    "model": "registered models",
    "version": "versions",
    "stage": "stages",
    "alias": "aliases",
    "file": "files",
}
_MOST_NAMED = 20


class Report:
    """The summary of one call.

    Args:
        title: From where to where.
        is_dry: Whether nothing was written.
    """

    def __init__(self, title: str, *, is_dry: bool) -> None:
        self._title = title
        self._is_dry = is_dry

    def show(self, tally: Tally) -> int:
        """Print it, and return the exit code."""
        click.echo(f"{self._title}:")
        for kind, name in _KINDS.items():
            counted = {effect: tally.counts[kind, effect] for effect in Effect}
            if any(counted.values()):
                told = ", ".join(f"{n:,} {effect}" for effect, n in counted.items() if n)
                click.echo(f"  {name}: {told}")
        for text in tally.notes:
            click.echo(_plain(f"note: {text}."))
        for kind, count in tally.left_out.items():
            click.echo(f"left out: {count:,} {kind}, which have no place here.")
        for line in _grouped("changed", tally.changed):
            click.echo(line)
        for line in _grouped("failed", tally.problems):
            click.echo(line, err=True)
        click.echo(self._verdict(tally))
        return 1 if tally.problems else 0

    def _verdict(self, tally: Tally) -> str:
        if tally.problems:
            count = len(tally.problems)
            things = "1 thing" if count == 1 else f"{count:,} things"
            return f"{things} failed; mend the cause and call it again."
        if self._is_dry:
            return "Nothing was written: this was a dry run."
        return "Nothing has changed." if tally.is_unchanged else "Done."


class _Bar:
    """Shows progress on a terminal: one bar for each experiment."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task: Any = None

    def begin(self, what: str, total: int | None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(_plain(what[:60]), total=total)

    def advance(self, count: int) -> None:
        self._progress.advance(self._task, count)


class _Lines:
    """Tells of progress where there is no terminal."""

    def begin(self, what: str, total: int | None) -> None:
        click.echo(_plain(f"{what}{'' if total is None else f': {total:,}'}"), err=True)

    def advance(self, count: int) -> None:
        """Say nothing: a log wants few lines."""


@contextmanager
def watching() -> Iterator[Watcher]:
    """Show progress on standard error, for the block."""
    from rich.console import Console  # noqa: PLC0415 - pay for it where something is shown
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress)


def _grouped(label: str, told: Iterable[Broken]) -> Iterator[str]:
    """Yield a line for every cause, with the things it happened to."""
    ordered = sorted(told, key=lambda broken: broken.why)
    for why, group in groupby(ordered, key=lambda broken: broken.why):
        named = [broken.what for broken in group]
        shown = ", ".join(named[:_MOST_NAMED])
        more = f" and {len(named) - _MOST_NAMED:,} more" if len(named) > _MOST_NAMED else ""
        yield _plain(f"{label}: {shown}{more}: {why}")


def _plain(told: str) -> str:
    """Return a text that moves no cursor: names come from elsewhere, and say what they like."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in told)
