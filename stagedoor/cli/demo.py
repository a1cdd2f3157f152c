"""``stagedoor demo``."""

import sys
from pathlib import Path

import click

from stagedoor.cli.refusal import refusals_shown
from stagedoor.demo.story import PORT, DemoOptions, main

_HELP = """\
Train, register, serve, canary and promote, on real data, in under two minutes.

\b
Examples:
  stagedoor demo
  stagedoor demo --once
  stagedoor demo --port 8080 --workers 4 --data-dir ./demo-data
"""


@click.command("demo", help=_HELP)
@click.option("--once", is_flag=True, help="End when it is done instead of leaving the server up.")
@click.option(
    "--port", default=PORT, show_default=True, help="Where to listen; another if it is taken."
)
@click.option("--workers", default=2, show_default=True, help="Worker processes of the server.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to keep everything; a folder that is removed at the end when not given.",
)
def command(*, once: bool, port: int, workers: int, data_dir: Path | None) -> None:
    """Train, register, serve, canary and promote, on real data, in under two minutes."""
    with refusals_shown():
        code = main(DemoOptions(once=once, port=port, workers=workers, data_dir=data_dir))
    sys.exit(code)
