import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stagedoor.cli.main import cli


def call(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(cli, arguments, env=environment)


def test_help_lists_every_command_without_importing_one() -> None:
    program = (
        "import sys; from stagedoor.cli.main import cli; "
        "cli(['--help'], standalone_mode=False); print('gateway' in sys.modules)"
    )

    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    for command in ("server", "models", "config", "db", "demo", "gc", "import", "export"):
        assert f"\n  {command}" in answer.stdout
    assert answer.stdout.endswith("False\n")


@pytest.mark.parametrize(
    "command",
    [
        ("server",),
        ("models", "serve"),
        ("config",),
        ("db", "upgrade"),
        ("demo",),
        ("gc",),
        ("import", "mlflow"),
        ("export",),
    ],
)
def test_every_command_shows_examples(command: tuple[str, ...]) -> None:
    answer = call(*command, "--help")

    assert answer.exit_code == 0
    assert f"Examples:\n    stagedoor {' '.join(command)}" in answer.output


def test_an_unknown_command_is_a_usage_error() -> None:
    answer = call("sing")

    assert answer.exit_code == 2
    assert "No such command 'sing'" in answer.output


def test_config_prints_every_value_and_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[serving]\nmax_batch_rows = 7\n")

    answer = call(
        "config", "--port", "8080", "--auth", "--config", str(tmp_path / "s.toml"),
        STAGEDOOR_SERVER__WORKERS="3",
    )  # fmt: skip

    rows = {row.split()[0]: row.split(maxsplit=1)[1] for row in answer.output.splitlines()}
    assert rows["server.port"].split(maxsplit=1) == ["8080", "command line"]
    assert rows["auth.enabled"].split(maxsplit=1) == ["True", "command line"]
    assert rows["server.workers"].split() == ["3", "environment"]
    assert rows["serving.max_batch_rows"].split() == ["7", str(tmp_path / "s.toml")]
    assert rows["registry.single_production"].split() == ["True", "default"]


def test_config_hides_the_password_of_the_database() -> None:
    answer = call("config", "--backend-store-uri", "postgresql://me:secret@db/x")

    assert "secret" not in answer.output
    assert "postgresql://me:***@db/x" in answer.output


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        (("--port", "99999"), {}, "'server.port' (command line) is 99999"),
        (("--static-prefix", "x"), {}, "'server.static_prefix' (command line) is 'x'"),
        ((), {"STAGEDOOR_SERVER__COLOUR": "red"}, "'server.colour' (environment) is no setting"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_sentence(
    arguments: tuple[str, ...], environment: dict[str, str], reason: str
) -> None:
    answer = call("config", *arguments, **environment)

    assert answer.exit_code == 1
    assert answer.output.startswith(f"Error: {reason}")


def test_db_upgrade_makes_a_database_current(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'fresh.db'}"

    answers = [call("db", "upgrade", "--backend-store-uri", uri) for _ in range(2)]

    assert [answer.output for answer in answers] == ["The database is up to date.\n"] * 2
    assert (tmp_path / "fresh.db").is_file()


def test_db_upgrade_refuses_what_is_no_database() -> None:
    answer = call("db", "upgrade", "--backend-store-uri", "http://127.0.0.1:1")

    assert answer.exit_code == 1
    assert answer.output.startswith("Error: ")


def test_a_path_of_a_proxy_is_an_option_of_the_server() -> None:
    told, told_in = call("config", "--static-prefix", "/x"), call("server", "--help")

    assert "server.static_prefix" in told.output
    assert "/x" in next(line for line in told.output.splitlines() if "static_prefix" in line)
    assert "--static-prefix TEXT" in told_in.output


def test_a_wide_address_without_auth_is_refused(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'x.db'}"

    answer = call("server", "--host", "0.0.0.0", "--port", "0", "--backend-store-uri", uri)

    assert answer.exit_code == 1
    assert "--auth" in answer.output


@pytest.mark.parametrize(
    ("uri", "tracking_uri", "reason"),
    [
        ("IrisRF", "sqlite:///x.db", "'IrisRF' is not a model URI"),
        ("models:/IrisRF/1", "http://127.0.0.1:1", "is a server, which serves its models itself"),
    ],
)
def test_models_serve_refuses_what_it_cannot_serve(
    uri: str, tracking_uri: str, reason: str
) -> None:
    answer = call("models", "serve", "-m", uri, STAGEDOOR_TRACKING_URI=tracking_uri)

    assert answer.exit_code == 1
    assert reason in answer.output
