"""The server's settings: one frozen typed tree, read once, each leaf with its unit and its line.

Origins, the later wins: default, TOML file, environment (``STAGEDOOR_SECTION__KEY``), command line.
The command line calls ``load_settings`` before the supervisor starts; everybody else is handed the
tree. For the server, the environment is read and written here and nowhere else.
"""

import hashlib
import ipaddress
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, field

from gateway.environment_settings import EnvironmentSettings
from gateway.holding_settings import HoldingSettings
from gateway.overload_settings import HealthSettings, OverloadSettings
from gateway.quota_settings import QuotaSettings
from gateway.setting_groups import CHECKS, FIELD_VARIABLES
from gateway.tracing_settings import TracingSettings
from gateway.webhook_settings import HIDDEN, WebhookSettings, is_secret
from tracking.errors import InvalidRequest

ENV_PREFIX = "STAGEDOOR_"
ENV_NESTING = "__"
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_Count = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(ge=0)]


class ServerSettings(Struct, frozen=True, kw_only=True):
    """Where the server listens, and with how many workers."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port; 0 takes a free one.")] = 5000
    grpc_port: Annotated[
        int,
        Meta(ge=0, le=65535, description="Port for gRPC, on the same address; 0 serves none."),
    ] = 0
    workers: Annotated[_Count, Meta(description="Worker processes.")] = 2
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(description="Host names that callers may use besides loopback names and `host`."),
    ] = ()
    static_prefix: Annotated[
        str,
        Meta(
            description="Path prefix that a proxy in front leaves on, `/mlops`.", pattern="^(/|$)"
        ),
    ] = ""
    default_model: Annotated[
        str | None,
        Meta(description="`models:/…` URI that `/invocations` answers with; none refuses it."),
    ] = None
    keep_alive_s: Annotated[
        _Count, Meta(description="Seconds after which an idle connection is closed.")
    ] = 65
    pre_stop_s: Annotated[
        _Seconds | None,
        Meta(
            description="Seconds to go on accepting after SIGTERM while not ready, for load "
            "balancers; unset means 0 on loopback and 5 elsewhere."
        ),
    ] = None
    worker_hang_timeout_s: Annotated[
        _Seconds, Meta(description="Seconds without a heartbeat after which a worker is killed.")
    ] = 30.0
    log_level: Annotated[str, Meta(description="Least severe level that is logged.")] = "INFO"


class StorageSettings(Struct, frozen=True, kw_only=True):
    """Where things are kept."""

    backend_store_uri: Annotated[
        str, Meta(description="Database: `sqlite:///file` or `postgresql://…`.")
    ] = "sqlite:///stagedoor.db"
    default_artifact_root: Annotated[
        str, Meta(description="Artifact URI under which new experiments get theirs.")
    ] = "mlflow-artifacts:/"
    artifacts_destination: Annotated[
        str, Meta(description="Folder or `s3://…` in which proxied artifacts are kept.")
    ] = "./artifacts"
    cache_dir: Annotated[
        str, Meta(description="Folder of this host with verified copies of model files.")
    ] = "~/.cache/stagedoor"
    run_dir: Annotated[
        str | None,
        Meta(
            description="Folder of this host with the locks of living workers; unset means beside "
            "the SQLite file, or in `cache_dir`."
        ),
    ] = None


class ServingSettings(HoldingSettings, frozen=True, kw_only=True):
    """How versions are loaded and called."""

    max_batch_rows: Annotated[
        _Count, Meta(description="Rows that waiting requests share in one call of a model.")
    ] = 1024
    load_timeout_s: Annotated[
        _Seconds, Meta(description="Seconds a version may take from its start to READY.")
    ] = 60.0
    warmup_requests: Annotated[
        int, Meta(ge=0, description="Calls with the input example before a version is READY.")
    ] = 20
    engines: Annotated[
        bool,
        Meta(description="Whether models with an exact form as arrays answer in the worker."),
    ] = True
    predict_timeout_s: Annotated[
        _Seconds, Meta(description="Seconds one call of a model may take.")
    ] = 60.0
    rollback_window_s: Annotated[
        _Seconds, Meta(description="Seconds a replaced version stays loaded.")
    ] = 900.0
    drain_timeout_s: Annotated[
        _Seconds, Meta(description="Seconds that running requests get to finish at shutdown.")
    ] = 30.0
    max_body_bytes: Annotated[
        _Count,
        Meta(
            description="Bytes of a request body, but for artifact uploads; under `/api/` at least"
            " 32 MiB."
        ),
    ] = 16 * 1024 * 1024


class RegistrySettings(Struct, frozen=True, kw_only=True):
    """How stages and routes change."""

    single_production: Annotated[
        bool, Meta(description="Whether a model has at most one version in Production.")
    ] = True
    switch_timeout_s: Annotated[
        _Seconds, Meta(description="Seconds after which an unfinished switch is given up.")
    ] = 120.0
    poll_interval_ms: Annotated[
        _Count, Meta(description="Milliseconds between two looks at the change log.")
    ] = 25


class AuthSettings(Struct, frozen=True, kw_only=True):
    """Who may come in."""

    enabled: Annotated[
        bool, Meta(description="Whether callers need a token; without it, loopback only.")
    ] = False


class LimitSettings(Struct, frozen=True, kw_only=True):
    """What a caller may cost before anybody looks at the content."""

    max_head_bytes: Annotated[
        _Count, Meta(description="Bytes of a request's line and headers.")
    ] = 32 * 1024
    head_timeout_s: Annotated[
        _Seconds, Meta(description="Seconds in which a request's head must have arrived.")
    ] = 10.0
    min_body_rate_bytes_s: Annotated[
        int, Meta(ge=0, description="Bytes per second that a body must keep up; 0 lets it dawdle.")
    ] = 512
    body_window_s: Annotated[
        float, Meta(gt=0, description="Seconds over which the rate of a body is taken.")
    ] = 10.0
    max_connections: Annotated[_Count, Meta(description="Open connections per worker.")] = 4096
    max_upload_bytes: Annotated[_Count, Meta(description="Bytes of one uploaded artifact.")] = (
        16 * 1024 * 1024 * 1024
    )


class Settings(Struct, frozen=True, kw_only=True):
    """All settings of a server. Immutable."""

    server: ServerSettings = field(default_factory=ServerSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    serving: ServingSettings = field(default_factory=ServingSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    tracing: TracingSettings = field(default_factory=TracingSettings)
    environments: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    overload: OverloadSettings = field(default_factory=OverloadSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    quota: QuotaSettings = field(default_factory=QuotaSettings)


class Leaf(Struct, frozen=True):
    """One setting.

    Args:
        path: ``server.port``.
        env: The variable that sets it.
        type: Its annotated type.
        default: Its value when nobody sets it.
        doc: What it means.
    """

    path: str
    env: str
    type: Any
    default: Any
    doc: str


class Resolved(Struct, frozen=True):
    """Settings, and by path where each value came from."""

    settings: Settings
    origins: Mapping[str, str]


def leaves() -> tuple[Leaf, ...]:
    """Return every setting, in the order of the tree."""
    return tuple(_leaves())


def load_settings(
    cli: Mapping[str, Any], toml: Path | None = None, *, environ: Mapping[str, str] | None = None
) -> Resolved:
    """Read the settings from all their origins.

    Args:
        cli: Values by path (``server.port``); ``None`` means that the option was not given.
        toml: A file with one table for each section, or none.
        environ: The environment; that of this process when not given.

    Raises:
        InvalidRequest: A name that is no setting, or a value that does not fit; both are named.
    """
    known = {leaf.path: leaf for leaf in leaves()}
    environ = os.environ if environ is None else environ  # noqa: TID251 - the one reader
    layers = (
        (str(toml), _from_toml(toml)),
        ("environment", _from_field(environ) | _from_environ(environ)),
        ("command line", {path: value for path, value in cli.items() if value is not None}),
    )
    tree: dict[str, dict[str, Any]] = {section: {} for section in Settings.__struct_fields__}
    origins = dict.fromkeys(known, "default")
    for origin, values in layers:
        for path, raw in values.items():
            section, _, key = path.partition(".")
            tree[section][key] = _convert(known, path, raw, origin)
            origins[path] = origin
    return Resolved(msgspec.convert(tree, Settings), origins)


def value_of(settings: Settings, path: str) -> Any:
    """Return the value at a path such as ``server.port``."""
    section, _, key = path.partition(".")
    return getattr(getattr(settings, section), key)


def shown_value(settings: Settings, path: str) -> str:
    """Return a value as a person may see it: no key, and no password of a database URL."""
    value = value_of(settings, path)
    if value and is_secret(path):
        return HIDDEN
    if isinstance(value, str) and "@" in value and "://" in value:
        parts = urlsplit(value)
        if parts.password:
            value = value.replace(f":{parts.password}@", ":***@")
    return ",".join(value) if isinstance(value, tuple) else str(value)


def is_loopback(host: str) -> bool:
    """Say whether an address to listen on is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def run_folder(settings: Settings) -> Path:
    """Return the folder in which the workers of this database on this host hold their locks."""
    storage = settings.storage
    if storage.run_dir is not None:
        return Path(storage.run_dir).expanduser()
    if storage.backend_store_uri.startswith("sqlite:///"):
        return Path(storage.backend_store_uri.removeprefix("sqlite:///") + ".run")
    name = hashlib.sha256(storage.backend_store_uri.encode()).hexdigest()[:16]
    return Path(storage.cache_dir).expanduser() / "run" / name


