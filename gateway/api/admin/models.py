"""Promotion, rollback, traffic and status of a model: the part of the control plane that is ours.

Thin: decode, one call of ``delivery.promoter``, return. Handlers run in the thread pool, where a
caller may wait for all workers.
"""

from collections.abc import Callable

from litestar import delete, get, post, put
from msgspec.structs import replace

from gateway.auth.policy import Permission
from gateway.delivery.promoter import (
    Promoter,
    PromoteRequest,
    PromotionReport,
    RollbackRequest,
    TrafficReport,
    TrafficRequest,
)
from gateway.delivery.status import RouteReport
from gateway.serving.loader import Form

Forms = Callable[[str], dict[int, Form]]
"""In which form each version of a model answers here."""

_MODEL = "/admin/models/{name:str}"
_READ = {"permission": Permission.READ}
_PROMOTE = {"permission": Permission.PROMOTE}


@get(_MODEL, sync_to_thread=True, opt=_READ)
def model_status(name: str, delivery: Promoter, forms: Forms) -> RouteReport:
    """Show what is wanted of a model's route, what is committed, and what each worker serves."""
    return replace(delivery.status(name), engines=forms(name))


@post(f"{_MODEL}/promote", status_code=200, sync_to_thread=True, opt=_PROMOTE)
def promote(name: str, data: PromoteRequest, delivery: Promoter, actor: str) -> PromotionReport:
    """Move a version up; stage and route change together, once every worker is prepared."""
    return delivery.promote(name, data, actor)


@post(f"{_MODEL}/rollback", status_code=200, sync_to_thread=True, opt=_PROMOTE)
def rollback(
    name: str, delivery: Promoter, actor: str, data: RollbackRequest | None = None
) -> PromotionReport:
    """Bring the previous Production version back."""
    return delivery.rollback(name, data or RollbackRequest(), actor)


@get(f"{_MODEL}/traffic", sync_to_thread=True, opt=_READ)
def traffic(name: str, delivery: Promoter) -> TrafficReport:
    """Show how a model's traffic is split."""
    return delivery.traffic(name)


@put(f"{_MODEL}/traffic", sync_to_thread=True, opt=_PROMOTE)
def set_traffic(name: str, data: TrafficRequest, delivery: Promoter, actor: str) -> TrafficReport:
    """Give the candidate a share of the traffic, in basis points."""
    return delivery.set_traffic(name, data, actor)


@delete(f"{_MODEL}/traffic", status_code=200, sync_to_thread=True, opt=_PROMOTE)
def end_traffic(name: str, delivery: Promoter, actor: str) -> TrafficReport:
    """Give all of the traffic back to Production."""
    return delivery.end_traffic(name, actor)


HANDLERS = [model_status, promote, rollback, traffic, set_traffic, end_traffic]
