"""What goes back to who asked: answers and names. Small parts of ``predict``."""

from msgspec import Struct

from gateway.asgi import Scope
from gateway.auth.policy import allows
from gateway.protocols.call import Call
from gateway.protocols.wires import Encoded
from gateway.routing.table import Assignment
from tracking.errors import PermissionDenied


class Answer(Struct, frozen=True, gc=False):
    """What goes back: who answered, and the bytes.

    Args:
        assignment: The version that answered.
        encoded: The answer.
        fallback: Why stable answered in the candidate's place, or empty.
    """

    assignment: Assignment
    encoded: Encoded
    fallback: str = ""


def check_permission(call: Call, scope: Scope) -> None:
    """Check that the caller may do what this route does.

    Raises:
        PermissionDenied: The caller's token lacks the permission.
    """
    if not allows(scope["state"].get("principal"), call.permission):
        message = f"This call takes the permission {call.permission!r}, which your token lacks."
        raise PermissionDenied(message)


def id_header(request_id: str) -> tuple[bytes, bytes]:
    """Return the header that names a request."""
    return (b"stagedoor-request-id", request_id.encode())
