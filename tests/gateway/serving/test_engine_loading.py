"""From a version to an engine and back to a runner: real processes, real models, hostile ones."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cloudpickle
import msgspec
import numpy as np
import pytest
from msgspec import structs
from sklearn.neural_network import MLPRegressor

import stagedoor
from gateway.serving.cache import Cache
from gateway.serving.engine_servable import EngineServable
from gateway.serving.engines.store import EngineStore, key_of
from gateway.serving.launch import RunnerLimits
from gateway.serving.lazy_runner import LazyRunner
from gateway.serving.loader import Loaded, Loader
from gateway.serving.progress import Progress
from gateway.serving.runner import Runner
from gateway.serving.states import State
from registry.param_specs import ParamSpec
from registry.route import VersionRecord
from registry.signature import Signature
from registry.tensors import DOCUMENT, Batch
from tests.gateway.serving import specimens as sp
from tests.gateway.serving.engines import fitted
from tests.gateway.serving.engines.boosted import BOOSTED
from tests.gateway.serving.engines.fitted import FITS
from tests.registry.flavors import graphs
from tracking.errors import InvalidRequest, ModelFailed, ModelNotReady

LIMITS = RunnerLimits(load_timeout_s=60.0, predict_timeout_s=20.0, warm_calls=1)
WAYS = ("walk", "table of bits", "compiled walk")
ROWS = Batch((), (fitted.PAIR[:3],), is_matrix=True)


class Trap(str):
    """The name of a module that does something when it is looked at in order to be converted."""

    __slots__ = ()

    def partition(self, sep: str, /) -> tuple[str, str, str]:
        del sep
        exec(str(self))
        return ("", "", "")


def spiteful(deed: str) -> object:
    """Return a model that answers its first column, until it is converted."""

    class Spiteful:
        __module__ = Trap(deed)

        def predict(self, rows: Any) -> Any:
            return rows[:, 0]

    return Spiteful()


cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Host:
    """A store of versions, and what workers of one host share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = sp.FolderStore(root / "store")

    def add(self, model: object, signature: Signature | None = None) -> VersionRecord:
        number = len(list((self.root / "store").glob("*"))) + 1 if self.root.exists() else 1
        example = fitted.PAIR[:2]
        place = self.root / "store" / f"v{number}"
        folder = sp.save(place, model, example=example, signature=signature)
        return sp.record("iris", number, folder)

    def loader(
        self,
        limits: RunnerLimits = LIMITS,
        *,
        tolerances: Mapping[str, float] = MappingProxyType({}),
    ) -> Loader:
        cache = Cache(self.root / "cache", self.store)
        engines = EngineStore(self.root / "engines", lambda model: tolerances.get(model, 0.0))
        return Loader(cache, limits, self.root / "run", engines=engines)


