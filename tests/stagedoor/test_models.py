import gc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import stagedoor
from stagedoor.models import ModelInfo
from tracking.errors import InvalidRequest, ResourceExists, ResourceMissing, StagedoorError

ROWS = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})


def fit(strength: float = 1.0) -> Any:
    return LogisticRegression(C=strength).fit(ROWS, [0, 0, 1, 1])


def log(strength: float = 1.0, **options: Any) -> ModelInfo:
    with stagedoor.start_run():
        return stagedoor.sklearn.log_model(
            fit(strength), "model", registered_model_name="Toy model", **options
        )


def test_a_logged_model_loads_from_its_run() -> None:
    with stagedoor.start_run() as run:
        info = stagedoor.sklearn.log_model(fit(), "deep/model", input_example=ROWS.head(1))

    loaded = stagedoor.load_model(info.model_uri)

    assert info.model_uri == f"runs:/{run.info.run_id}/deep/model"
    assert info.registered_model_version is None
    assert loaded.signature == info.signature
    assert loaded.config.run_id == run.info.run_id
    np.testing.assert_array_equal(loaded.predict(ROWS), fit().predict(ROWS))


def test_each_logging_under_a_name_adds_a_version() -> None:
    assert [log().registered_model_version for _ in range(2)] == ["1", "2"]


@pytest.mark.parametrize(
    ("ref", "strength"),
    [("/1", 1.0), ("/2", 2.0), ("/latest", 3.0), ("/Production", 2.0), ("/production", 2.0),
     ("@champion", 1.0)],
)  # fmt: skip
def test_a_version_loads_by_every_reference(ref: str, strength: float) -> None:
    for one in (1.0, 2.0, 3.0):
        log(one)
    client = stagedoor.StagedoorClient()
    client.transition_model_version_stage("Toy model", 2, "Production")
    client.set_registered_model_alias("Toy model", "champion", 1)

    native = stagedoor.sklearn.load_model(f"models:/Toy model{ref}")

    assert native.get_params()["C"] == strength


def test_a_model_is_registered_by_uri_with_tags() -> None:
    with stagedoor.start_run() as run:
        info = stagedoor.sklearn.log_model(fit(), artifact_path="m")

    version = stagedoor.register_model(info.model_uri, "By hand", tags={"k": 1})
    copy = stagedoor.register_model("models:/By hand/1", "Copy")

    assert (version.version, version.run_id, version.tags) == ("1", run.info.run_id, {"k": "1"})
    assert (copy.source, copy.run_id) == ("models:/By hand/1", run.info.run_id)
    assert stagedoor.load_model("models:/Copy/1").flavor == "sklearn"


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("models:/Toy model/7", ResourceMissing),
        ("models:/Toy model/Staging", ResourceMissing),
        ("models:/Nobody/latest", ResourceMissing),
        ("models:/Toy model@nobody", InvalidRequest),
        ("models:/Toy model", InvalidRequest),
        ("models:/Toy model/odd", InvalidRequest),
        ("runs:/0123/model", ResourceMissing),
        ("runs:/0123", InvalidRequest),
        ("runs:/0123/../x", InvalidRequest),
        ("mlflow-artifacts:/nothing/here", ResourceMissing),
        ("s3://bucket/model", StagedoorError),
    ],
)
def test_a_uri_that_leads_nowhere_is_a_clear_refusal(uri: str, error: type[Exception]) -> None:
    log()

    with pytest.raises(error):
        stagedoor.load_model(uri)


def test_an_empty_stage_is_told_with_the_versions_that_there_are() -> None:
    log()
    log()
    stagedoor.StagedoorClient().transition_model_version_stage("Toy model", 1, "Archived")

    told = (
        r"'Toy model' has no version in Production; the newest of each stage is 2 \(None\),"
        r" 1 \(Archived\)\. Promote one, or load one by its number"
    )
    with pytest.raises(ResourceMissing, match=told):
        stagedoor.load_model("models:/Toy model/Production")


def test_a_model_without_versions_says_how_to_log_one() -> None:
    stagedoor.StagedoorClient().create_registered_model("Empty")

    for ref in ("Production", "latest"):
        with pytest.raises(ResourceMissing, match=r"registered_model_name='Empty'"):
            stagedoor.load_model(f"models:/Empty/{ref}")


def test_a_version_of_no_model_says_how_to_create_the_model() -> None:
    info = log()

    with pytest.raises(ResourceMissing, match=r"create_registered_model\('Nobody'\)"):
        stagedoor.StagedoorClient().create_model_version("Nobody", info.model_uri)


def test_a_folder_on_this_machine_saves_and_loads(tmp_path: Path) -> None:
    stagedoor.sklearn.save_model(fit(), tmp_path / "model", input_example=ROWS)

    loaded = stagedoor.pyfunc.load_model(str(tmp_path / "model"))
    by_uri = stagedoor.load_model(f"file://{tmp_path / 'model'}")

    np.testing.assert_array_equal(loaded.predict(ROWS), by_uri.predict(ROWS))
    with pytest.raises(ResourceExists, match="not empty"):
        stagedoor.sklearn.save_model(fit(), tmp_path / "model")


def test_the_method_that_answers_is_chosen_at_logging() -> None:
    log(pyfunc_predict_fn="predict_proba")

    assert stagedoor.load_model("models:/Toy model/1").predict(ROWS).shape == (4, 2)


def test_a_model_without_a_name_is_refused() -> None:
    with stagedoor.start_run(), pytest.raises(InvalidRequest, match="a name"):
        stagedoor.sklearn.log_model(fit())


def test_the_example_outlives_the_loading_and_the_files_do_not_outlive_the_model() -> None:
    info = log(input_example=ROWS.head(2))

    loaded = stagedoor.load_model(info.model_uri)
    example = loaded.input_example()
    folder = loaded._folder  # noqa: SLF001 - where the files are is nobody else's business
    del loaded
    gc.collect()

    assert example is not None
    assert example.rows == 2
    assert not folder.exists()


def doubled(rows: Any) -> Any:
    return rows["a"].to_numpy() * 2


class Sloped(stagedoor.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        self.slope = float(Path(context.artifacts["slope"]).read_text())

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        del context, params
        return model_input["a"].to_numpy() * self.slope


def test_a_model_of_ones_own_is_logged_registered_and_loaded() -> None:
    with stagedoor.start_run():
        info = stagedoor.pyfunc.log_model(
            "model", python_model=doubled, registered_model_name="Doubled", input_example=ROWS
        )

    loaded = stagedoor.pyfunc.load_model("models:/Doubled/1")

    assert info.registered_model_version == "1"
    assert loaded.predict(ROWS).tolist() == [0.0, 2.0, 4.0, 6.0]


def test_artifacts_of_a_model_may_be_those_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "slope.txt").write_text("3")
    with stagedoor.start_run() as run:
        stagedoor.log_artifact(str(tmp_path / "slope.txt"))
        uri = f"runs:/{run.info.run_id}/slope.txt"
        info = stagedoor.pyfunc.log_model("model", python_model=Sloped(), artifacts={"slope": uri})

    loaded = stagedoor.load_model(info.model_uri)

    assert loaded.predict(ROWS).tolist() == [0.0, 3.0, 6.0, 9.0]


def test_an_artifact_that_is_not_there_is_refused() -> None:
    with stagedoor.start_run(), pytest.raises(ResourceMissing, match="no files at"):
        stagedoor.pyfunc.log_model(
            "model", python_model=Sloped(), artifacts={"slope": "mlflow-artifacts:/gone"}
        )
