"""Every error we raise on purpose, with the code that a caller can act on.

StagedoorError              INTERNAL_ERROR
├── InvalidRequest          INVALID_PARAMETER_VALUE  can never succeed as it is
│   ├── MalformedBody       BAD_REQUEST              the bytes are not what the type says
│   └── InputMismatch       BAD_REQUEST              the rows do not fit the signature
├── ResourceMissing         RESOURCE_DOES_NOT_EXIST  what was named is not there
├── EndpointMissing         ENDPOINT_NOT_FOUND       no such path
├── MethodRefused           METHOD_NOT_ALLOWED       the path is there, not with this method
├── ResourceExists          RESOURCE_ALREADY_EXISTS  the name is taken
├── ResourceConflict        RESOURCE_CONFLICT        somebody was first, or it is sealed
├── GateUnmet               GATE_UNMET               a rule for the version is not met
├── Unauthenticated         UNAUTHENTICATED          no credential, or not a valid one
├── PermissionDenied        PERMISSION_DENIED        a valid one that may not do this
├── TooLarge                REQUEST_TOO_LARGE        the body is over the limit
├── UnsupportedMedia        UNSUPPORTED_MEDIA_TYPE   no decoder for this content type
├── NotImplementedHere      NOT_IMPLEMENTED          a part of a protocol we do not serve
├── Unavailable             TEMPORARILY_UNAVAILABLE  try again: full, draining, cut off
│   ├── ModelNotReady       MODEL_NOT_READY          it exists and cannot answer now
│   └── QuotaExceeded       REQUEST_LIMIT_EXCEEDED   this client has asked as often as it may
├── DeadlineExceeded        DEADLINE_EXCEEDED        no answer in time
├── StorageFull             STORAGE_FULL             no space; nothing partial was kept
├── ModelFailed             MODEL_FAILED             the model raised on these rows
└── SchemaOutdated          SCHEMA_OUTDATED          the database has another schema than ours

HTTP learns of these in ``gateway/errors.py`` and nowhere else; ``tracking.http`` turns a code back
into its class, so that a caller cannot tell a local store from a remote one.
"""

from typing import ClassVar


class StagedoorError(Exception):
    """The root of the tree: anything we raise on purpose.

    Args:
        message: What was asked, what is the case, what to do; never a secret or a payload.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(StagedoorError):
    """The request can never succeed as it is."""

    code = "INVALID_PARAMETER_VALUE"


class MalformedBody(InvalidRequest):
    """The bytes are not what the content type says."""

    code = "BAD_REQUEST"


class InputMismatch(InvalidRequest):
    """The rows do not fit the model's signature."""

    code = "BAD_REQUEST"


class ResourceMissing(StagedoorError):
    """What was named is not there."""

    code = "RESOURCE_DOES_NOT_EXIST"


class EndpointMissing(StagedoorError):
    """No such path."""

    code = "ENDPOINT_NOT_FOUND"


class MethodRefused(StagedoorError):
    """The path exists, but not with this method."""

    code = "METHOD_NOT_ALLOWED"


class ResourceExists(StagedoorError):
    """The name is taken."""

    code = "RESOURCE_ALREADY_EXISTS"


class ResourceConflict(StagedoorError):
    """Somebody else changed it first, or it is sealed."""

    code = "RESOURCE_CONFLICT"


class GateUnmet(StagedoorError):
    """A rule that a version must meet before a transition is not met."""

    code = "GATE_UNMET"


class Unauthenticated(StagedoorError):
    """No credential, or not a valid one."""

    code = "UNAUTHENTICATED"


class PermissionDenied(StagedoorError):
    """A valid credential that may not do this, or a Host or Origin that may not ask."""

    code = "PERMISSION_DENIED"


class TooLarge(StagedoorError):
    """The body is over the limit."""

    code = "REQUEST_TOO_LARGE"


class UnsupportedMedia(StagedoorError):
    """No decoder for this content type."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class NotImplementedHere(StagedoorError):
    """A part of a protocol that we do not serve."""

    code = "NOT_IMPLEMENTED"


class Unavailable(StagedoorError):
    """Try again: full, draining, or cut off.

    Attributes:
        retry_after_s: When to try again, as far as is known; the caller is told somewhat more.
    """

    code = "TEMPORARILY_UNAVAILABLE"
    retry_after_s = 0.6


class ModelNotReady(Unavailable):
    """The version exists and cannot answer now."""

    code = "MODEL_NOT_READY"


class QuotaExceeded(Unavailable):
    """This client has made as many requests as it may: it should wait."""

    code = "REQUEST_LIMIT_EXCEEDED"


class DeadlineExceeded(StagedoorError):
    """No answer in time."""

    code = "DEADLINE_EXCEEDED"


class StorageFull(StagedoorError):
    """No space left; nothing partial was kept."""

    code = "STORAGE_FULL"


class ModelFailed(StagedoorError):
    """The model itself raised on these rows."""

    code = "MODEL_FAILED"


class SchemaOutdated(StagedoorError):
    """The database is older or newer than this program, or another program's."""

    code = "SCHEMA_OUTDATED"


def error_classes() -> dict[str, type[StagedoorError]]:
    """Return the class to raise for each code; where two share one, the parent."""
    classes: dict[str, type[StagedoorError]] = {}
    waiting: list[type[StagedoorError]] = [StagedoorError]
    while waiting:
        error = waiting.pop(0)
        classes.setdefault(error.code, error)
        waiting.extend(error.__subclasses__())
    return classes
