"""What names of logged models and fields of datasets may be. Pure: returns what to store."""

import re

from tracking.errors import InvalidRequest
from tracking.limits import check_text, invalid
from tracking.wire import Dataset, Tag

MOST_MODELS = 50_000

_REFUSED_CHARACTERS = "/:.%\"'"
_MODEL_NAME_LENGTH = 500
_MODEL_ID = re.compile(r"[a-zA-Z0-9][\w-]{0,63}")
_INPUT_KEY_LENGTH = 255
_INPUT_VALUE_LENGTH = 500
_DATASET_LENGTHS = {
    "name": 500,
    "digest": 36,
    "source_type": 100,
    "source": 65_535,
    "schema": 1_048_575,
    "profile": 16_777_215,
}


def check_model_name(name: str) -> str:
    """Return a logged model's name.

    Raises:
        InvalidRequest: It is empty, too long, or holds a character that URIs or filters need.
    """
    if not name or any(character in _REFUSED_CHARACTERS for character in name):
        raise invalid(
            name, "name", f"A model's name is not empty and holds none of {_REFUSED_CHARACTERS}"
        )
    if len(name) > _MODEL_NAME_LENGTH:
        raise invalid(name, "name", f"It may have {_MODEL_NAME_LENGTH} characters.")
    return check_text(name, "name")


def check_model_id(model_id: str) -> str:
    """Return a logged model's id, which may be another server's.

    Raises:
        InvalidRequest: No logged model can have it.
    """
    if not _MODEL_ID.fullmatch(model_id):
        raise invalid(model_id, "model_id", "It holds letters, digits, '_' and '-' only.")
    return model_id


def check_dataset(dataset: Dataset) -> Dataset:
    """Return a dataset.

    Raises:
        InvalidRequest: It has no name or digest, or a field is too long.
    """
    for field, most in _DATASET_LENGTHS.items():
        value: str = check_text(getattr(dataset, field), f"dataset.{field}")
        if len(value) > most:
            raise invalid(value, f"dataset.{field}", f"It may have {most} characters.")
    if not dataset.name or not dataset.digest:
        raise InvalidRequest("Missing value for required parameter 'dataset.name' or '.digest'.")
    return dataset


def check_input_tag(tag: Tag) -> Tag:
    """Return a tag that says what a dataset was used for.

    Raises:
        InvalidRequest: Its key is empty or too long, or its value is too long.
    """
    if not 0 < len(tag.key) <= _INPUT_KEY_LENGTH:
        raise invalid(tag.key, "key", f"It must have 1 to {_INPUT_KEY_LENGTH} characters.")
    if len(tag.value) > _INPUT_VALUE_LENGTH:
        raise invalid(tag.value, "value", f"It may have {_INPUT_VALUE_LENGTH} characters.")
    check_text(tag.value, "value")
    check_text(tag.key, "key")
    return tag
