"""Registered models and versions with the parts that have a place here. Pure.

Called by ``registry.transfer.model_import``.
"""

import hashlib
import re
from collections.abc import Iterable

from msgspec.structs import replace

from registry.limits import NAME_LENGTH, check_alias, check_model_name, check_tag, parse_version
from registry.stages import Stage, parse_stage
from registry.transfer.mending import clean_tag, clean_text, fitting, name_of, since_epoch
from registry.transfer.source import Broken, PastModel, PastVersion
from registry.wire import AliasEntry, ModelVersion, RegisteredModel
from tracking.errors import InvalidRequest
from tracking.past import check_types
from tracking.paths import PROXY_SCHEME
from tracking.wire import Tag

_MARK_DIGITS = 8
_EMPTY_SEGMENTS = re.compile("(?<=[^/])//+")
_REFERENCES = {"runs", "models", PROXY_SCHEME}


def mend_model(past: PastModel) -> tuple[PastModel, list[Broken], list[Broken]]:
    """Return a model that lost what may not be kept.

    Returns:
        The model, what was left out or changed, and the versions that cannot come at all.
    """
    what = f"model {past.model.name!r:.300}"
    told: list[str] = []
    name = _fitting_name(past.model.name, told)
    versions: list[PastVersion] = []
    changes: list[Broken] = []
    lost: list[Broken] = []
    for kept in past.versions:
        of = f"{what}, version {kept.version.version}"
        mended, sentences = _mend_version(kept, name)
        changes += [Broken(of, sentence) for sentence in sentences]
        try:
            check_types(mended)
            parse_version(mended.version.version)
        except InvalidRequest as error:
            lost.append(Broken(of, error.message))
        else:
            versions.append(mended)
    numbers = {kept.version.version for kept in versions}
    model = _mend_words(replace(past.model, name=name), numbers, told)
    last_version = past.last_version if _is_number(past.last_version) else _highest(numbers)
    changes += [Broken(what, sentence) for sentence in told]
    return PastModel(model, versions, last_version), changes, lost


def _fitting_name(name: str, told: list[str]) -> str:
    """Return a name that a model may have, marked by a digest of the one it had."""
    if not name:
        return name
    try:
        return check_model_name(name)
    except InvalidRequest:
        mark = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:_MARK_DIGITS]
        plain = "".join("_" if c in "/:" or not c.isprintable() else c for c in name)
        fitted = f"{plain[: NAME_LENGTH - _MARK_DIGITS - 1]}-{mark}"
    told.append(f"no model here can have that name: it is {fitted!r}")
    return fitted


def _mend_words(model: RegisteredModel, numbers: set[str], told: list[str]) -> RegisteredModel:
    return replace(
        model,
        description=model.description and clean_text(model.description, "its description", told),
        tags=_tags(model.tags, told),
        aliases=fitting(
            model.aliases,
            lambda alias: f"alias {alias.alias!r:.300}",
            lambda alias: _check_alias(alias, numbers),
            told,
        ),
    )


def _check_alias(alias: AliasEntry, numbers: set[str]) -> None:
    check_alias(alias.alias)
    if alias.version not in numbers:
        raise InvalidRequest(f"its version {alias.version[:20]} does not come")


def _mend_version(kept: PastVersion, name: str) -> tuple[PastVersion, list[str]]:
    told: list[str] = []
    given = kept.version
    source = _without_empty_segments(given.source or "")
    if source != (given.source or ""):
        told.append(f"its source {given.source!r:.300} is {source!r:.300}")
    version = replace(
        given,
        name=name,
        creation_timestamp=since_epoch(
            given.creation_timestamp or 0, "its creation_timestamp", told
        ),
        current_stage=_stage(given, told),
        source=source,
        tags=_tags(given.tags, told),
        **{
            field: value and clean_text(value, f"its {field}", told)
            for field in ("description", "user_id", "run_link")
            for value in [getattr(given, field)]
        },
    )
    return PastVersion(version, kept.files and _without_empty_segments(kept.files)), told


def _stage(given: ModelVersion, told: list[str]) -> str:
    stage = given.current_stage or Stage.NONE
    try:
        parse_stage(stage)
    except InvalidRequest:
        told.append(f"its stage {stage!r:.100} is none here, and it has no stage")
        return Stage.NONE
    return stage


def _tags(tags: Iterable[Tag], told: list[str]) -> list[Tag]:
    return fitting([clean_tag(tag, told) for tag in tags], name_of, check_tag, told)


def _without_empty_segments(location: str) -> str:
    """Return a location of a run or a served artifact with one slash where several were."""
    scheme, colon, path = location.partition(":")
    if scheme not in _REFERENCES:
        return location
    return f"{scheme}{colon}{_EMPTY_SEGMENTS.sub('/', path)}"


def _is_number(version: int) -> bool:
    try:
        return version == 0 or parse_version(str(version)) > 0
    except InvalidRequest:
        return False


def _highest(numbers: set[str]) -> int:
    return max(map(int, numbers), default=0)
