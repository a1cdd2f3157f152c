"""The control plane: all handlers, and what they ask for by name. Made by ``gateway.app``."""

from collections.abc import Callable
from typing import Any, Protocol

from litestar import Litestar, Request
from litestar.di import Provide

from gateway.api import health, metrics
from gateway.api.admin import models as admin_models
from gateway.api.health import Readiness
from gateway.api.mlflow import (
    artifact_pages,
    artifact_transfers,
    experiments,
    logged_models,
    model_versions,
    registered_models,
    runs,
    server_info,
    webhooks,
)
from gateway.api.mlflow import artifacts as artifact_handlers
from gateway.api.mlflow import metrics as metric_handlers
from gateway.api.mlflow.decoding import mlflow_router
from gateway.api.own_router import OwnRouter
from gateway.api.refusals import EXCEPTION_HANDLERS
from gateway.api.schema import StructSchemas, front_door, openapi_config
from gateway.delivery.promoter import Promoter
from gateway.delivery.webhooks import Webhooks
from gateway.serving.loader import Form
from gateway.settings import Settings
from registry.sql_store import SqlRegistryStore
from tracking.artifacts import ArtifactStore
from tracking.store import TrackingStore

ADMIN_HANDLERS = admin_models.HANDLERS
"""Promotion and traffic: our own routes, each with its permission."""

SERVER_HANDLERS = [*health.HANDLERS, *metrics.HANDLERS]
"""What the server says of itself."""

MLFLOW_HANDLERS = [
    *experiments.HANDLERS,
    *runs.HANDLERS,
    *metric_handlers.HANDLERS,
    *artifact_handlers.HANDLERS,
    *artifact_pages.HANDLERS,
    *artifact_transfers.HANDLERS,
    *logged_models.HANDLERS,
    *server_info.HANDLERS,
    *registered_models.HANDLERS,
    *model_versions.HANDLERS,
    *webhooks.HANDLERS,
]
"""The routes that MLflow's clients call, each with its permission."""

LOCAL_NAME = "local"
"""Who acts when auth is off."""


class Served(Protocol):
    """What the control plane needs of a worker."""

    settings: Settings
    registry: SqlRegistryStore
    delivery: Promoter
    webhooks: Webhooks

    @property
    def tracking(self) -> TrackingStore:
        """Where runs are kept."""

    @property
    def artifacts(self) -> ArtifactStore:
        """Where files are kept."""

    def lifespan(self, app: Litestar) -> Any:
        """Start and stop what answers."""

    def readiness(self) -> Readiness:
        """Say whether this worker should get traffic."""

    def forms(self, model: str) -> dict[int, Form]:
        """Say in which form each version of a model answers."""

    def is_sealed(self, path: str) -> bool:
        """Say whether a path is closed to writes."""


def make_control(worker: Served) -> Litestar:
    """Return the control plane, with what its handlers ask for by name."""
    prefix = worker.settings.server.static_prefix.rstrip("/")
    return Litestar(
        # In a router: given one by one, handlers of one path are registered once for each that
        # follows, and Litestar wraps a sync one anew each time.
        [
            OwnRouter("/", route_handlers=ADMIN_HANDLERS, tags=["routes of models"]),
            OwnRouter("/", route_handlers=[front_door(prefix), *SERVER_HANDLERS], tags=["server"]),
            mlflow_router(MLFLOW_HANDLERS),
        ],
        dependencies={
            "tracking": _given(worker.tracking),
            "artifacts": _given(worker.artifacts),
            "sealed": _given(worker.is_sealed),
            "readiness": _given(worker.readiness),
            "settings": _given(worker.settings),
            "delivery": _given(worker.delivery),
            "webhooks": _given(worker.webhooks),
            "forms": _given(worker.forms),
            "actor": Provide(_actor, sync_to_thread=False),
            "registry": Provide(_registry_of(worker), sync_to_thread=False),
        },
        lifespan=[worker.lifespan],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=openapi_config(prefix),
        plugins=[StructSchemas()],
        request_max_body_size=None,
        logging_config=None,
    )


def _given(value: Any) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


def _actor(request: Request[Any, Any, Any]) -> str:
    principal = request.scope["state"].get("principal")
    return LOCAL_NAME if principal is None else str(principal.name)


def _registry_of(worker: Served) -> Callable[[Any], SqlRegistryStore]:
    def registry(request: Request[Any, Any, Any]) -> SqlRegistryStore:
        return worker.registry.acting_as(_actor(request))

    return registry
