"""The settings of models' own environments. Part of the tree of ``gateway.settings``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

NEVER, AUTO, ALWAYS = "never", "auto", "always"
"""When a version gets an environment of its own."""

_MODES = (NEVER, AUTO, ALWAYS)


class EnvironmentSettings(Struct, frozen=True, kw_only=True):
    """Which versions answer in an environment of their own, and from where it is built."""

    mode: Annotated[
        str,
        Meta(
            description="`never`: all versions run on what the server has, and a difference is "
            "told; `auto`: one whose requirements differ runs in an environment built of them; "
            "`always`: every one does, and has no engine. Needs `stagedoor[environments]`."
        ),
    ] = NEVER
    index_url: Annotated[
        str | None,
        Meta(description="Package index to install from; unset leaves that to uv's own settings."),
    ] = None
    wheel_folder: Annotated[
        str | None, Meta(description="Folder of wheels that may be installed, too.")
    ] = None
    offline: Annotated[
        bool, Meta(description="Whether nothing but `wheel_folder` is asked for packages.")
    ] = False
    python_downloads: Annotated[
        bool,
        Meta(description="Whether uv may fetch a Python that this host lacks."),
    ] = False
    build_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            description="Seconds that building one may take; a switch waits for it no longer than "
            "`registry.switch_timeout_s`.",
        ),
    ] = 90.0
    keep: Annotated[
        int,
        Meta(ge=1, description="Environments of this host that are kept, the last used first."),
    ] = 10


def _check_mode(mode: str) -> None:
    if mode not in _MODES:
        raise ValueError(f"use {', '.join(_MODES)}")


def _check_index(url: str | None) -> None:
    if url is None:
        return
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or url != "".join(url.split()):
        raise ValueError("use https://host/path")
    if parts.password or parts.username:
        raise ValueError("leave its password to ~/.netrc or uv's own settings")


def _check_folder(folder: str | None) -> None:
    if folder is not None and not Path(folder).expanduser().is_dir():
        raise ValueError("it is no folder")


CHECKS: Mapping[str, Callable[[Any], None]] = {
    "environments.mode": _check_mode,
    "environments.index_url": _check_index,
    "environments.wheel_folder": _check_folder,
}
"""What a value must meet besides its type; raises ``ValueError``."""
