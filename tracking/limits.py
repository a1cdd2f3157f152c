"""What names, keys and values may be on this wire. Pure: each function returns what to store."""

import math
import re
import sys
from collections.abc import Sequence

from tracking.errors import InvalidRequest
from tracking.wire import LogBatch, Param

MOST_RUNS = 50_000
MOST_POINTS = 25_000

_KEY_LENGTH = 250
_PARAM_LENGTH = 6_000
_TAG_LENGTH = 8_000
_EXPERIMENT_NAME_LENGTH = 500
_EXPERIMENT_TAG_LENGTH = 20_000
_MOST_METRICS = 1_000
_MOST_TEXTS = 100
_MOST_ENTRIES = 1_000
_MOST_RUNS_TOGETHER = 100
_INT64 = 2**63
_KEY = re.compile(r"[/\w.\- :]+")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w-]{0,255}")


def check_text(value: str, name: str) -> str:
    """Return a text that every database keeps as it is.

    Raises:
        InvalidRequest: It holds a NUL character or half of a surrogate pair.
    """
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise invalid(value, name, "It may hold neither NUL characters nor lone surrogates.")
    return value


def require(value: str | None, name: str) -> str:
    """Return a text that has to be given.

    Raises:
        InvalidRequest: It is empty, or not there.
    """
    if not value:
        raise InvalidRequest(f"Missing value for required parameter {name!r}. Send it.")
    return value


def check_key(key: str, name: str = "key") -> str:
    """Return the key of a metric, param or tag: it doubles as a relative path.

    Raises:
        InvalidRequest: It is empty, too long, or not such a path.
    """
    if len(require(key, name)) > _KEY_LENGTH:
        raise invalid(key, name, f"It may have {_KEY_LENGTH} characters and has {len(key)}.")
    if not _KEY.fullmatch(key):
        raise invalid(key, name, "Allowed are letters, digits, '_', '-', '.', ' ', ':' and '/'.")
    if any(part in {"", ".", ".."} for part in key.split("/")):
        raise invalid(key, name, "As a path it must be relative and plain, such as 'a/b'.")
    return key


def check_run_id(run_id: str | None) -> str:
    """Return a run's id.

    Raises:
        InvalidRequest: There is none, or no run can have it.
    """
    told = require(run_id, "run_id")
    if not _RUN_ID.fullmatch(told):
        raise invalid(told, "run_id", "It holds letters, digits, '_' and '-' only.")
    return told


def check_run_ids(run_ids: Sequence[str]) -> Sequence[str]:
    """Return the ids of runs that are asked about together.

    Raises:
        InvalidRequest: There are none, too many, or one that no run can have.
    """
    if not run_ids:
        raise InvalidRequest("Missing value for required parameter 'run_id': name at least one.")
    if len(run_ids) > _MOST_RUNS_TOGETHER:
        raise InvalidRequest(
            f"At most {_MOST_RUNS_TOGETHER} runs can be asked about together, not {len(run_ids)}."
            " Split them."
        )
    return [check_run_id(run_id) for run_id in run_ids]


def check_steps(first: int | None, last: int | None) -> tuple[int, int] | None:
    """Return the steps to look at, or ``None`` for all.

    Raises:
        InvalidRequest: Only one end is given, or they are the wrong way round.
    """
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise InvalidRequest(
            "If either start step or end step are specified, both must be specified."
        )
    if check_int64(first, "start_step") > check_int64(last, "end_step"):
        raise InvalidRequest(
            "end_step must be greater than start_step."
            f" Found start_step={first} and end_step={last}."
        )
    return first, last


def check_experiment_name(name: str | None) -> str:
    """Return an experiment's name.

    Raises:
        InvalidRequest: It is empty or too long.
    """
    told = require(name, "name")
    if len(told) > _EXPERIMENT_NAME_LENGTH:
        raise invalid(told, "name", f"It may have {_EXPERIMENT_NAME_LENGTH} characters.")
    return check_text(told, "name")


def check_experiment_tag(key: str, value: str) -> tuple[str, str]:
    """Return the key and value of an experiment's tag.

    Raises:
        InvalidRequest: One of them is not allowed.
    """
    if len(value) > _EXPERIMENT_TAG_LENGTH:
        raise invalid(value, "value", f"It may have {_EXPERIMENT_TAG_LENGTH} characters.")
    return check_key(key), check_text(value, "value")


def cut_param(value: str) -> str:
    """Return a param's value, cut to the length that is kept."""
    return check_text(value[:_PARAM_LENGTH], "value")


def cut_tag(value: str) -> str:
    """Return the value of a run's tag, cut to the length that is kept."""
    return check_text(value[:_TAG_LENGTH], "value")


def check_int64(value: int, name: str) -> int:
    """Return a whole number that the database can keep.

    Raises:
        InvalidRequest: It is no whole number of 64 bits.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise invalid(str(value), name, "It must be a whole number of 64 bits.")
    return value


def check_time(value: int | None, name: str) -> int:
    """Return a time in milliseconds since the epoch.

    Raises:
        InvalidRequest: There is none, or it is before the epoch.
    """
    if value is None:
        raise InvalidRequest(f"Missing value for required parameter {name!r}.")
    if check_int64(value, name) < 0:
        raise invalid(str(value), name, "It must be milliseconds since the epoch, 0 or more.")
    return value


def check_metric_value(value: float | str) -> float:
    """Return the value of a metric: a finite number, or NaN. Infinities become the largest float.

    Raises:
        InvalidRequest: It is not a number.
    """
    if isinstance(value, bool):
        raise invalid(str(value), "value", "A metric is a number.")
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        raise invalid(str(value), "value", "A metric is a number.") from None
    if math.isinf(number):
        return math.copysign(sys.float_info.max, number)
    return number


def check_max_results(value: int, most: int) -> int:
    """Return a page size.

    Raises:
        InvalidRequest: It is not between 1 and ``most``.
    """
    if not 1 <= value <= most:
        raise invalid(str(value), "max_results", f"It must be between 1 and {most}.")
    return value


def check_batch(batch: LogBatch) -> None:
    """Check the size of a batch, and that it names no param twice and each dataset whole.

    Raises:
        InvalidRequest: It holds too much, a param twice, or half a dataset.
    """
    _check_count(len(batch.metrics), _MOST_METRICS, "metrics")
    _check_count(len(batch.params), _MOST_TEXTS, "params")
    _check_count(len(batch.tags), _MOST_TEXTS, "tags")
    total = len(batch.metrics) + len(batch.params) + len(batch.tags)
    _check_count(total, _MOST_ENTRIES, "metrics, params and tags together")
    _check_distinct(batch.params)
    if any(bool(metric.dataset_name) != bool(metric.dataset_digest) for metric in batch.metrics):
        raise InvalidRequest(
            "Both dataset_name and dataset_digest must be provided if one is provided."
        )


def invalid(value: str, name: str, reason: str) -> InvalidRequest:
    """Return the error for a value that a parameter may not have."""
    return InvalidRequest(
        f"Invalid value {value[:200]!r} for parameter {name!r} supplied: {reason}"
    )


def _check_count(count: int, most: int, what: str) -> None:
    if count > most:
        raise InvalidRequest(
            f"A batch logging request can contain at most {most} {what}. Got {count}. Split it."
        )


def _check_distinct(params: Sequence[Param]) -> None:
    seen: set[str] = set()
    for param in params:
        if param.key in seen:
            raise InvalidRequest(
                f"Duplicate parameter keys have been submitted: {param.key[:200]!r}."
                " Send each key once."
            )
        seen.add(param.key)
