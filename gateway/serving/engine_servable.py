"""A version that answers inside the worker, by its engine: a Servable.

Calls that the engine does not cover go to the model's own process. On the event loop; next hops:
``gathering`` for the engine, ``lazy_runner`` for the rest.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from gateway.serving.engines.in_worker import InWorker
from gateway.serving.engines.refusal import Refused, refusal
from gateway.serving.engines.store import Verdict
from gateway.serving.gathering import Gathering, Waiter
from gateway.serving.lazy_runner import LazyRunner
from gateway.serving.memory import object_bytes, process_bytes
from gateway.serving.metering import CallMeter
from registry.asking import check_method, no_documents, read_question
from registry.route import VersionKey
from registry.tensors import DOCUMENT, Batch, Prediction


class EngineServable:
    """Event loop only, but for ``close``. It does not die.

    Args:
        key: The version.
        verdict: What its process told of the model when the engine was made.
        engine: Answers.
        gathering: Who waits for it.
        runner: Answers the rest.
    """

    def __init__(
        self,
        key: VersionKey,
        verdict: Verdict,
        engine: InWorker,
        *,
        gathering: Gathering,
        runner: LazyRunner,
    ) -> None:
        self.key = key
        self.signature = verdict.signature
        self.flavor = verdict.flavor
        self.warm_calls = verdict.warm_calls
        self.runner = runner
        self._engine = engine
        self._methods = verdict.methods
        self._row_form = verdict.row_form
        self._default_method = engine.default_method
        self._gathering = gathering
        self._meter = gathering.meter = CallMeter(self)
        self._engine_bytes = 0

    async def attach(self, on_death: Callable[[str], None]) -> None:
        """Begin to answer; nothing of it can die."""

    async def predict(
        self, batch: Batch, params: Mapping[str, Any], deadline_s: float = math.inf
    ) -> Prediction:
        """Answer one request's rows.

        Raises:
            InvalidRequest: The params ask for what the model lacks, or are of other types; or there
                is text where it takes numbers.
            ModelFailed: The model raises on these rows.
            Overloaded: Too much waits for this model.
            DeadlineExceeded: The request's time was over.
            StagedoorError: As its runner answers, where the engine does not.
        """
        if self._row_form is not None:
            self._row_form.check(batch, params)
        method = self._default_method
        if params:
            method = self._read_method(params)
            if not self._engine.takes(method):
                return await self.runner.predict(batch, params, deadline_s)
        try:
            rows = self._engine.arrange(batch)
        except Refused as error:
            raise refusal(error, method, batch.rows) from None
        if rows is None:
            return await self.runner.predict(batch, params, deadline_s)
        return await self._gathering.ask(rows, method, deadline_s)

    def ask(self, batch: Batch, params: Mapping[str, Any], waiter: Waiter) -> bool:
        """Let a waiter be told the answer; say whether that is for the engine to give at all.

        Raises:
            Overloaded: Too much waits for this model.
        """
        if params:
            return False
        try:
            rows = self._engine.arrange(batch)
        except Refused:
            return False
        if rows is None:
            return False
        self._gathering.add(rows, self._default_method, waiter)
        return True

    def _read_method(self, params: Mapping[str, Any]) -> str:
        """Return the method that is asked for; refuse at once what its process would refuse.

        Raises:
            InvalidRequest: The model has no such method, or takes no such params or documents.
        """
        specs = () if self.signature is None else self.signature.params
        method = read_question(params, self._default_method, specs).method
        if params.get(DOCUMENT):
            raise no_documents()
        if self._methods is not None:
            check_method(method, self._methods)
        return method

    def check_admission(self, rows: int = 0, deadline_s: float = math.inf) -> None:
        """Let everybody in: what comes in one turn of the loop is answered in it."""

    def memory_bytes(self) -> int:
        """Return what the engine takes, and the process beside it if there is one now. Blocking."""
        if not self._engine_bytes:
            self._engine_bytes = object_bytes((self._engine, self.signature))
        pid = self.runner.pid
        return self._engine_bytes + (0 if pid is None else process_bytes(pid))

    def close(self) -> None:
        """Free everything. Safe from any thread."""
        self._meter.flush()
        self._gathering.close()
        self.runner.close()
