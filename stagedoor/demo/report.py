"""What a person sees of the demo: steps, progress, tables; plain lines where there is no terminal.

One thread only. It knows numbers, not how they came about.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from stagedoor.demo.claims import Claim
from stagedoor.demo.tally import Tally
from stagedoor.demo.training import Trained

_BAR_WIDTH = 10


class Report:
    """Prints the demo as it goes."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def step(self, text: str) -> None:
        """Say what comes next."""
        self._console.print(f"[bold cyan]>[/] {text}")

    def note(self, text: str) -> None:
        """Add a detail."""
        self._console.print(f"  {text}")

    def trained(self, model: str, version: Trained) -> None:
        """Show a version that was just registered."""
        self.note(
            f"{model} version {version.version}: {version.kind}, "
            f"accuracy {version.accuracy:.1%} on {len(version.answers)} held-out pictures"
        )

    @contextmanager
    def progress(self, text: str) -> Iterator["Bar"]:
        """Show a bar for the length of the block; nothing where there is no terminal."""
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.fields[live]}"),
        )
        is_shown = self._console.is_terminal
        with Progress(*columns, console=self._console, disable=not is_shown) as progress:
            yield Bar(progress, text)

    def phase(self, tally: Tally) -> None:
        """Show what a phase added up to."""
        speed = (
            f"{tally.rate:,.0f} requests/s, p50 {tally.p50_ms:.1f} ms, p99 {tally.p99_ms:.1f} ms"
        )
        self.note(f"{tally.count:,} requests, {tally.failed} failed: {speed}")
        table = Table("version", "requests", "share", "accuracy on held-out rows")
        for part in tally.versions:
            table.add_row(
                str(part.version), f"{part.count:,}", f"{part.share:.1%}", f"{part.accuracy:.1%}"
            )
        self._console.print(table)

    def claims(self, claims: Sequence[Claim]) -> None:
        """Show what holds and what does not."""
        for claim in claims:
            mark = "[green]ok[/]    " if claim.is_met else "[bold red]FAILED[/]"
            self._console.print(f"  {mark} {claim.text}")

    def reasons(self, reasons: Sequence[str]) -> None:
        """Show why calls failed: each reason once."""
        for reason in reasons:
            self._console.print(f"  {reason}", style="red", markup=False)


class Bar:
    """One phase's bar. One thread only.

    Args:
        progress: What draws it.
        text: What it is called.
    """

    def __init__(self, progress: Progress, text: str) -> None:
        self._progress = progress
        self.is_shown = not progress.disable
        self._task = progress.add_task(text, live="")

    def show(self, done: int, total: int, live: str) -> None:
        """Draw it anew.

        Args:
            done: Requests so far.
            total: Requests there will be.
            live: Numbers of this moment.
        """
        self._progress.update(self._task, completed=done, total=total, live=live)
