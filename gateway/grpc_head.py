"""What stands in the metadata of a gRPC call, both ways, as in the headers over HTTP.

Called by ``grpc_server`` on the event loop. A caller's key, time and priority are read by the code
that reads them from headers; who answered is told in the trailers, where a refusal's code is, too.
"""

from typing import Any

from msgspec.structs import replace

from gateway.asgi import Headers, Scope
from gateway.auth.policy import Principal
from gateway.lines import Asked, read_asked
from gateway.protocols.call import Call
from gateway.protocols.v2_request import ROUTING_KEY

_OURS = "stagedoor-"
_OURS_BYTES = _OURS.encode()


def read_head(call: Call, parsed: Any, scope: Scope, request_id: str) -> Asked:
    """Read what is asked beside the tensors; a sticky key in the metadata goes before the body's.

    Args:
        call: What is asked for.
        parsed: The request.
        scope: Of the call that it came by.
        request_id: Ours.
    """
    asked = read_asked(call, scope, request_id)
    if asked.key or ROUTING_KEY not in parsed.parameters:
        return asked
    return replace(asked, key=parsed.parameters[ROUTING_KEY].string_param.encode())


def scope_of(context: Any, principal: Principal | None) -> Scope:
    """Return of a call what of a request's scope tells about its caller.

    Only our own headers are in it: the others say nothing about a message's tensors.
    """
    machine, _, _port = str(context.peer()).rpartition(":")
    headers = [
        (key.encode(), value.encode() if isinstance(value, str) else value)
        for key, value in context.invocation_metadata() or ()
        if key.startswith(_OURS)
    ]
    return {"headers": headers, "client": (machine, 0), "state": {"principal": principal}}


def tell_who(context: Any, headers: Headers, fallback: str = "") -> None:
    """Have a call end with what the headers of an answer say about who answered.

    Args:
        context: The call's.
        headers: Of the answer.
        fallback: Why stable answered in the candidate's place, or empty.
    """
    told = [(n.decode(), value.decode()) for n, value in headers if n.startswith(_OURS_BYTES)]
    if fallback:
        told.append(("stagedoor-fallback", fallback))
    context.set_trailing_metadata(tuple(told))
