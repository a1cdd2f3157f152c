from pathlib import Path

from gateway.serving.cache import Cache
from gateway.serving.launch import RunnerLimits
from gateway.serving.loader import Loader
from gateway.serving.progress import Progress
from gateway.serving.states import State
from registry.model_folder import ModelConfig, write_model_folder
from tests.gateway.serving import specimens as sp


def test_a_load_leaves_the_cache_as_it_was_registered(tmp_path: Path) -> None:
    """A module saved beside a model is imported from the cache and leaves no bytecode there."""
    folder = sp.save(tmp_path / "store" / "v1", sp.Bomb("import beside_the_model"))
    (folder / "code").mkdir()
    (folder / "code" / "beside_the_model.py").write_text("x = 1")
    flavor = {"loader_module": "mlflow.sklearn", "model_path": "model.pkl", "code": "code"}
    write_model_folder(folder, ModelConfig(flavors={"python_function": dict(flavor)}))
    record = sp.record("iris", 1, folder)
    store = sp.FolderStore(tmp_path / "store")
    loader = Loader(Cache(tmp_path / "cache", store), RunnerLimits(), tmp_path / "run")
    states: list[State] = []

    for _ in range(2):
        loader(record, Progress(states.append)).close()

    assert states == [State.FETCHING, State.VERIFYING, State.LOADING] * 2
    assert store.fetched == 3
