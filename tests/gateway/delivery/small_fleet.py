"""Workers without processes: real reconcilers and managers over a real database, in one loop."""

import asyncio
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from sqlalchemy import text

from gateway.delivery.presence import read_liveness, row_of
from gateway.delivery.promoter import Promoter
from gateway.delivery.reconciler import Following, Reconciler
from gateway.routing.table import RouteTable
from gateway.serving.failure import LoadFailed
from gateway.serving.manager import Manager
from gateway.serving.progress import Progress
from gateway.serving.states import State
from gateway.worker import WorkerIdentity, hold_liveness, lock_file_of
from registry.fleet import IsLive
from registry.ledger import RouteLedger
from registry.route import Route, VersionKey, VersionRecord
from registry.signature import Signature
from registry.sql_store import SqlRegistryStore
from registry.tensors import Batch, Prediction
from registry.wire import CreateModel, CreateVersion, TransitionStage
from tracking.clock import now_ms
from tracking.database import open_database

SOURCE = "s3://bucket/m"
DEADLINE_S = 20.0


class Echo:
    """Answers with the rows it got."""

    def __init__(self, key: VersionKey) -> None:
        self.key = key
        self.signature: Signature | None = None

    async def attach(self, on_death: Callable[[str], None]) -> None:
        """Need nothing."""

    async def predict(
        self, batch: Batch, params: Mapping[str, Any], deadline_s: float = math.inf
    ) -> Prediction:
        del params, deadline_s
        return Prediction(names=("output",), arrays=batch.arrays)

    def check_admission(self, rows: int = 0, deadline_s: float = math.inf) -> None:
        """Let everybody in."""

    def close(self) -> None:
        """Hold nothing."""


class SmallWorker:
    """One worker: its lock, its manager, its reconciler, and the table it has published.

    Args:
        uri: The database.
        run_dir: Where locks are.
        index: Which worker it is.
        broken: Versions that fail to load here, and why.
    """

    def __init__(self, uri: str, run_dir: Path, index: int, broken: dict[int, str]) -> None:
        name = f"worker-{index}"
        path = lock_file_of(run_dir, name)
        self.lock = hold_liveness(path)
        self.identity = WorkerIdentity(name, index, "here", os.getpid(), str(path), str(run_dir))
        self.broken = broken
        self.database = open_database(uri)
        self.ledger = RouteLedger(self.database, switch_timeout_s=30.0)
        # A lambda, because the reconciler is made after it.
        self.manager = Manager(self._load, lambda: self.reconciler.wake())  # noqa: PLW0108
        self.table = RouteTable()
        self.reconciler = Reconciler(
            self.ledger, self.manager, self.identity, self._publish, following=Following(0.01)
        )

    def start(self) -> None:
        self.manager.start()
        self.reconciler.start()

    def die(self) -> None:
        """Stop without a word, as if killed."""
        self.reconciler._stopping.set()  # noqa: SLF001  # a kill says nothing to the fleet
        os.close(self.lock)

    def promoter(self) -> Promoter:
        return Promoter(
            self.database,
            self.ledger,
            wake=self.reconciler.wake,
            read_live=self.read_live,
            seal=lambda _model, _version: None,
            switch_timeout_s=10.0,
        )

    def read_live(self) -> IsLive:
        mine = row_of(self.identity, now_ms=now_ms())
        return read_liveness(mine, self.identity.run_dir, now_ms=now_ms())

    def route(self, model: str = "A") -> Route | None:
        entry = self.table.models.get(model)
        return None if entry is None else entry.route

    def _publish(self, table: RouteTable) -> None:
        self.table = table

    def _load(self, record: VersionRecord, progress: Progress) -> Echo:
        for state in (State.VERIFYING, State.LOADING):
            progress.enter(state)
        why = self.broken.get(record.key.version)
        if why is not None:
            raise LoadFailed(why, is_transient=False)
        return Echo(record.key)


class SmallFleet:
    """Two workers and a registry with one model of three versions."""

    def __init__(self, uri: str, folder: Path) -> None:
        self.broken: dict[int, str] = {}
        self.workers = [SmallWorker(uri, folder, index, self.broken) for index in range(2)]
        self.database = open_database(uri)
        self.store = SqlRegistryStore(self.database, seal=self._seal, actor="ann")
        self.store.create_model(CreateModel(name="A"))
        for _ in range(3):
            self.store.create_version(CreateVersion(name="A", source=SOURCE))

    async def __aenter__(self) -> Self:
        for worker in self.workers:
            worker.start()
        await self.until(lambda: all(worker.reconciler.is_serving for worker in self.workers))
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self.workers:
            await asyncio.to_thread(worker.reconciler.stop)
            await worker.manager.close(drain_timeout_s=1.0)
            worker.database.close()
        self.database.close()

    def move(self, version: int, stage: str) -> None:
        self.store.transition_stage(TransitionStage(name="A", version=str(version), stage=stage))

    async def until(self, claim: Callable[[], bool]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + DEADLINE_S
        while not claim():
            if time.monotonic() > deadline:
                raise TimeoutError
            await asyncio.sleep(0.005)  # the poll of a test

    async def until_all_serve(self, route: Route) -> None:
        await self.until(lambda: all(worker.route() == route for worker in self.workers))

    def _seal(self, model: str, version: int) -> None:
        sealed = text("UPDATE model_version SET digest = :d WHERE model = :m AND version = :v")
        values = {"d": f"digest-{version}", "m": model, "v": version}
        self.database.write(lambda connection: connection.execute(sealed, values) and None)