def prepare_metrics_folder(folder: Path) -> None:
    """Make prometheus_client count into files of ``folder``, for this process and its children.

    Works only before the first import of prometheus_client: it decides then.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ[_METRICS_VARIABLE] = str(folder)  # noqa: TID251 - the one writer


def metrics_folder() -> Path | None:
    """Return the folder that the workers count into, or none in a process on its own."""
    folder = os.environ.get(_METRICS_VARIABLE)  # noqa: TID251 - the one reader
    return Path(folder) if folder else None


def settings_page() -> str:
    """Return ``docs/settings.md``: ``python -m gateway.settings > docs/settings.md`` writes it."""
    lines = [
        "# Settings",
        "",
        "The later wins: default, TOML file, environment, command line.",
        "`stagedoor config` prints each value in force and where it came from.",
        "This page is printed by `python -m gateway.settings`; a test compares the two.",
    ]
    section = ""
    for leaf in leaves():
        if section != (section := leaf.path.partition(".")[0]):
            lines += ["", f"## {section}", "", "| setting | variable | default | meaning |"]
            lines += ["|---|---|---|---|"]
        told = ",".join(leaf.default) if isinstance(leaf.default, tuple) else leaf.default
        default = "unset" if told in (None, "") else f"`{told}`"
        lines.append(f"| `{leaf.path}` | `{leaf.env}` | {default} | {leaf.doc} |")
    return "\n".join(lines) + "\n"


def _leaves() -> Iterator[Leaf]:
    for section in msgspec.structs.fields(Settings):
        for leaf in msgspec.structs.fields(section.type):
            yield Leaf(
                path=f"{section.name}.{leaf.name}",
                env=f"{ENV_PREFIX}{section.name}{ENV_NESTING}{leaf.name}".upper(),
                type=leaf.type,
                default=leaf.default,
                doc=next(m.description for m in leaf.type.__metadata__ if m.description),
            )


def _from_toml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"The settings file {str(path)!r} cannot be read: {error}."
        raise InvalidRequest(message) from error
    flat: dict[str, Any] = {}
    for section, table in tables.items():
        if isinstance(table, dict):
            flat |= {f"{section}.{key}": value for key, value in table.items()}
        else:
            flat[section] = table
    return flat


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    return {
        name.removeprefix(ENV_PREFIX).lower().replace(ENV_NESTING, ".", 1): value
        for name, value in environ.items()
        if name.startswith(ENV_PREFIX) and ENV_NESTING in name
    }


def _from_field(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read the variables that MLflow's server has for the same things."""
    return {
        path: value
        for name, (path, meaning) in FIELD_VARIABLES.items()
        if (value := meaning(environ.get(name, "")))
    }


def _convert(known: Mapping[str, Leaf], path: str, raw: Any, origin: str) -> Any:
    leaf = known.get(path)
    if leaf is None:
        message = f"{path!r} ({origin}) is no setting; `stagedoor config` lists them all."
        raise InvalidRequest(message)
    if isinstance(raw, str) and isinstance(leaf.default, tuple):
        raw = [part.strip() for part in raw.split(",") if part.strip()]
    try:
        value = msgspec.convert(raw, leaf.type, strict=False)
        if (check := CHECKS.get(path)) is not None:
            check(value)
    except (msgspec.ValidationError, ValueError) as error:
        shown = HIDDEN if is_secret(path) else repr(raw)
        message = f"{path!r} ({origin}) is {shown}, which does not fit: {error}. {leaf.doc}"
        raise InvalidRequest(message) from error
    return value


if __name__ == "__main__":
    sys.stdout.write(settings_page())
