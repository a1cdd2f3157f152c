"""What the real MLflow client made is brought over, and it reads the same from us as before."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from registry.sql_store import SqlRegistryStore
from stagedoor.cli.main import cli
from tests.contracts.tracking_server import TrackingServer
from tests.interop.real_client import RealClient
from tracking.database import open_database
from tracking.sql_store import SqlTrackingStore


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealClient]:
    with RealClient(tmp_path_factory.mktemp("mlflow")) as started:
        yield started


def bring(origin: str, folder: Path, *options: str) -> Result:
    """Import into the database of a folder."""
    arguments = ["--from", origin, "--to", f"sqlite:///{folder}/stagedoor.db", *options]
    return CliRunner().invoke(cli, ["import", "mlflow", *arguments])


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the database of a folder; give the address."""
    database = open_database(f"sqlite:///{folder}/stagedoor.db")
    with TrackingServer(folder / "artifacts") as server:
        server.store = SqlTrackingStore(database)
        server.registry = SqlRegistryStore(database, seal=lambda _m, _v: None, actor="ann")
        yield server.address
    database.close()


@pytest.mark.parametrize("kind", ["sqlite", "folder"])
def test_the_client_reads_from_us_what_it_read_before(
    client: RealClient, kind: str, tmp_path: Path
) -> None:
    origin = {"sqlite": f"sqlite:///{client.folder}/mlflow.db", "folder": f"{client.folder}/mlruns"}

    done = bring(origin[kind], tmp_path)

    assert done.exit_code == 0, done.output
    print(done.output)
    with served(tmp_path) as address:
        assert differences(client.told[kind], client.read(address)) == {}


def differences(before: Any, after: Any, at: str = "") -> dict[str, tuple[Any, Any]]:
    """Return each value that is not the same in both, by the path to it."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in sorted(before.keys() | after.keys()):
            found |= differences(before.get(key), after.get(key), f"{at}/{key}")
        return found
    return {} if before == after else {at: (before, after)}
