"""``stagedoor export``."""

import sys
from pathlib import Path

import click

from registry.transfer.exporter import export_to
from registry.transfer.opening import open_store
from registry.transfer.selection import Selection
from stagedoor.cli.refusal import refusals_shown
from stagedoor.cli.transfer_report import Report, watching
from tracking.settings import client_settings

_HELP = """\
Write experiments, runs, metrics, artifacts, models and versions into a folder.

MLflow's client opens that folder as file:FOLDER (3.x wants MLFLOW_ALLOW_FILE_STORE=true), its
command `mlflow migrate-filestore` turns it into a database, and `stagedoor import mlflow` brings
it back. Beside a running server it shows each run as it was when it was read.

\b
Examples:
  stagedoor export --to ./mlruns
  stagedoor export --to ./mlruns --from http://127.0.0.1:5000 --experiment iris
  stagedoor export --to ./iris --from sqlite:///stagedoor.db --model IrisRF
"""


@click.command("export", help=_HELP)
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="A new folder.",
)
@click.option("--from", "origin", help="Database or server.  [default: the tracking URI]")
@click.option("--artifacts-destination", help="Where our files are.  [default: beside it]")
@click.option("--experiment", multiple=True, help="Only this experiment, by name; again for more.")
@click.option("--model", multiple=True, help="Only this registered model; again for more.")
@click.option(
    "--artifacts-root",
    multiple=True,
    help="Folder or bucket that files may be read from, besides our own artifacts.",
)
def command(
    *,
    folder: Path,
    origin: str | None,
    artifacts_destination: str | None,
    experiment: tuple[str, ...],
    model: tuple[str, ...],
    artifacts_root: tuple[str, ...],
) -> None:
    """Write experiments, runs, metrics, artifacts, models and versions into a folder."""
    with refusals_shown():
        uri = origin or client_settings().tracking_uri
        source, places = open_store(uri, artifacts_root, artifacts_destination)
        selection = Selection(experiments=frozenset(experiment), models=frozenset(model))
        try:
            with watching() as watcher:
                tally = export_to(folder, source, places, selection, watcher)
        finally:
            source.close()
    report = Report(f"From {source.name} to the folder {str(folder)!r}", is_dry=False)
    sys.exit(report.show(tally))
