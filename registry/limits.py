"""What a name, tag or alias of the registry may be. Pure."""

import re

from registry.references import LATEST
from tracking.errors import InvalidRequest
from tracking.limits import check_text
from tracking.wire import Tag

NAME_LENGTH = 256
TAG_KEY_LENGTH = 250
TAG_VALUE_LENGTH = 100_000
ALIAS_LENGTH = 255
RESULTS_MODELS = 1_000
RESULTS_VERSIONS = 200_000

_ALIAS = re.compile(r"[\w-]+")
_VERSION_LIKE = re.compile(r"v\d+", re.IGNORECASE)


def check_model_name(name: str) -> str:
    """Return a model's name if it may be one.

    Raises:
        InvalidRequest: It is empty, too long, or holds ``/``, ``:`` or a control character.
    """
    if not name or len(name) > NAME_LENGTH:
        message = f"Registered model name cannot be empty or longer than {NAME_LENGTH} characters."
        raise InvalidRequest(message)
    if any(c in "/:" or not c.isprintable() for c in name) or name in (".", ".."):
        message = (
            f"Invalid name: {name!r}. Registered model names cannot contain '/', ':' or control "
            "characters."
        )
        raise InvalidRequest(message)
    return name


def check_tag(tag: Tag) -> Tag:
    """Return a tag if it may be one.

    Raises:
        InvalidRequest: Its key is empty or too long, or its value is too long or no text that
            every database keeps.
    """
    check_tag_key(tag.key)
    if len(tag.value or "") > TAG_VALUE_LENGTH:
        message = (
            f"the value of tag {tag.key!r} has {len(tag.value or '')} characters; "
            f"at most {TAG_VALUE_LENGTH} are kept."
        )
        raise InvalidRequest(message)
    check_texts(value=tag.value)
    return tag


def check_texts(**texts: str | None) -> None:
    """Check that every database keeps these texts as they are.

    Raises:
        InvalidRequest: One holds a NUL character or half of a surrogate pair.
    """
    for name, text in texts.items():
        check_text(text or "", name)


def check_tag_key(key: str) -> str:
    """Return a tag's key if it may be one.

    Raises:
        InvalidRequest: It is empty, too long or holds a control character.
    """
    if not key or len(key) > TAG_KEY_LENGTH or not key.isprintable():
        message = f"a tag key has 1 to {TAG_KEY_LENGTH} printable characters, not {len(key)}."
        raise InvalidRequest(message)
    return key


def check_alias(alias: str) -> str:
    """Return an alias if it may be one.

    Raises:
        InvalidRequest: It has other characters than letters, digits, ``_`` and ``-``, is too long,
            or means something else already (``latest``, ``v7``).
    """
    if len(alias) > ALIAS_LENGTH or not _ALIAS.fullmatch(alias):
        message = (
            f"Invalid alias name: {alias!r}. Use 1 to {ALIAS_LENGTH} letters, digits, '_' and '-'."
        )
        raise InvalidRequest(message)
    if alias.lower() == LATEST or _VERSION_LIKE.fullmatch(alias):
        message = f"Invalid alias name: {alias!r} is reserved; choose another."
        raise InvalidRequest(message)
    return alias


def parse_version(text: str) -> int:
    """Return the number of a version.

    Raises:
        InvalidRequest: It is not a positive whole number.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:  # noqa: PLR2004
        message = f"Parameter 'version' must be a whole number from 1, got {text!r}."
        raise InvalidRequest(message)
    return int(text)


def check_max_results(asked: int | None, *, default: int, most: int) -> int:
    """Return how many results a page may have.

    Raises:
        InvalidRequest: It is not within 1 to the most allowed.
    """
    if asked is None:
        return default
    if not 1 <= asked <= most:
        message = f"Invalid value {asked} for parameter 'max_results' supplied: use 1 to {most}."
        raise InvalidRequest(message)
    return asked
