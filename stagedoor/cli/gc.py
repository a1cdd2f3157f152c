"""``stagedoor gc``."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click

from gateway.settings import load_settings
from registry.garbage import Found, GarbageCollector, Item, Scope
from registry.garbage_rules import parse_age
from stagedoor.cli.refusal import refusals_shown
from tracking.artifacts import open_artifacts
from tracking.clock import now_ms
from tracking.database import open_database

_HELP = """\
Remove for good what was deleted: runs, experiments and logged models, with their files, and
files that belong to nothing any more.

What a version of the registry is made of is kept, and so is a run whose logged model is not
deleted. It is safe beside a running server. Without ids it looks at everything.

\b
Examples:
  stagedoor gc --older-than 30d --dry-run
  stagedoor gc --older-than 30d
  stagedoor gc --run-ids 0a1b2c3d4e5f60718293a4b5c6d7e8f9 --backend-store-uri sqlite:///mlops.db
  stagedoor gc --experiment-ids 3,4 --artifacts-destination s3://bucket/a
"""


@click.command("gc", help=_HELP)
@click.option("--older-than", default="0s", help="Only what was deleted so long ago: 30d, 1d12h.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--run-ids", default="", help="Only these runs, with commas between them.")
@click.option("--experiment-ids", default="", help="Only these experiments, and all in them.")
@click.option("--logged-model-ids", default="", help="Only these logged models.")
@click.option("--backend-store-uri", help="Database of the server.  [default: the server's]")
@click.option("--artifacts-destination", help="Where its files are.  [default: the server's]")
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file of the server.",
)
def command(  # noqa: PLR0913 - one argument for each option
    *,
    older_than: str,
    dry_run: bool,
    run_ids: str,
    experiment_ids: str,
    logged_model_ids: str,
    backend_store_uri: str | None,
    artifacts_destination: str | None,
    config_file: Path | None,
) -> None:
    """Remove for good what was deleted."""
    with refusals_shown():
        scope = Scope(
            until_ms=now_ms() - parse_age(older_than),
            run_ids=_split(run_ids),
            experiment_ids=_split(experiment_ids),
            model_ids=_split(logged_model_ids),
        )
        named = {
            "storage.backend_store_uri": backend_store_uri,
            "storage.artifacts_destination": artifacts_destination,
        }
        storage = load_settings(named, config_file).settings.storage
        database = open_database(storage.backend_store_uri, create=False)
        collector = GarbageCollector(database, open_artifacts(storage.artifacts_destination))
        try:
            _warn_without_files(storage.artifacts_destination)
            _collect(collector, scope, dry_run=dry_run)
        finally:
            database.close()


def _warn_without_files(destination: str) -> None:
    """Say so where no files can be found: rows would go, and their files stay somewhere else."""
    is_local = "://" not in destination or destination.startswith("file://")
    if is_local and not Path(destination.removeprefix("file://")).is_dir():
        click.echo(
            f"There are no artifacts at {destination!r}. If runs have some, give their place with "
            "--artifacts-destination; files that are left behind go with the next call that does.",
            err=True,
        )


def _collect(collector: GarbageCollector, scope: Scope, *, dry_run: bool) -> None:
    found = collector.find(scope)
    for kept in found.kept:
        click.echo(f"kept: {kept.kind} {kept.id}, because {kept.why}")
    if dry_run:
        for item in found.items:
            click.echo(f"would remove: {item.kind} {item.folder or item.id}")
        click.echo(f"Would remove {_counted(found.items)}.")
        return
    removed = _purge(collector, found, scope.until_ms)
    click.echo(f"Removed {_counted(removed)}.")


def _purge(collector: GarbageCollector, found: Found, until_ms: int) -> list[Item]:
    from rich.console import Console  # noqa: PLC0415 - only who removes something draws a bar
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("Removing", total=len(found.items) or None)
        return collector.purge(found, until_ms, lambda _item: progress.advance(bar))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _counted(items: Iterable[Item]) -> str:
    kinds = Counter(item.kind for item in items)
    told = (f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in kinds.items())
    return ", ".join(told) or "nothing"
