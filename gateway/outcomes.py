"""Predict requests without an answer: how their callers are told, and how they are counted.

Called by ``predict`` and ``grpc_server`` on the event loop.
"""

from msgspec import Struct

from gateway.asgi import Headers, Send, send_answer
from gateway.errors import Refusal, render
from gateway.lines import Asked
from gateway.metrics import RequestLabels, observe_request, observe_shed
from gateway.protocols.call import ProtocolName
from gateway.protocols.wires import JSON, WIRES
from gateway.queue_metrics import observe_cancelled, observe_deadline_exceeded
from gateway.serving.admission import Shed
from gateway.serving.failure import Overloaded
from tracking.errors import DeadlineExceeded, QuotaExceeded, Unavailable

LEFT = "499"
"""The code that requests are counted under whose caller has left; nobody is told it."""


class Failure(Struct, frozen=True):
    """A request that is not answered.

    Args:
        error: Why.
        asked: What stood in its head, as far as that was read.
        protocol: In which shape its caller is told.
        request_id: Ours.
        started_s: When it came.
    """

    error: Exception
    asked: Asked | None
    protocol: ProtocolName
    request_id: str
    started_s: float


async def tell(failure: Failure, send: Send, headers: Headers) -> Refusal:
    """Tell the caller why a request is not answered; return what was told.

    Args:
        failure: Why.
        send: ASGI's.
        headers: Which request it is, and who was to answer it.
    """
    refusal = render(failure.error, failure.request_id)
    wire = WIRES[failure.protocol]
    reply = wire.render_error(refusal.status, refusal.code, refusal.message, refusal.request_id)
    await send_answer(send, refusal.status, reply, [JSON, *refusal.headers(), *headers])
    return refusal


def observe_refusal(
    labels: RequestLabels, error: BaseException, status: int, seconds: float
) -> None:
    """Count a request that was refused or has failed.

    Args:
        labels: What it is counted under.
        error: Why.
        status: What the caller is told.
        seconds: How long it took.
    """
    if isinstance(error, Overloaded):
        observe_shed(labels.model, error.shed)
        if error.shed is Shed.LATE:
            observe_deadline_exceeded(labels.model, "waiting")
    elif isinstance(error, QuotaExceeded):
        observe_shed(labels.model, "quota")
    elif isinstance(error, Unavailable):
        observe_shed(labels.model, "not_ready")
    elif isinstance(error, DeadlineExceeded):
        observe_deadline_exceeded(labels.model, "running")
    observe_request(labels, str(status), seconds)


def observe_departure(labels: RequestLabels, reason: str, seconds: float) -> None:
    """Count a request whose caller has left: ``disconnected`` or ``cancelled``."""
    observe_cancelled(labels.model, reason)
    observe_request(labels, LEFT, seconds)
