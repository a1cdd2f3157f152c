"""How a caller names a version: by number, stage, alias, or ``latest``. Pure."""

from msgspec import Struct

from registry.stages import Stage, find_stage
from tracking.errors import InvalidRequest

LATEST = "latest"
"""The word, in any case, for the highest number there is; also where an alias stands."""


class ByNumber(Struct, frozen=True, tag="number"):
    """Version 7."""

    version: int


class ByStage(Struct, frozen=True, tag="stage"):
    """The version in a stage."""

    stage: Stage


class ByAlias(Struct, frozen=True, tag="alias"):
    """The version an alias points at."""

    alias: str


class Latest(Struct, frozen=True, tag="latest"):
    """The highest number there is."""


class Live(Struct, frozen=True, tag="live"):
    """Nothing was named: Production, or the split when there is one."""


Ref = ByNumber | ByStage | ByAlias | Latest | Live


class ModelUri(Struct, frozen=True):
    """``models:/name/ref``, taken apart."""

    name: str
    ref: Ref


_MOST_DIGITS = 18


def parse_ref(text: str) -> Ref:
    """Read a reference: digits are a version, then ``latest`` or a stage in any case, then ``@x``.

    ``@latest`` is ``latest``: no alias may have that name.

    Raises:
        InvalidRequest: It is none of these.
    """
    if text.isascii() and text.isdigit():
        if len(text) > _MOST_DIGITS:
            raise InvalidRequest(f"A version's number has at most {_MOST_DIGITS} digits.")
        return ByNumber(int(text))
    if text.removeprefix("@").lower() == LATEST:
        return Latest()
    if text.startswith("@") and len(text) > 1:
        return ByAlias(text[1:])
    stage = find_stage(text)
    if stage is None:
        message = (
            f"{text!r} names no version: use a number, 'latest', a stage "
            f"({', '.join(Stage)}), or an alias as '@alias'."
        )
        raise InvalidRequest(message)
    return ByStage(stage)


def parse_model_uri(uri: str) -> ModelUri:
    """Read ``models:/name/ref`` or ``models:/name@alias``.

    Raises:
        InvalidRequest: It has another shape.
    """
    scheme, _, rest = uri.partition(":/")
    rest = rest.strip("/")
    name, slash, ref = rest.partition("/")
    if scheme != "models" or not name or "/" in ref or (slash and not ref):
        message = f"{uri!r} is not a model URI: use models:/name/version, /stage, or name@alias."
        raise InvalidRequest(message)
    if slash:
        return ModelUri(name=name, ref=parse_ref(ref))
    name, at, alias = name.rpartition("@")
    if not at or not name or not alias:
        message = f"{uri!r} names no version: add /version, /stage, /latest or @alias."
        raise InvalidRequest(message)
    return ModelUri(name=name, ref=parse_ref(f"@{alias}"))


def format_ref(ref: Ref) -> str:
    """Write a reference the way a person would read it."""
    match ref:
        case ByNumber(version=version):
            return f"version {version}"
        case ByStage(stage=stage):
            return str(stage)
        case ByAlias(alias=alias):
            return f"@{alias}"
        case Latest():
            return LATEST
        case Live():
            return str(Stage.PRODUCTION)
