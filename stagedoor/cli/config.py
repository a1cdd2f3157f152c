"""``stagedoor config``."""

from typing import Any

import click

from gateway.settings import leaves, shown_value
from stagedoor.cli.refusal import refusals_shown
from stagedoor.cli.server_options import resolve, server_options

_HELP = """\
Print every server setting, its value, and where it came from.

Takes the options of 'stagedoor server', and prints what that would run with.

\b
Examples:
  stagedoor config
  STAGEDOOR_SERVER__WORKERS=4 stagedoor config --config stagedoor.toml
"""


@click.command("config", params=server_options(), help=_HELP)
def command(**given: Any) -> None:
    """Print every server setting, its value, and where it came from."""
    with refusals_shown():
        resolved = resolve(given)
    rows = [
        (leaf.path, shown_value(resolved.settings, leaf.path), resolved.origins[leaf.path])
        for leaf in leaves()
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(2)]
    for path, value, origin in rows:
        click.echo(f"{path:<{widths[0]}}  {value:<{widths[1]}}  {origin}")
