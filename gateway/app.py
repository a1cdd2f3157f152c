"""Where everything of a worker is wired: the one module that knows all the others.

``run_worker`` is what the supervisor runs in each forked child; it blocks until SIGTERM.
"""

import asyncio
import gc
import logging
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from litestar import Litestar

from gateway.api.control import (
    LOCAL_NAME,
    make_control,
)
from gateway.api.health import Readiness
from gateway.api.mlflow.short_way import ShortWay
from gateway.api.permissions import RoutePermissions, check_permissions
from gateway.asgi import App
from gateway.auth.door import Door
from gateway.auth.hosts import host_policy
from gateway.auth.tokens import TokenBook, server_secret
from gateway.delivery.egress import Egress
from gateway.delivery.egress_rules import parse_networks
from gateway.delivery.preload import parse_preload
from gateway.delivery.presence import read_liveness, row_of
from gateway.delivery.promoter import Promoter
from gateway.delivery.reconciler import Following, Reconciler
from gateway.delivery.secret_box import SecretBox
from gateway.delivery.webhook_sender import Pace, WebhookSender
from gateway.delivery.webhooks import Webhooks
from gateway.dispatch import Dispatch
from gateway.grpc_server import GrpcServer
from gateway.http_server import DoorConfig, DoorServer
from gateway.opening import Opening
from gateway.place import Place
from gateway.predict import Predict
from gateway.repository import Repository
from gateway.routing.required import why_unready
from gateway.routing.table import RouteTable
from gateway.serving.budget import Budget
from gateway.serving.cache import Cache
from gateway.serving.engine_metrics import EngineMetrics
from gateway.serving.engines.store import EngineStore
from gateway.serving.environments.store import Environments
from gateway.serving.launch import RunnerLimits
from gateway.serving.loader import Form, Loader
from gateway.serving.manager import Manager
from gateway.serving.memory import available_bytes, worker_budget
from gateway.serving.observing import StateMetrics
from gateway.serving.pacing import queue_limits
from gateway.serving.policy import Retention
from gateway.settings import Settings
from gateway.tracing import start_tracing
from gateway.watching import Watcher
from gateway.worker import WorkerIdentity
from registry.ledger import RouteLedger
from registry.references import parse_model_uri
from registry.sealing import is_sealed, read_manifest, seal_version
from registry.sql_store import SqlRegistryStore
from tracking.artifacts import open_artifacts
from tracking.clock import now_ms
from tracking.database import open_database
from tracking.errors import InvalidRequest
from tracking.sql_store import SqlTrackingStore
from tracking.struct_types import make_ready

_LOG = logging.getLogger("stagedoor.worker")

_SWITCH_INTERVAL_S = 5e-4


