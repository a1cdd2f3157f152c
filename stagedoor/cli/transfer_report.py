"""What ``stagedoor import`` and ``export`` tell: a bar or lines while they work, then a summary."""

from collections.abc import Iterator
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
            click.echo(f"note: {text}.")
        for kind, count in tally.left_out.items():
            click.echo(f"left out: {count:,} {kind}, which have no place here.")
        _show_problems(tally.problems)
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
    """Shows progress on a terminal."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task = progress.add_task("…", total=None)

    def begin(self, what: str, total: int | None) -> None:
        self._progress.reset(self._task, description=what[:60], total=total or None)

    def advance(self, count: int) -> None:
        self._progress.advance(self._task, count)


class _Lines:
    """Tells of progress where there is no terminal."""

    def begin(self, what: str, total: int | None) -> None:
        click.echo(f"{what}{'' if total is None else f': {total:,}'}", err=True)

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
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress)


def _show_problems(problems: list[Broken]) -> None:
    """Name every failure; those of one cause together."""
    ordered = sorted(problems, key=lambda broken: broken.why)
    for why, group in groupby(ordered, key=lambda broken: broken.why):
        named = [broken.what for broken in group]
        shown = ", ".join(named[:_MOST_NAMED])
        more = f" and {len(named) - _MOST_NAMED:,} more" if len(named) > _MOST_NAMED else ""
        click.echo(f"failed: {shown}{more}: {why}", err=True)
