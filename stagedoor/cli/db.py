"""``stagedoor db upgrade``."""

import click

from stagedoor.cli.refusal import refusals_shown
from tracking.database import upgrade
from tracking.settings import DEFAULT_TRACKING_URI


@click.group("db")
def command() -> None:
    """Look after the database."""


_HELP = """\
Bring the tables of a database to what this program needs. Make a backup first.

\b
Examples:
  stagedoor db upgrade --backend-store-uri sqlite:///stagedoor.db
  stagedoor db upgrade --backend-store-uri postgresql://user@db/stagedoor
"""


@command.command("upgrade", help=_HELP)
@click.option(
    "--backend-store-uri",
    default=DEFAULT_TRACKING_URI,
    show_default=True,
    help="Database: sqlite:///file or postgresql://…",
)
def upgrade_database(backend_store_uri: str) -> None:
    """Bring the tables of a database to what this program needs. Make a backup first."""
    with refusals_shown():
        upgrade(backend_store_uri, tell=click.echo)
    click.echo("The database is up to date.")