class Worker:
    """One worker's parts, and how they start and stop. Made in the forked child, before its loop.

    Args:
        settings: The server's.
        identity: Who this worker is.
    """

    def __init__(self, settings: Settings, identity: WorkerIdentity) -> None:
        self.settings = settings
        self.identity = identity
        self.is_draining = False
        self.table = RouteTable()
        timeout_s = settings.registry.switch_timeout_s
        self.database = open_database(settings.storage.backend_store_uri)
        self.artifacts = open_artifacts(settings.storage.artifacts_destination)
        self.tracking = SqlTrackingStore(
            self.database, default_artifact_root=settings.storage.default_artifact_root
        )
        self.registry = SqlRegistryStore(
            self.database, seal=self._seal, actor=LOCAL_NAME, switch_timeout_s=timeout_s
        )
        self.ledger = RouteLedger(self.database, switch_timeout_s=timeout_s)
        self.state_metrics = StateMetrics()
        self.watcher = Watcher()
        self.manager = self._make_manager()
        self.engine_metrics = EngineMetrics(self.loader.engine_name)
        self.reconciler = Reconciler(
            self.ledger,
            self.manager,
            identity,
            self._publish,
            on_serving=lambda: self.opening.open(),  # noqa: PLW0108  # it comes later
            following=_following(settings),
        )
        self.delivery = Promoter(
            self.database,
            self.ledger,
            wake=self.reconciler.wake,
            read_live=self._read_live,
            seal=self._seal,
            switch_timeout_s=timeout_s,
        )
        predict = self._make_predict()
        self.opening = Opening(predict, patience_s=settings.serving.load_timeout_s)
        self.tokens = TokenBook(self.database) if settings.auth.enabled else None
        self.egress, self.webhooks, self.sender = self._make_webhooks()
        self.door, self.grpc = self._make_edges(predict)

    def application(self) -> Dispatch:
        """Return the callable that the HTTP server runs."""
        control = make_control(self)
        check_permissions(control)
        return Dispatch(
            self.opening,
            ShortWay(cast("App", control), self.tracking),
            self.door,
            permission_of=RoutePermissions(control),
            worker_id=self.identity.id,
            static_prefix=self.settings.server.static_prefix,
        )

    def _make_edges(self, predict: Predict) -> tuple[Door, GrpcServer | None]:
        """Return the door, and beside the HTTP server, which is made of it later, gRPC's if set."""
        server, limit = self.settings.server, self.settings.serving.max_body_bytes
        door = Door(
            hosts=host_policy(server.host, server.allowed_hosts),
            callers=self.tokens,
            max_body_bytes=limit,
            max_upload_bytes=self.settings.limits.max_upload_bytes,
        )
        if not server.grpc_port:
            return door, None
        host = f"[{server.host}]" if ":" in server.host else server.host
        address = f"{host}:{server.grpc_port}"
        return door, GrpcServer(predict, door, address, max_body_bytes=limit, watcher=self.watcher)

    async def _start_grpc(self) -> None:
        """Listen for gRPC once this worker serves: there is no port to probe before."""
        while not await asyncio.to_thread(self.reconciler.wait_until_serving, 1.0):
            if self.is_draining:
                return
        if self.grpc is None:
            return
        try:
            await self.grpc.start()
        except InvalidRequest as error:
            _LOG.error("gRPC is not served: %s", error.message)

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Start what runs beside the requests, and stop it after the last one.

        A worker that joins others accepts nothing before it has loaded what is committed; the first
        one accepts at once, and says that it is not ready.
        """
        self.manager.start()
        self.opening.start()
        if self.tokens is not None:
            self.tokens.start()
        tracer = await asyncio.to_thread(
            start_tracing, self.settings.tracing, self.identity.id, self._secret
        )
        self.watcher.tracer = tracer
        joins_others = self._others_serve()
        self.reconciler.start()
        self.sender.start()
        if joins_others:
            patience_s = self.settings.registry.switch_timeout_s
            await asyncio.to_thread(self.reconciler.wait_until_serving, patience_s)
        grpc_starting = asyncio.create_task(self._start_grpc()) if self.grpc else None
        _tune_interpreter()
        yield
        if self.grpc is not None and grpc_starting is not None:
            grpc_starting.cancel()
            await self.grpc.stop(self.settings.serving.drain_timeout_s)
        if self.tokens is not None:
            self.tokens.close()
        if tracer is not None:
            await asyncio.to_thread(tracer.close)
        await asyncio.to_thread(self.sender.stop)
        self.egress.close()
        await asyncio.to_thread(self.reconciler.stop)
        await self.manager.close(drain_timeout_s=self.settings.serving.drain_timeout_s)
        self.database.close()

    def readiness(self) -> Readiness:
        """Say whether this worker should get traffic."""
        if self.is_draining:
            return Readiness(is_ready=False, reason="draining")
        why = self.reconciler.why_unready()
        if not why:
            required = self.settings.health.required_models
            why = why_unready(self.table, required, self.manager.is_ready)
        return Readiness(is_ready=not why, reason=why)

    def drain(self) -> None:
        """Note that this worker is about to stop; called from a signal handler."""
        self.is_draining = True

    def forms(self, model: str) -> dict[int, Form]:
        """Say in which form each version of a model that is ready here answers."""
        found = {
            key.version: self.loader.form(key)
            for key in self.manager.ready_keys()
            if key.model == model
        }
        return {number: form for number, form in found.items() if form is not None}

    def is_sealed(self, path: str) -> bool:
        """Say whether a path belongs to a sealed version, and is closed to writes."""
        with self.database.read() as connection:
            return is_sealed(connection, path)

    def _make_manager(self) -> Manager:
        self._counting = threading.Lock()
        serving = self.settings.serving
        cache_dir = Path(self.settings.storage.cache_dir).expanduser()
        cache = Cache(cache_dir / "models", self.artifacts, find_manifest=self._find_manifest)
        total_bytes = worker_budget(serving.memory_budget_bytes, self.settings.server.workers)
        model_bytes = serving.model_memory_bytes or available_bytes()
        limits = RunnerLimits(
            load_timeout_s=serving.load_timeout_s,
            predict_timeout_s=serving.predict_timeout_s,
            max_batch_rows=serving.max_batch_rows,
            warm_calls=serving.warmup_requests,
            max_answer_bytes=serving.max_answer_bytes,
            memory_bytes=model_bytes,
            queue=queue_limits(self.settings.overload),
            merge_of=serving.merging,
        )
        engines_dir, tolerance = cache_dir / "engines", serving.onnx_tolerance_for
        engines = EngineStore(engines_dir, tolerance) if serving.engines else None
        environments = Environments(cache_dir / "environments", self.settings.environments)
        scratch = cache_dir / "scratch"
        self.loader = Loader(
            cache,
            limits,
            scratch,
            engines=engines,
            environments=environments,
            replicas=serving.replicas_for,
        )
        retention = Retention(window_s=serving.rollback_window_s)
        idle_s = serving.idle_unload_s
        budget = Budget(total_bytes, idle_unload_s=idle_s, model_bytes=model_bytes)
        return Manager(self.loader, self._on_change, retention=retention, budget=budget)

    def _make_webhooks(self) -> tuple[Egress, Webhooks, WebhookSender]:
        hooks = self.settings.webhooks
        networks = parse_networks(hooks.allowed_networks)
        egress = Egress(hooks.allowed_schemes, networks, timeout_s=hooks.timeout_s)
        box = SecretBox(hooks.encryption_keys, self._secret)
        sender = WebhookSender(
            self.database,
            self.identity.id,
            egress,
            box,
            may_send=lambda: self.reconciler.is_serving and not self.is_draining,
            pace=Pace(
                poll_interval_s=hooks.poll_interval_ms / 1000,
                timeout_s=hooks.timeout_s,
                give_up_after_s=hooks.give_up_after_s,
            ),
        )
        return egress, Webhooks(self.database, egress, box), sender

    def _make_predict(self) -> Predict:
        default = self.settings.server.default_model
        return Predict(
            lambda: self.table,
            self.manager,
            self.reconciler.demand.ask,
            lambda: self.readiness().reason,
            Place(
                worker=self.identity.id,
                default=parse_model_uri(default) if default else None,
                load_timeout_s=self.settings.serving.load_timeout_s,
                watcher=self.watcher,
                max_timeout_s=self.settings.overload.max_timeout_s,
                max_requests=self.settings.overload.max_requests,
                max_bytes=self.settings.overload.max_bytes,
                quota=self.settings.quota,
            ),
            shelf=Repository(
                lambda: self.table,
                self.manager.view,
                self.reconciler.demand.drop,
                example=self.loader.serving_example,
                prefix=self.settings.server.static_prefix,
            ),
        )

    def _secret(self) -> bytes:
        return server_secret(self.database)

    def _on_change(self) -> None:
        with self._counting:  # an older view must not be counted after a newer one
            news = self.manager.take_news()
            self.state_metrics.follow(*news)
            self.engine_metrics.follow(*news)
        self.reconciler.demand.settle()
        self.reconciler.wake()

    def _publish(self, table: RouteTable) -> None:
        self.table = table

    def _seal(self, model: str, version: int) -> None:
        seal_version(self.database, self.artifacts, model, version)

    def _find_manifest(self, key: Any) -> Any:
        with self.database.read() as connection:
            return read_manifest(connection, key)

    def _read_live(self) -> Callable[..., bool]:
        mine = row_of(self.identity, now_ms=now_ms())
        return read_liveness(mine, self.identity.run_dir, now_ms=now_ms())

    def _others_serve(self) -> bool:
        return self.ledger.has_serving(self._read_live())


def run_worker(settings: Settings, listening: socket.socket, identity: WorkerIdentity) -> None:
    """Serve until SIGTERM. Called by the supervisor, in the child."""
    worker = Worker(settings, identity)
    server = DoorServer(DoorConfig(worker.application(), settings), on_drain=worker.drain)
    make_ready()
    server.run(sockets=[listening])


def _following(settings: Settings) -> Following:
    preload = parse_preload(settings.serving.preload)
    return Following(settings.registry.poll_interval_ms / 1000, preload)


def _tune_interpreter() -> None:
    """Keep what is there for good out of garbage collection, collect less often, switch sooner.

    A request makes some thirty objects and leaves no cycles; with Python's defaults the collector
    takes a tenth of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    # A load's thread hands the interpreter over after 0.5 ms instead of 5: requests wait for it.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
