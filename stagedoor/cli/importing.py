"""``stagedoor import``."""

import atexit
import shutil
import sys
from functools import partial
from tempfile import mkdtemp

import click

from registry.sealing import is_sealed
from registry.transfer.foreign_tables import parse_url
from registry.transfer.importer import import_into
from registry.transfer.opening import open_source
from registry.transfer.selection import Selection
from registry.transfer.target import FileTarget, Target
from stagedoor.cli.refusal import refusals_shown
from stagedoor.cli.transfer_report import Report, watching
from tracking.artifacts import connect_artifacts
from tracking.connect import is_http
from tracking.database import Database, open_database
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.settings import client_settings


@click.group("import")
def command() -> None:
    """Bring runs and models over from another store."""


_HELP = """\
Bring experiments, runs, metrics, artifacts, models and versions over from MLflow.

They come from its database (SQLite or PostgreSQL), its server, or a folder mlruns, and go into a
database of ours, with their ids, times, stages and aliases. Files are copied and compared. A call
that was interrupted goes on with the next one, and a second call brings what is new.

\b
Examples:
  stagedoor import mlflow --from sqlite:///mlflow.db --to sqlite:///stagedoor.db
  stagedoor import mlflow --from ./mlruns --dry-run
  stagedoor import mlflow --from http://127.0.0.1:5001 --experiment iris
  stagedoor import mlflow --from postgresql://ann@db/mlflow --artifacts-root s3://bucket/mlflow \\
    --to postgresql://ann@db/stagedoor --artifacts-destination s3://bucket/stagedoor
"""


@command.command("mlflow", help=_HELP)
@click.option("--from", "origin", required=True, help="Database URL, server, or folder mlruns.")
@click.option("--to", help="Database of ours.  [default: the tracking URI]")
@click.option("--artifacts-destination", help="Where our files go.  [default: beside the database]")
@click.option("--experiment", multiple=True, help="Only this experiment, by name; again for more.")
@click.option(
    "--artifacts-root",
    multiple=True,
    help="Folder or bucket that files may be read from, besides the source's own folder.",
)
@click.option("--served-artifacts", help="Where MLflow's server keeps mlflow-artifacts:/ files.")
@click.option("--artifacts/--no-artifacts", default=True, help="Whether files are copied.")
@click.option("--dry-run", is_flag=True, help="Only count what would come.")
def mlflow(  # noqa: PLR0913 - one argument for each option
    *,
    origin: str,
    to: str | None,
    artifacts_destination: str | None,
    experiment: tuple[str, ...],
    artifacts_root: tuple[str, ...],
    served_artifacts: str | None,
    artifacts: bool,
    dry_run: bool,
) -> None:
    """Bring experiments, runs, metrics, artifacts, models and versions over from MLflow."""
    with refusals_shown():
        uri = _checked_target(to or client_settings().tracking_uri)
        source, places = open_source(origin, artifacts_root, served_artifacts)
        database = _open(uri, is_dry=dry_run)
        files = FileTarget(
            connect_artifacts(uri, artifacts_destination),
            are_wanted=artifacts,
            is_dry=dry_run,
            is_sealed=partial(_is_sealed, database),
        )
        report = Report(f"From {source.name} to {parse_url(uri)!r}", is_dry=dry_run)
        try:
            with watching() as watcher:
                tally = import_into(
                    Target(database, files),
                    source,
                    places,
                    Selection(experiments=frozenset(experiment)),
                    watcher,
                )
        finally:
            source.close()
            database.close()
    sys.exit(report.show(tally))


def _open(uri: str, *, is_dry: bool) -> Database:
    """Open the database that everything goes into; a dry run makes none, and looks at an empty one.

    Raises:
        InvalidRequest: No database of ours has such a URI.
        Unavailable: It does not answer.
    """
    try:
        return open_database(uri, create=not is_dry)
    except ResourceMissing:
        folder = mkdtemp(prefix="stagedoor-dry-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return open_database(f"sqlite:///{folder}/empty.db")


def _is_sealed(database: Database, path: str) -> bool:
    with database.read() as connection:
        return is_sealed(connection, path)


def _checked_target(uri: str) -> str:
    """Return the URI of a database that can be written to."""
    if is_http(uri):
        raise InvalidRequest(
            f"{uri!r} is a server, and no client can give a server ids and times of the past. Give"
            " the database that the server works on, which may go on running: --to"
            " sqlite:///stagedoor.db, with --artifacts-destination if its files are not beside it."
        )
    return uri
