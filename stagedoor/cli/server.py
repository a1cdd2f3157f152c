"""``stagedoor server``."""

import sys
from typing import Any

import click

from gateway.supervisor import serve
from stagedoor.cli.refusal import refusals_shown
from stagedoor.cli.server_options import resolve, server_options

_HELP = """\
Run the tracking server, the registry and the gateway, until it is told to end.

It listens on this machine only, unless --auth is on: then the first start makes an admin
token and shows it once.

\b
Examples:
  stagedoor server
  stagedoor server --port 8080 --workers 4 --backend-store-uri sqlite:///mlops.db
  stagedoor server --host 0.0.0.0 --auth --allowed-hosts models.example.com \\
    --backend-store-uri postgresql://user@db/stagedoor --artifacts-destination s3://bucket/a
"""


@click.command("server", params=server_options(), help=_HELP)
def command(**given: Any) -> None:
    """Run the tracking server, the registry and the gateway, until it is told to end."""
    with refusals_shown():
        code = serve(resolve(given).settings)
    sys.exit(code)
