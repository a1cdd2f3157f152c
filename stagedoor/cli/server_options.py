"""Options of the commands that start a server: each sets one leaf of the settings tree.

Help and default come from the tree, so that they are written once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.settings import Leaf, Resolved, leaves, load_settings

_LEAVES: Mapping[str, Leaf] = {leaf.path: leaf for leaf in leaves()}

_FLAGS: Mapping[str, tuple[str, ...]] = {
    "server.host": ("--host", "-h"),
    "server.port": ("--port", "-p"),
    "server.grpc_port": ("--grpc-port",),
    "server.workers": ("--workers", "-w"),
    "server.allowed_hosts": ("--allowed-hosts",),
    "server.static_prefix": ("--static-prefix",),
    "serving.preload": ("--preload",),
    "storage.backend_store_uri": ("--backend-store-uri",),
    "storage.default_artifact_root": ("--default-artifact-root",),
    "storage.artifacts_destination": ("--artifacts-destination",),
    "registry.single_production": ("--single-production/--no-single-production",),
    "auth.enabled": ("--auth/--no-auth",),
}
"""Path of a setting to the flags that set it: those of ``mlflow server`` where it has one."""


def server_options() -> list[click.Parameter]:
    """Return the options, for the ``params`` of a command."""
    config = click.Option(
        ["--config", "config_file"],
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="TOML file with a table for each section of the settings.",
    )
    return [*(_option(_LEAVES[path], flags) for path, flags in _FLAGS.items()), config]


def resolve(given: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> Resolved:
    """Return the settings for what was given on the command line.

    Args:
        given: Values by the names of ``server_options``; ``None`` where none was given.
        extra: Further values by path.

    Raises:
        InvalidRequest: A value does not fit its setting, or a name is no setting.
    """
    values = {path: given[_name(path)] for path in _FLAGS if given.get(_name(path)) is not None}
    return load_settings({**values, **(extra or {})}, given.get("config_file"))


def _option(leaf: Leaf, flags: tuple[str, ...]) -> click.Option:
    is_flag = isinstance(leaf.default, bool)
    shown = "unset" if leaf.default in (None, (), "") else str(leaf.default)
    return click.Option(
        [*flags, _name(leaf.path)],
        is_flag=is_flag,
        default=None,
        type=int if isinstance(leaf.default, int) and not is_flag else None,
        help=f"{leaf.doc}  [default: {shown}]",
    )


def _name(path: str) -> str:
    return path.replace(".", "__")
