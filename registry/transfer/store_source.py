"""What any server of MLflow's REST API tells, and what our own stores tell: one reader for both.

What that API does not show does not come: logged models that are deleted, and the time at which a
run was. Next hops: ``TrackingStore`` and ``RegistryStore``, over HTTP or over SQL.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from msgspec.structs import replace

from registry.limits import parse_version
from registry.search import PROMPT_TAG
from registry.store import RegistryStore
from registry.transfer.source import Broken, PastModel, PastVersion
from registry.transfer.version_sources import find_model_id
from registry.wire import ModelPage, ModelVersion, RegisteredModel, SearchRequest, VersionPage
from tracking.errors import EndpointMissing
from tracking.past import PastLoggedModel, PastRun
from tracking.store import TrackingStore
from tracking.wire import (
    Experiment,
    ExperimentPage,
    Metric,
    MetricPage,
    Run,
    RunPage,
    SearchExperiments,
    SearchRuns,
)
from tracking.wire_models import LoggedModelPage, SearchLoggedModels

_PAGE = 200
_VERSIONS_PAGE = 1_000
_CALLS_AT_ONCE = 8
_PROMPTS = f"tags.`{PROMPT_TAG}` = 'true'"


class Page(Protocol):
    """One page of anything."""

    @property
    def next_page_token(self) -> str | None:
        """What to ask the next one with."""


P = TypeVar("P", bound=Page)


class StoreSource:
    """A tracking store with its registry. For one thread.

    Args:
        name: What it is and where.
        tracking: Experiments and runs.
        registry: Models.
        are_searches_whole: Whether a search tells everything of a run. One of MLflow's leaves out
            which logged models it read.
    """

    folder = None

    def __init__(
        self,
        name: str,
        tracking: TrackingStore,
        registry: RegistryStore,
        *,
        are_searches_whole: bool,
    ) -> None:
        self.name = name
        self._are_searches_whole = are_searches_whole
        self._tracking = tracking
        self._registry = registry
        self._pool = ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="source")

    def experiments(self) -> Iterator[Experiment | Broken]:
        """See ``Source``."""

        def ask(token: str | None) -> ExperimentPage:
            return self._tracking.search_experiments(
                SearchExperiments(view_type="ALL", max_results=_PAGE, page_token=token)
            )

        for page in _pages(ask):
            yield from page.experiments

    def count_runs(self, experiment_id: str) -> int | None:  # noqa: ARG002 - nobody tells
        """See ``Source``."""
        return None

    def runs(self, experiment_id: str) -> Iterator[Sequence[PastRun | Broken]]:
        """See ``Source``."""

        def ask(token: str | None) -> RunPage:
            return self._tracking.search_runs(
                SearchRuns(
                    experiment_ids=[experiment_id],
                    run_view_type="ALL",
                    max_results=_PAGE,
                    page_token=token,
                )
            )

        for page in _pages(ask):
            runs: Iterable[Run] = page.runs
            if not self._are_searches_whole:
                runs = self._pool.map(self._tracking.run, [run.info.run_id for run in page.runs])
            yield [PastRun(run) for run in runs]

    def points(self, run: PastRun) -> Iterator[Sequence[Metric]]:
        """See ``Source``."""
        keys = [metric.key for metric in run.run.data.metrics]
        for first in self._pool.map(lambda key: self._history(run.id, key, None), keys):
            page = first
            yield page.metrics
            while page.next_page_token and page.metrics:
                page = self._history(run.id, page.metrics[0].key, page.next_page_token)
                yield page.metrics

    def logged_models(self, experiment_id: str) -> Iterator[PastLoggedModel | Broken]:
        """See ``Source``. A server older than logged models has none."""

        def ask(token: str | None) -> LoggedModelPage:
            return self._tracking.search_logged_models(
                SearchLoggedModels(experiment_ids=[experiment_id], max_results=50, page_token=token)
            )

        try:
            for page in _pages(ask):
                yield from (PastLoggedModel(model) for model in page.models)
        except EndpointMissing:
            return

    def models(self) -> Iterator[PastModel | Broken]:
        """See ``Source``. Prompts are models that a search shows only to who asks for them."""
        found = {m.name: m for words in (None, _PROMPTS) for m in self._search_models(words)}
        versions: dict[str, list[ModelVersion]] = {}
        for words in (None, _PROMPTS):
            for version in self._search_versions(words):
                versions.setdefault(version.name, []).append(version)
        for name, model in sorted(found.items()):
            numbered = {parse_version(v.version): v for v in versions.get(name, [])}
            yield PastModel(
                model=model,
                versions=[self._past_version(v) for _, v in sorted(numbered.items())],
                last_version=max(numbered, default=0),
            )

    def left_out(self) -> Mapping[str, int]:
        """See ``Source``. Nobody is asked for traces: a count of them is not cheap."""
        return {}

    def close(self) -> None:
        """See ``Source``."""
        self._pool.shutdown(cancel_futures=True)

    def _history(self, run_id: str, key: str, token: str | None) -> MetricPage:
        return self._tracking.metric_history(run_id, key, page_token=token)

    def _search_models(self, words: str | None) -> Iterator[RegisteredModel]:
        def ask(token: str | None) -> ModelPage:
            request = SearchRequest(filter=words, max_results=_PAGE, page_token=token)
            return self._registry.search_models(request)

        for page in _pages(ask):
            yield from page.registered_models

    def _search_versions(self, words: str | None) -> Iterator[ModelVersion]:
        def ask(token: str | None) -> VersionPage:
            request = SearchRequest(filter=words, max_results=_VERSIONS_PAGE, page_token=token)
            return self._registry.search_versions(request)

        for page in _pages(ask):
            yield from page.model_versions

    def _past_version(self, version: ModelVersion) -> PastVersion:
        files = self._registry.download_uri(version.name, version.version)
        named = version.model_id or find_model_id(version.source or "")
        return PastVersion(replace(version, model_id=named), files)


def _pages(ask: Callable[[str | None], P]) -> Iterator[P]:
    """Yield page after page."""
    token: str | None = None
    while True:
        page = ask(token)
        yield page
        token = page.next_page_token
        if not token:
            return
