"""What stands ready before the first worker is forked: the run folder, and the database.

What a bucket's URL lacks is told here as well, once, before every worker fails of it.

Called by the supervisor. The database is prepared in a child of its own, so that the supervisor
never holds a connection or a thread.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.settings import Settings, prepare_metrics_folder, run_folder
from gateway.worker import hold_liveness, is_locked, sweep_dead
from registry.quick_look import is_prepared
from tracking.artifact_location import absolute_root
from tracking.errors import StagedoorError, Unavailable

_METRICS_PREFIX = "metrics-"
_OWNER_FILE = "owner"
_LOG = logging.getLogger("stagedoor.preparation")


@contextmanager
def prepared_run_folder(settings: Settings) -> Iterator[Path]:
    """Create the folder of this host's workers, with a place for this server's metrics.

    What is left of them is removed at the end.
    """
    run_dir = run_folder(settings).absolute()
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    sweep_run_folder(run_dir)
    metrics_dir = run_dir / f"{_METRICS_PREFIX}{os.getpid()}"
    prepare_metrics_folder(metrics_dir)
    owner = hold_liveness(metrics_dir / _OWNER_FILE)
    try:
        yield run_dir
    finally:
        os.close(owner)
        sweep_run_folder(run_dir)


def sweep_run_folder(run_dir: Path) -> None:
    """Remove what workers and servers that are gone have left behind."""
    sweep_dead(run_dir)
    for folder in run_dir.glob(f"{_METRICS_PREFIX}*"):
        if not is_locked(folder / _OWNER_FILE):
            shutil.rmtree(folder, ignore_errors=True)


def prepare_database(settings: Settings) -> None:
    """Create the database if it is new, and the admin token at the first start with auth.

    Raises:
        SchemaOutdated: It is older than this program; the message names the command to run.
    """
    from gateway.auth.tokens import announce_admin_token  # noqa: PLC0415 - not in the parent
    from registry.transitions import set_single_production  # noqa: PLC0415 - not in the parent
    from tracking.database import open_database  # noqa: PLC0415 - not in the parent

    database = open_database(settings.storage.backend_store_uri)
    try:
        single = settings.registry.single_production
        database.write(lambda connection: set_single_production(connection, single=single))
        if settings.auth.enabled:
            announce_admin_token(database)
    finally:
        database.close()


def check_destination(settings: Settings) -> None:
    """Check that there is a store for the URL of the artifacts; nothing is asked of it.

    Raises:
        InvalidRequest: There is none, or the URL or its variables say too little.
    """
    from tracking.artifacts import open_artifacts  # noqa: PLC0415 - not in the parent

    if _is_bucket(settings):
        open_artifacts(settings.storage.artifacts_destination)


def _is_bucket(settings: Settings) -> bool:
    return "://" in settings.storage.artifacts_destination


def end_preparing(child: int) -> int:
    """Wait for the child that prepares, if there is one, and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 0


def start_preparing(settings: Settings) -> int:
    """Prepare the database in a child, so that this process never holds a connection or thread.

    Returns:
        The child, or 0 if there is none: a file that is as it should be needs nothing.

    Raises:
        InvalidRequest: No experiment's artifacts can lie where the settings want them.
    """
    storage, registry = settings.storage, settings.registry
    absolute_root(storage.default_artifact_root, Path.cwd())
    is_plain = not settings.auth.enabled and not _is_bucket(settings)
    if is_plain and is_prepared(
        storage.backend_store_uri, single_production=registry.single_production
    ):
        return 0
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        check_destination(settings)
        prepare_database(settings)
        code = 0
    except Unavailable as error:
        _LOG.warning("starting without the database: %s", error)
        code = 0
    except StagedoorError as error:
        _LOG.error("%s", error)
    except BaseException:  # noqa: BLE001 - the last frame of this process
        _LOG.exception("the database cannot be prepared")
    finally:
        os._exit(code)
