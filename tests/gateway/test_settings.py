import base64
from pathlib import Path

import pytest

from gateway.settings import (
    Settings,
    is_loopback,
    leaves,
    load_settings,
    run_folder,
    settings_page,
    shown_value,
    value_of,
)
from tracking.errors import InvalidRequest

ROOT = Path(__file__).parents[2]


def write_toml(folder: Path, text: str) -> Path:
    path = folder / "stagedoor.toml"
    path.write_text(text)
    return path


def test_nothing_set_gives_the_defaults() -> None:
    resolved = load_settings({}, environ={})

    assert resolved.settings == Settings()
    assert set(resolved.origins.values()) == {"default"}


def test_the_later_origin_wins(tmp_path: Path) -> None:
    toml = write_toml(tmp_path, "[server]\nport = 1\nworkers = 3\nkeep_alive_s = 7\n")
    environ = {"STAGEDOOR_SERVER__PORT": "2", "STAGEDOOR_SERVER__WORKERS": "4"}

    resolved = load_settings({"server.port": 5, "server.host": None}, toml, environ=environ)

    server = resolved.settings.server
    assert (server.port, server.workers, server.keep_alive_s) == (5, 4, 7)
    assert resolved.origins["server.port"] == "command line"
    assert resolved.origins["server.workers"] == "environment"
    assert resolved.origins["server.keep_alive_s"] == str(toml)
    assert resolved.origins["server.host"] == "default"


def test_text_from_the_environment_becomes_the_type_of_the_leaf() -> None:
    environ = {
        "STAGEDOOR_SERVER__ALLOWED_HOSTS": "a.example, b.example",
        "STAGEDOOR_AUTH__ENABLED": "true",
        "STAGEDOOR_SERVING__LOAD_TIMEOUT_S": "2.5",
        "STAGEDOOR_TRACKING_URI": "the client's, not ours",
    }

    settings = load_settings({}, environ=environ).settings

    assert settings.server.allowed_hosts == ("a.example", "b.example")
    assert settings.auth.enabled is True
    assert settings.serving.load_timeout_s == 2.5


@pytest.mark.parametrize(
    ("cli", "environ", "named"),
    [
        ({"server.colour": "red"}, {}, "server.colour"),
        ({}, {"STAGEDOOR_SERVER__COLOUR": "red"}, "server.colour"),
        ({}, {"STAGEDOOR_KITCHEN__PORT": "1"}, "kitchen.port"),
        ({"server": 1}, {}, "server"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_its_path(
    cli: dict[str, object], environ: dict[str, str], named: str
) -> None:
    with pytest.raises(InvalidRequest, match=named):
        load_settings(cli, environ=environ)


def test_an_unknown_key_in_a_file_names_the_file(tmp_path: Path) -> None:
    toml = write_toml(tmp_path, "[serving]\nspeed = 9\n")

    with pytest.raises(InvalidRequest, match=r"serving\.speed.*stagedoor\.toml"):
        load_settings({}, toml, environ={})


@pytest.mark.parametrize("text", ["workers = 2", "[server\n"])
def test_a_file_that_is_not_sections_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRequest):
        load_settings({}, write_toml(tmp_path, text), environ={})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("server.port", "many"),
        ("server.port", 70_000),
        ("server.workers", 0),
        ("serving.load_timeout_s", -1),
        ("auth.enabled", "perhaps"),
        ("server.default_model", "iris"),
        ("server.default_model", "models:/iris"),
        ("server.log_level", "loud"),
    ],
)
def test_a_value_that_does_not_fit_names_the_setting(path: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=path):
        load_settings({path: value}, environ={})


def test_every_leaf_is_documented_and_reachable() -> None:
    settings = Settings()

    for leaf in leaves():
        assert leaf.doc.endswith(".")
        assert value_of(settings, leaf.path) == leaf.default


def test_the_page_of_settings_is_up_to_date() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()

    assert page == settings_page(), "run: python -m gateway.settings > docs/settings.md"


def test_a_shown_database_url_hides_its_password() -> None:
    uri = "postgresql://ada:s3cret@db.example/registry"
    settings = load_settings({"storage.backend_store_uri": uri}, environ={}).settings

    shown = shown_value(settings, "storage.backend_store_uri")

    assert shown == "postgresql://ada:***@db.example/registry"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("localhost.evil.example", False),
    ],
)
def test_only_loopback_is_loopback(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_two_databases_of_one_host_have_two_run_folders() -> None:
    uris = ["sqlite:///a.db", "sqlite:///b.db", "postgresql://h/a", "postgresql://h/b"]

    folders = {
        run_folder(load_settings({"storage.backend_store_uri": uri}, environ={}).settings)
        for uri in uris
    }

    assert len(folders) == len(uris)


def test_the_variables_of_the_field_set_ours_and_ours_win() -> None:
    key = base64.urlsafe_b64encode(bytes(32)).decode()
    environ = {
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http, https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "True",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": key,
        "MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "7",
        "STAGEDOOR_WEBHOOKS__TIMEOUT_S": "5",
    }

    webhooks = load_settings({}, environ=environ).settings.webhooks

    assert webhooks.allowed_schemes == ("http", "https")
    assert webhooks.allowed_networks == ("0.0.0.0/0", "::/0")
    assert (webhooks.encryption_keys, webhooks.timeout_s) == ((key,), 5.0)


def test_a_field_variable_that_says_no_leaves_named_networks_alone(tmp_path: Path) -> None:
    toml = write_toml(tmp_path, '[webhooks]\nallowed_networks = ["10.0.0.0/8"]\n')

    settings = load_settings({}, toml, environ={"MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "false"})

    assert settings.settings.webhooks.allowed_networks == ("10.0.0.0/8",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("ALLOWED_NETWORKS", "everywhere"),
        ("ALLOWED_SCHEMES", "ftp"),
        ("ENCRYPTION_KEYS", "hunter2"),
    ],
)
def test_what_webhooks_cannot_work_with_is_refused_at_start(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"webhooks\.{name.lower()}") as refused:
        load_settings({}, environ={f"STAGEDOOR_WEBHOOKS__{name}": value})

    assert "hunter2" not in refused.value.message


def test_keys_are_shown_to_nobody() -> None:
    key = base64.urlsafe_b64encode(bytes(32)).decode()
    settings = load_settings({"webhooks.encryption_keys": key}).settings

    assert shown_value(settings, "webhooks.encryption_keys") == "***"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENDPOINT", "collector:4318"),
        ("ENDPOINT", "grpc://collector"),
        ("RATIO", "1.5"),
        ("HEADERS", "hunter2"),
    ],
)
def test_what_tracing_cannot_work_with_is_refused_at_start(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"tracing\.{name.lower()}") as refused:
        load_settings({}, environ={f"STAGEDOOR_TRACING__{name}": value})

    assert "hunter2" not in str(refused.value)


def test_headers_for_the_collector_are_shown_to_nobody() -> None:
    settings = load_settings({"tracing.headers": "authorization=Bearer abc"}).settings

    assert settings.tracing.headers == ("authorization=Bearer abc",)
    assert shown_value(settings, "tracing.headers") == "***"
