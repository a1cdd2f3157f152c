import pytest

from registry.transfer.source import PastVersion
from registry.transfer.version_sources import Settled, find_folder, find_model_id, settle_source
from registry.wire import ModelVersion
from tracking.errors import InvalidRequest

RUN = "0" * 32
MODEL = f"m-{RUN}"
FOLDERS = {f"/old/mlruns/7/{RUN}/artifacts": f"7/{RUN}/artifacts", "s3://b/7/x": "7/x"}


def past(source: str, files: str | None = None) -> PastVersion:
    version = ModelVersion(name="A", version="3", source=source, run_id=RUN, model_id=MODEL)
    return PastVersion(version, source if files is None else files)


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        (past("dummy-source"), Settled("dummy-source", None)),
        (past(f"runs:/{RUN}/model"), Settled(f"runs:/{RUN}/model", None)),
        (
            past(f"runs:/{RUN}/model", f"/old/mlruns/7/{RUN}/artifacts/model"),
            Settled(f"runs:/{RUN}/model", f"7/{RUN}/artifacts/model"),
        ),
        (past(f"models:/{MODEL}"), Settled(f"models:/{MODEL}", None)),
        (past("s3://b/7/x/model"), Settled("s3://b/7/x/model", "7/x/model")),
        (
            past(f"/old/mlruns/7/{RUN}/artifacts/model"),
            Settled(f"mlflow-artifacts:/7/{RUN}/artifacts/model", f"7/{RUN}/artifacts/model"),
        ),
    ],
)
def test_a_source_is_kept_where_it_means_the_same_here(
    given: PastVersion, settled: Settled
) -> None:
    assert settle_source(given, FOLDERS) == settled


@pytest.mark.parametrize("source", ["/elsewhere/model", "mlflow-artifacts:/9/x", "s3://c/m"])
def test_files_that_come_from_no_run_get_a_folder_of_their_own(source: str) -> None:
    settled = settle_source(past(source), FOLDERS)

    assert settled.storage is not None
    assert settled.storage.startswith("versions/")
    assert settled.storage.endswith("/3")
    assert settled.files == source
    assert settled.source == (
        source if source.startswith("s3:") else f"mlflow-artifacts:/{settled.storage}"
    )


@pytest.mark.parametrize("source", [f"runs:/{'1' * 32}/m", "models:/m-" + "1" * 32, "runs:/../x"])
def test_a_source_of_something_else_is_refused(source: str) -> None:
    with pytest.raises(InvalidRequest):
        settle_source(past(source), FOLDERS)


def test_a_location_is_found_by_what_it_lies_beneath() -> None:
    assert find_folder(f"/old/mlruns/7/{RUN}/artifacts", FOLDERS) == f"7/{RUN}/artifacts"
    assert find_folder(f"/old/mlruns/7/{RUN}/artifacts2/x", FOLDERS) is None
    assert find_folder("", FOLDERS) is None


def test_a_logged_model_is_found_in_its_uri() -> None:
    assert find_model_id(f"models:/{MODEL}/sub") == MODEL
    assert find_model_id("models:/A/3") is None
