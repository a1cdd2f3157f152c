"""Which versions there are here, and unloading one: v2's repository extension, v1's status.

Called by ``predict.py`` on the event loop; loading goes through its own demand. Everything is said
and done for one worker: each holds its own versions, and answers name it in ``Stagedoor-Worker``.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from gateway.protocols.call import Call
from gateway.protocols.model_openapi import Described, model_document
from gateway.protocols.v2_metadata import IndexEntry, check_change, wants_ready
from gateway.routing.table import Assignment, Reason, RouteTable
from gateway.serving.inventory import Seen
from gateway.serving.states import LOAD_STATES, READY_STATES, State
from registry.route import VersionKey
from registry.signature import Signature
from tracking.errors import ResourceConflict

_UNSEEN = Seen(State.ABSENT)


class Repository:
    """What this worker holds, as a model repository. Event loop only.

    Args:
        table: Returns the snapshot of routes.
        view: Returns the state of each version that is known here.
        drop: Wants a version no more.
        example: Returns the scoring body that the version of a digest was saved with, or none.
        prefix: What a proxy in front leaves on paths, or an empty text.
    """

    def __init__(
        self,
        table: Callable[[], RouteTable],
        view: Callable[[], Mapping[VersionKey, Seen]],
        drop: Callable[[VersionKey], None],
        *,
        example: Callable[[str], bytes | None] = lambda _digest: None,
        prefix: str = "",
    ) -> None:
        self._table = table
        self._view = view
        self._drop = drop
        self._example = example
        self._prefix = prefix

    def index(self, body: bytes) -> bytes:
        """List every version, or those that are ready.

        Raises:
            MalformedBody: The body is not an index request.
        """
        only_ready = wants_ready(body)
        entries = [entry for entry in self._entries() if entry.state == "READY" or not only_ready]
        return msgspec.json.encode(entries)

    def status(self, assignment: Assignment) -> bytes:
        """Tell the states of the versions of a model in TensorFlow Serving's words.

        Args:
            assignment: What the call was routed to: the version that it named, or else all of the
                model's that are known here.
        """
        view = self._view()
        keys = [assignment.key]
        if assignment.reason is not Reason.PINNED:
            keys = sorted((key for key in view if key.model == assignment.model), reverse=True)
        states = [_status(key, view.get(key, _UNSEEN)) for key in keys]
        is_ready = view.get(assignment.key, _UNSEEN).state in READY_STATES
        # What KServe's clients of this protocol ask for, beside what TensorFlow Serving's do.
        theirs = {"name": assignment.model, "ready": is_ready}
        return msgspec.json.encode({"model_version_status": states, **theirs})

    def describe(self, call: Call, assignment: Assignment, signature: Signature | None) -> bytes:
        """Return the OpenAPI document of the version that a call was routed to."""
        about = Described(
            model=assignment.model,
            version=assignment.key.version,
            ref=call.ref,
            signature=signature,
            serving_example=self._example(assignment.key.digest),
            prefix=self._prefix,
        )
        return msgspec.json.encode(model_document(about))

    def unload(self, assignment: Assignment, body: bytes) -> None:
        """Unload a version that no route needs; one that is not loaded is well as it is.

        Raises:
            ResourceConflict: A route needs it.
            InvalidRequest: The body is not an unload request.
        """
        check_change(body)
        version = assignment.key.version
        if version in self._table().models[assignment.model].route.versions():
            message = f"Version {version} of {assignment.model!r} cannot be unloaded"
            raise ResourceConflict(
                f"{message}: its route needs it. Move its stage or alias, then it goes by itself."
            )
        self._drop(assignment.key)

    def _entries(self) -> Iterator[IndexEntry]:
        view = self._view()
        for model, entry in sorted(self._table().models.items()):
            for number, record in sorted(entry.records.items()):
                seen = view.get(record.key, _UNSEEN)
                reason = "" if seen.failure is None else seen.failure.reason
                yield IndexEntry(model, str(number), _STATES[seen.state], reason)


def _status(key: VersionKey, seen: Seen) -> dict[str, object]:
    code, message = "OK", ""
    if seen.failure is not None:
        code, message = "FAILED_PRECONDITION", seen.failure.reason
    state = _V1_STATES[_STATES[seen.state]]
    told = {"error_code": code, "error_message": message}
    return {"version": str(key.version), "state": state, "status": told}


_V1_STATES = {
    "READY": "AVAILABLE", "LOADING": "LOADING", "UNLOADING": "UNLOADING", "UNAVAILABLE": "END",
}  # fmt: skip
_STATES = dict.fromkeys(State, "UNAVAILABLE")
_STATES |= dict.fromkeys(LOAD_STATES[1:], "LOADING")
_STATES |= dict.fromkeys(READY_STATES, "READY")
_STATES |= dict.fromkeys((State.DRAINING, State.UNLOADING), "UNLOADING")
