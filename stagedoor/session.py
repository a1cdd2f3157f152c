"""What this process is connected to: the tracking URI, and the stores behind it, made when needed.

Safe from any thread; a forked child connects anew.
"""

import os
import threading

from msgspec import Struct

from registry.connect import connect as connect_registry
from registry.store import RegistryStore
from tracking.artifacts import ArtifactStore, connect_artifacts
from tracking.connect import connect as connect_tracking
from tracking.settings import client_settings
from tracking.store import TrackingStore


class Stores(Struct, frozen=True):
    """The three places that one tracking URI leads to. Immutable."""

    tracking: TrackingStore
    registry: RegistryStore
    artifacts: ArtifactStore


_lock = threading.Lock()
_connected: dict[tuple[int, str], Stores] = {}
_chosen: list[str] = []


def set_tracking_uri(uri: str) -> None:
    """Choose where everything is logged, registered and loaded from, in this process.

    Args:
        uri: ``sqlite:///file.db``, ``postgresql://…``, or ``http(s)://…`` of a server. The empty
            text goes back to what the environment says.
    """
    _chosen[:] = [uri] if uri else []


def get_tracking_uri() -> str:
    """Return the tracking URI in force."""
    return _chosen[0] if _chosen else client_settings().tracking_uri


def open_stores(uri: str | None = None) -> Stores:
    """Return the stores of a tracking URI, connecting at the first call for it.

    Args:
        uri: The tracking URI; without one, the one in force.

    Raises:
        InvalidRequest: The URI has a scheme that leads nowhere.
        SchemaOutdated: The database is older than this program.
    """
    uri = uri or get_tracking_uri()
    key = (os.getpid(), uri)
    with _lock:
        if key not in _connected:
            _connected[key] = _connect(uri)
        return _connected[key]


def _connect(uri: str) -> Stores:
    return Stores(
        tracking=connect_tracking(uri),
        registry=connect_registry(uri),
        artifacts=connect_artifacts(uri, client_settings().artifacts_destination),
    )
