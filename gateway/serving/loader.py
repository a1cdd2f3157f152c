"""From a version's record to a Servable. Called by ``manager`` in its load thread.

Every load goes through here: fetch, verify, load in a process, warm up, test, make an engine; or,
where that was done on this host before, take the engine.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec import Struct, structs

from gateway.serving.batching import Merged
from gateway.serving.cache import Cache
from gateway.serving.crew import Crew
from gateway.serving.engine_servable import EngineServable
from gateway.serving.engines.naming import RUNNER, methods_of, short_name, tolerance_of, way
from gateway.serving.engines.store import EngineStore, Kept, key_of
from gateway.serving.environments.store import Environments, Home
from gateway.serving.failure import ConversionFailed, LoadFailed, name_version
from gateway.serving.gathering import Gathering, Limits, measure
from gateway.serving.launch import Ground, RunnerLimits
from gateway.serving.lazy_runner import LazyRunner
from gateway.serving.messages import tidy
from gateway.serving.progress import Progress
from gateway.serving.runner import Runner, start_runner
from gateway.serving.servable import Servable
from gateway.serving.states import State
from registry.input_example import SERVING_EXAMPLE
from registry.route import VersionKey, VersionRecord

_LOG = logging.getLogger("stagedoor.serving")
_EXAMPLE_BYTES = 256 * 1024
_SERVERS = Home()


class Loaded(Servable, Protocol):
    """A Servable that has not yet met the event loop."""

    async def attach(self, on_death: Callable[[str], None]) -> None:
        """Begin to answer; ``on_death`` is called once, with one sentence, should it die."""


class Load(Protocol):
    """What the manager calls to load a version. Blocking."""

    def __call__(self, record: VersionRecord, progress: Progress) -> Loaded:
        """Return a Servable that is loaded and proved.

        Raises:
            LoadFailed: It cannot be.
            LoadCancelled: The load was called off.
        """


class Form(Struct, frozen=True):
    """In which form a version answers here.

    Args:
        engine: What its engine was made from; empty when its runner answers.
        why_not: Why it has no engine; empty when it has one.
        way: How the engine answers, chosen by what was fastest when it was made.
        methods: Which methods of the model the engine answers; its runner answers the others.
        tolerance: Within which the engine's numbers are of the model's; 0 where they are the same.
        environment: The environment of its own that it runs in; empty in the server's.
        differences: How what it was saved with differs from what the server has.
        replicas: How many processes answer it in each worker; 0 when its engine does.
        merging: Which requests may share a call, as in ``batching.Merged``.
        merging_why: Why not all.
        example_why: Why its input example could not be read; empty where it was, or there is none.
    """

    engine: str
    why_not: str
    way: str = ""
    methods: tuple[str, ...] = ()
    tolerance: float = 0.0
    environment: str = ""
    differences: tuple[str, ...] = ()
    replicas: int = 1
    merging: str = Merged.ALWAYS.value
    merging_why: str = ""
    example_why: str = ""


class Loader:
    """Loads versions into engines, and into runners where there is none. Safe from any thread.

    Args:
        cache: Where their files are on this host.
        limits: What one runner may take.
        scratch_root: Where runners get their working folders; made when it is missing.
        engines: Where engines are on this host; none when none are wanted.
        environments: Where environments are on this host; without it, all run in the server's.
        replicas: Returns how many runners a model's versions without an engine have.
    """

    def __init__(
        self,
        cache: Cache,
        limits: RunnerLimits,
        scratch_root: Path,
        *,
        engines: EngineStore | None = None,
        environments: Environments | None = None,
        replicas: Callable[[str], int] = lambda _model: 1,
    ) -> None:
        self._cache = cache
        self._limits = limits
        self._ground = Ground(scratch_root)
        self._engines = engines
        self._environments = environments
        self._replicas = replicas
        self._homes: dict[str, Home] = {}
        self._forms: dict[VersionKey, Form] = {}
        self._names: dict[VersionKey, str] = {}
        scratch_root.mkdir(parents=True, exist_ok=True)

    def __call__(self, record: VersionRecord, progress: Progress) -> Loaded:
        """Fetch and verify a version, and load, warm up and test it, or take its engine.

        Raises:
            LoadFailed: One of them failed.
            LoadCancelled: The load was called off.
        """
        with self._prepared(record, progress) as (folder, home):
            self._homes[record.key.digest] = home
            if home.python is not None:
                loaded: Loaded = self._start_apart(record, folder, progress, home)
            else:
                loaded = self._load_here(record, folder, progress, home)
            if isinstance(loaded, Runner):
                self._note_merging(loaded)
                self._note_example(loaded.key, loaded.ready.example_why)
                return self._replicate(record, progress, loaded)
            return loaded

    def form(self, key: VersionKey) -> Form | None:
        """Return in which form a version was loaded last; ``None`` if it never was."""
        return self._forms.get(key)

    def serving_example(self, digest: str) -> bytes | None:
        """Return the scoring body that a version was saved with, if that is there and small."""
        return self._cache.read(digest, SERVING_EXAMPLE, max_bytes=_EXAMPLE_BYTES)

    def engine_name(self, key: VersionKey) -> str | None:
        """Return the word for what answers a version; ``None`` if it was never loaded."""
        if self._engines is None:
            return RUNNER
        return self._names.get(key, RUNNER) if key in self._forms else None

    @contextmanager
    def _prepared(self, record: VersionRecord, progress: Progress) -> Iterator[tuple[Path, Home]]:
        """Bring a version's files here, and find out in which environment it runs."""
        folder = self._cache.fetch(record, progress)
        if self._environments is None:
            yield folder, _SERVERS
            return
        with self._environments.claimed(folder, progress) as home:
            yield folder, home

    def _load_here(
        self, record: VersionRecord, folder: Path, progress: Progress, home: Home
    ) -> Loaded:
        """Load a version in the server's environment, and tell where that is another one."""
        if why := home.explain():
            _LOG.warning("%s: %s", name_version(record.key), why)
        try:
            return self._load(record, folder, progress)
        except LoadFailed as error:
            if error.is_transient or not why:
                raise
            raise LoadFailed(f"{error.reason} {why}", is_transient=False) from error

    def _replicate(self, record: VersionRecord, progress: Progress, first: Runner) -> Loaded:
        """Start as many more runners as there are to be: one by one, as everything is loaded."""
        count = self._replicas(record.key.model)
        form = self._forms.get(record.key)
        if form is not None:
            self._forms[record.key] = structs.replace(form, replicas=count)
        if count == 1:
            return first
        runners = [first]
        try:
            while len(runners) < count:
                runners.append(self._start_again(record, Progress(of=progress)))
        except BaseException:
            for runner in runners:
                runner.close()
            raise
        return Crew(runners, partial(self._start_again, record))

    def _load(self, record: VersionRecord, folder: Path, progress: Progress) -> Loaded:
        """Load a version in the server's environment."""
        if self._engines is None:
            self._note_form(record.key, Form("", "Engines are turned off here."))
            return self._start(record, folder, progress)
        if self._limits.merge_of.get(record.key.model) is False:
            why = "serving.merge_of has each request alone, and an engine answers several."
            self._note_form(record.key, Form("", why))
            return self._start(record, folder, progress)
        try:
            return self._find_form(record, folder, progress, self._engines)
        except OSError as error:
            _LOG.warning("no engine can be kept on this host: %s", error.strerror or error)
            return self._start(record, folder, progress)

    def _start_apart(
        self, record: VersionRecord, folder: Path, progress: Progress, home: Home
    ) -> Runner:
        """Load a version in an environment of its own: an engine would be proved by other code."""
        why = f"It runs in an environment of its own. {home.explain()}".rstrip()
        self._note_form(record.key, Form("", why))
        return self._start(record, folder, progress, home=home)

    def _find_form(
        self, record: VersionRecord, folder: Path, progress: Progress, engines: EngineStore
    ) -> Loaded:
        key = self._engine_key(record)
        kept = engines.find(key)
        if kept is not None:
            progress.enter(State.LOADING)
            return self._use(record, folder, kept, progress)
        with engines.claimed(key, progress) as room:
            kept = engines.find(key)
            if kept is None:
                return self._convert(record, folder, room, progress)
        progress.enter(State.LOADING)
        return self._use(record, folder, kept, progress)

    def _convert(
        self, record: VersionRecord, folder: Path, room: Path, progress: Progress
    ) -> Loaded:
        """Load a version, and have its process make an engine."""
        engines, key = self._engines, self._engine_key(record)
        if engines is None:
            return self._start(record, folder, progress)
        try:
            runner = self._start(record, folder, progress, engine_folder=room)
        except ConversionFailed as error:
            kept = engines.keep_failure(key, f"Making an engine of it failed: {error.reason}")
            return self._use(record, folder, kept, progress)
        try:
            kept = engines.keep(key, runner.ready)
        except OSError:
            runner.close()
            raise
        if kept.engine is None:
            self._note(record, kept)
            return runner
        runner.close()
        return self._use(record, folder, kept, progress)

    def _use(self, record: VersionRecord, folder: Path, kept: Kept, progress: Progress) -> Loaded:
        """Answer by the engine that is there, or by a runner if there is none."""
        self._note(record, kept)
        if kept.engine is None:
            return self._start(record, folder, progress)
        limits = Limits(self._limits.max_batch_rows, self._limits.queue.bounds)
        return EngineServable(
            record.key,
            kept.verdict,
            kept.engine,
            gathering=Gathering(kept.engine, measure(kept.engine), limits),
            runner=LazyRunner(partial(self._start_again, record)),
        )

    def _engine_key(self, record: VersionRecord) -> str:
        return key_of(record.key.digest, self._tolerance(record))

    def _tolerance(self, record: VersionRecord) -> float:
        return self._engines.onnx_tolerance(record.key.model) if self._engines else 0.0

    def _note(self, record: VersionRecord, kept: Kept) -> None:
        name, key = name_version(record.key), record.key
        if kept.engine is None:
            self._note_form(key, Form("", kept.verdict.why))
            self._names.pop(key, None)
            level = logging.WARNING if self._tolerance(record) else logging.INFO
            _LOG.log(level, "%s has no engine: %s", name, kept.verdict.why)
            return
        described = kept.engine.description
        form = Form(
            described.kind,
            "",
            way(described),
            methods_of(described),
            tolerance=tolerance_of(described),
            replicas=0,
        )
        self._note_form(key, form)
        self._names[key] = short_name(described)
        self._note_example(key, kept.verdict.example_why)
        _LOG.info("%s answers by the engine of %s (%s)", name, form.engine, form.way)

    def _note_form(self, key: VersionKey, form: Form) -> None:
        home = self._homes.get(key.digest, _SERVERS)
        self._forms[key] = structs.replace(
            form, environment=home.name, differences=home.differences
        )

    def _note_merging(self, runner: Runner) -> None:
        """Tell whether requests share calls, and why not."""
        merging = runner.merging
        if (form := self._forms.get(runner.key)) is not None:
            self._forms[runner.key] = structs.replace(
                form, merging=merging.which.value, merging_why=merging.why
            )
        told = f"{merging.which.value} share a call: {merging.why or 'its library goes by rows.'}"
        _LOG.info("requests for %s %s", name_version(runner.key), told)

    def _note_example(self, key: VersionKey, why: str) -> None:
        """Tell that the input example could not be read, if it could not."""
        if not why:
            return
        told = tidy(why)
        if (form := self._forms.get(key)) is not None:
            self._forms[key] = structs.replace(form, example_why=told)
        _LOG.warning("%s: %s", name_version(key), told)

    def _start_again(self, record: VersionRecord, progress: Progress) -> Runner:
        with self._prepared(record, progress) as (folder, home):
            return self._start(record, folder, progress, home=home)

    def _start(
        self,
        record: VersionRecord,
        folder: Path,
        progress: Progress,
        *,
        engine_folder: Path | None = None,
        home: Home = _SERVERS,
    ) -> Runner:
        return start_runner(
            record.key,
            folder,
            limits=structs.replace(self._limits, merge=self._limits.merge_of.get(record.key.model)),
            ground=structs.replace(
                self._ground,
                python=home.python,
                claim=home.claim,
                onnx_tolerance=self._tolerance(record),
            ),
            progress=progress,
            engine_folder=engine_folder,
        )