def tell(story: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(story())


async def ask(servable: Loaded, batch: Batch = ROWS, **params: Any) -> Any:
    answer = await servable.predict(batch, params)
    return answer.arrays[0].tolist()


async def loaded(loader: Loader, record: VersionRecord) -> Loaded:
    servable = await asyncio.to_thread(loader, record, Progress())
    await servable.attach(lambda _reason: None)
    return servable


def test_a_version_is_converted_once_and_its_process_is_ended(tmp_path: Path) -> None:
    """Two workers load it at the same time, a third one later."""
    model = FITS["forest"]()
    host = Host(tmp_path)
    record = host.add(model)
    loader = host.loader()
    states: list[State] = []
    bad = Batch((), (np.full((2, fitted.WIDTH), np.inf),), is_matrix=True)

    async def story() -> list[Any]:
        together = await asyncio.gather(*(loaded(host.loader(), record) for _ in range(2)))
        third = await asyncio.to_thread(loader, record, Progress(states.append))
        answers = []
        for servable in (*together, third):
            assert isinstance(servable, EngineServable)
            assert servable.runner.pid is None
            assert (servable.flavor, servable.warm_calls) == ("sklearn", 1)
            answers.append(await ask(servable))
            with pytest.raises(ModelFailed, match="raised ValueError in 'predict' on these 2 rows"):
                await ask(servable, bad)
            servable.close()
        return answers

    answers = tell(story)

    assert answers == [model.predict(fitted.PAIR[:3]).tolist()] * 3
    assert states == [State.FETCHING, State.VERIFYING, State.LOADING]
    form = loader.form(record.key)
    assert form is not None
    assert (form.engine, form.why_not) == ("RandomForestClassifier", "")
    assert form.methods == ("predict", "predict_proba")
    assert form.way.partition(";")[0] in WAYS
    assert loader.engine_name(record.key) == "trees"
    assert loader.engine_name(structs.replace(record.key, model="other")) is None
    assert len(list((tmp_path / "engines").glob("*/verdict.json"))) == 1


PARAMS = Signature(
    params=(ParamSpec("scale", "double", 1.0), ParamSpec("tags", "string", None, (-1,)))
)
WRONG_PARAMS: list[dict[str, Any]] = [
    {"predict_method": "predict_proba"},
    {"predict_method": "transform"},
    {"predict_method": "__class__"},
    {"predict_method": ["predict"]},
    {"predict_method": None},
    {"scale": "2"},
    {"scale": True},
    {"scale": None},
    {"scale": 1e999, "tags": "one"},
    {"tags": ["a", 2]},
    {"predict_method": "no", "scale": []},
    {"predict_method": "no", DOCUMENT: True},
    {DOCUMENT: True},
]


TEXT = Batch(
    tuple("012345"),
    (np.array(["secret"], object), *np.ones((fitted.WIDTH - 1, 1))),
    is_matrix=False,
)
WRONG: list[tuple[Batch, dict[str, Any]]] = [
    *((ROWS, params) for params in WRONG_PARAMS),
    (TEXT, {}),
    (TEXT, {"predict_method": "no"}),
    (TEXT, {"scale": []}),
]


async def refusals(asked: Loaded | LazyRunner) -> list[tuple[str, str]]:
    """Ask all that is wrong, in turn; return what was told."""
    told = []
    for rows, params in WRONG:
        with pytest.raises(InvalidRequest) as refusal:
            await asked.predict(rows, params)
        told.append((refusal.value.code, refusal.value.message))
    return told


def test_what_the_engine_does_not_cover_goes_to_one_runner(tmp_path: Path) -> None:
    """Many at once, of several types. It is killed, comes back, and the engine goes on.

    What no rows can make right needs no process, and is refused as that would refuse it.
    """
    model = FITS["vector machine"]()
    host = Host(tmp_path)
    record = host.add(model, PARAMS)
    halves = Batch((), (fitted.PAIR[:3].astype(np.float16),), is_matrix=True)

    async def story() -> list[Any]:
        servable = await loaded(host.loader(), record)
        assert isinstance(servable, EngineServable)
        at_once = await refusals(servable)
        fine = await ask(servable, scale=2, tags=["a"], strange=[], predict_method="predict")
        before = servable.runner.pid
        assert before is None
        answers = await asyncio.gather(*(ask(servable, halves) for _ in range(20)))
        assert await refusals(servable.runner) == at_once
        first = servable.runner.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert await sp.eventually(lambda: servable.runner.pid is None)
        answers += [await ask(servable, ROWS), await ask(servable, halves)]
        second = servable.runner.pid
        assert second not in (None, first)
        await asyncio.to_thread(servable.close)
        assert await sp.eventually(lambda: not sp.is_alive(second or 0))
        with pytest.raises(ModelNotReady):
            await ask(servable, halves)
        return [*answers, fine]

    answers = tell(story)

    assert answers == [model.predict(fitted.PAIR[:3]).tolist()] * 23


def test_an_idle_runner_beside_an_engine_is_ended(tmp_path: Path) -> None:
    host = Host(tmp_path)
    record = host.add(sp.Affine(2.0))
    cache = Cache(tmp_path / "cache", host.store)
    plain = Loader(cache, LIMITS, tmp_path / "run")

    def start(progress: Progress) -> Runner:
        runner = plain(record, progress)
        assert isinstance(runner, Runner)
        return runner

    async def story() -> None:
        lazy = LazyRunner(start, idle_s=0.05)
        answer = await lazy.predict(ROWS, {})
        assert answer.arrays[0].tolist() == (fitted.PAIR[:3, 0] * 2).tolist()
        assert await sp.eventually(lambda: lazy.pid is None)
        lazy.close()

    tell(story)


def quadrupled(rows: Any) -> Any:
    return rows[:, 0] * 4


def test_models_of_other_flavors_answer_in_their_forms(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Boosting and a graph in the worker, a function in its process; two examples are broken."""
    store = tmp_path / "store"
    boosted = BOOSTED["xgb, three"]()
    wide = fitted.PAIR[:2]
    stagedoor.xgboost.save_model(boosted, store / "v1", input_example=wide)
    stagedoor.onnx.save_model(graphs.affine(), store / "v2", input_example=wide[:, :3])
    stagedoor.pyfunc.save_model(store / "v3", python_model=quadrupled, input_example=wide)
    for name in ("v1", "v3"):
        (store / name / "input_example.json").write_text("[[")
    loader = Host(tmp_path).loader()
    narrow = Batch((), (fitted.PAIR[:3, :3],), is_matrix=True)

    async def story() -> list[Any]:
        told = []
        for number, batch in ((1, ROWS), (2, narrow), (3, ROWS)):
            record = sp.record("iris", number, store / f"v{number}")
            servable = await loaded(loader, record)
            answers = await asyncio.gather(*(ask(servable, batch) for _ in range(3)))
            assert answers[1:] == answers[:-1]
            form = loader.form(record.key)
            assert form is not None
            assert ("'input_example.json' cannot be read" in form.example_why) == (number != 2)
            assert form.example_why in caplog.text
            told.append((loader.engine_name(record.key), answers[0]))
            await asyncio.to_thread(servable.close)
        return told

    told = tell(story)

    scores = fitted.PAIR[:3, :3].astype(np.float32) @ graphs.COEF
    assert [name for name, _ in told] == ["trees", "graph", "runner"]
    assert told[0][1] == boosted.predict(fitted.PAIR[:3]).tolist()
    np.testing.assert_allclose(told[1][1], scores, rtol=1e-6)
    assert told[2][1] == (fitted.PAIR[:3, 0] * 4).tolist()


HOSTILE = {
    "it ends its process": ("import os; os._exit(3)", "ended with exit code 3"),
    "it hangs": ("while True: pass", "was not ready after 2 s"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_model_that_will_not_be_converted_answers_in_its_runner(
    case: str, tmp_path: Path
) -> None:
    deed, why = HOSTILE[case]
    host = Host(tmp_path)
    record = host.add(spiteful(deed))
    loader = host.loader(msgspec.structs.replace(LIMITS, convert_timeout_s=2.0))

    async def story() -> Any:
        servable = await loaded(loader, record)
        assert isinstance(servable, Runner)
        answer = await ask(servable)
        await asyncio.to_thread(servable.close)
        return answer

    answer = tell(story)

    assert answer == fitted.PAIR[:3, 0].tolist()
    kept = EngineStore(tmp_path / "engines").find(record.key.digest)
    assert kept is not None
    assert kept.engine is None
    assert why in kept.verdict.why


def test_a_model_that_a_tolerance_was_stated_for_answers_within_it_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither another model of the same files nor another tolerance has anything of its engine."""
    model = MLPRegressor(hidden_layer_sizes=[4], max_iter=20, random_state=0).fit(
        fitted.PAIR, fitted.NUMBERS
    )
    host = Host(tmp_path)
    folder = sp.save(tmp_path / "store" / "v1", model, example=fitted.PAIR[:3])
    iris, other = (sp.record(name, 1, folder) for name in ("iris", "other"))
    loader = host.loader(tolerances={"iris": 1e-6})

    async def story() -> Any:
        servable = await loaded(loader, iris)
        answer = await servable.predict(Batch((), (fitted.PAIR,), is_matrix=True), {})
        servable.close()
        return answer.arrays[0]

    with caplog.at_level("INFO", "stagedoor.serving"):
        answer = tell(story)

    form = loader.form(iris.key)
    assert form is not None
    assert (form.engine, form.tolerance, form.replicas) == ("MLPRegressor", 1e-6, 0)
    assert "within 1e-06 of the model and not identical" in form.way
    assert form.way in caplog.text
    assert [loader.engine_name(one.key) for one in (iris, other)] == ["converted", None]
    assert answer == pytest.approx(model.predict(fitted.PAIR), rel=1e-6)
    keys = [key_of(iris.key.digest, tolerance) for tolerance in (1e-6, 1e-5, 0.0)]
    found = [EngineStore(tmp_path / "engines").find(key) is not None for key in keys]
    assert found == [True, False, False]
