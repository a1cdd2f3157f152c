"""What the environment says to a client."""

import pytest

from tracking.settings import ClientSettings, client_settings

NAMES = ["TRACKING_URI", "TRACKING_TOKEN", "TRACKING_USERNAME", "TRACKING_PASSWORD"]
OTHERS = ["EXPERIMENT_NAME", "RUN_ID", "ARTIFACTS_DESTINATION"]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES + OTHERS:
        for prefix in ("STAGEDOOR", "MLFLOW"):
            monkeypatch.delenv(f"{prefix}_{name}", raising=False)


def test_an_empty_environment_means_a_local_database() -> None:
    assert client_settings() == ClientSettings(tracking_uri="sqlite:///stagedoor.db")


@pytest.mark.parametrize("prefix", ["STAGEDOOR", "MLFLOW"])
def test_our_variables_and_the_fields_are_read(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*NAMES, "EXPERIMENT_NAME", "RUN_ID"]:
        monkeypatch.setenv(f"{prefix}_{name}", name.lower())

    assert client_settings() == ClientSettings(
        "tracking_uri",
        "tracking_token",
        "tracking_username",
        "tracking_password",
        "experiment_name",
        "run_id",
    )


def test_ours_win_and_empty_ones_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://field")
    monkeypatch.setenv("STAGEDOOR_TRACKING_URI", "http://ours")
    monkeypatch.setenv("STAGEDOOR_RUN_ID", "")
    monkeypatch.setenv("STAGEDOOR_ARTIFACTS_DESTINATION", "/srv")

    settings = client_settings()

    assert settings == ClientSettings("http://ours", artifacts_destination="/srv")
