"""What a model folder says it runs on: Python, and packages. Files in, values out.

They were written by whoever registered the version. What is not the plain name of a package with
its versions is refused: an option, a path, an address or a repository would make this host fetch
or run what they please.

``packaging`` is imported with the module, although that takes some 35 ms: every load needs it, so
that the parent has it once before it forks, and no worker imports it while it serves.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from registry.model_folder import read_model_folder
from registry.yaml_reading import read_yaml
from tracking.errors import InvalidRequest, StagedoorError

LEFT_OUT = frozenset({"mlflow", "mlflow-skinny", "mlflow-tracing", "stagedoor"})
"""Runners load folders without them."""

CONSTRAINTS = "constraints.txt"
_REQUIREMENTS = "requirements.txt"
_PYTHON_ENV = "python_env.yaml"
_CONDA = "conda.yaml"
_CONSTRAINED = re.compile(rf"(-c|--constraint)[ =]\s*{re.escape(CONSTRAINTS)}")
_INCLUDED = re.compile(rf"(-r|--requirement)[ =]\s*{re.escape(_REQUIREMENTS)}")
_COMMENT = re.compile(r"(^|\s)#.*$")
_MINOR = re.compile(r"[=<>~! ]*(\d{1,2}\.\d{1,3})(\.|$)")
_MAX_BYTES = 1 << 16
_MAX_LINES = 500
_MOST_KEPT = 256


class Declared(Struct, frozen=True):
    """What a version runs on, as its folder says. Immutable.

    Args:
        python: ``3.11``; none if it does not say.
        requirements: Packages with their versions, canonical and in order.
        constraints: Versions of packages that others may bring.
    """

    python: str | None = None
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()


def read_declared(folder: Path) -> Declared:
    """Read what a model folder says it runs on.

    Raises:
        InvalidRequest: A file cannot be read, or has a line that is no plain requirement.
    """
    python_env, conda = _read_yaml(folder / _PYTHON_ENV), _read_yaml(folder / _CONDA)
    lines, source = _choose_lines(folder, python_env, conda)
    constraints: list[Requirement] = []
    wanted = []
    for line in lines:
        if _CONSTRAINED.fullmatch(line):
            found = _lines_of(_read(folder / CONSTRAINTS) or "")
            constraints += [_parse(one, CONSTRAINTS) for one in found]
        else:
            wanted.append(_parse(line, source))
    names = {one.name for one in wanted}
    if "mlflow" in names and "pandas" not in names:
        # It would have brought it, and rows with named columns come as its DataFrame.
        wanted.append(Requirement("pandas"))
    return Declared(
        python=_find_python(folder, python_env, conda),
        requirements=_in_order(wanted),
        constraints=_in_order(constraints),
    )


def _choose_lines(
    folder: Path, python_env: Mapping[str, Any], conda: Mapping[str, Any]
) -> tuple[list[str], str]:
    text = _read(folder / _REQUIREMENTS)
    if text is not None:
        return _lines_of(text), _REQUIREMENTS
    listed = _texts(python_env.get("dependencies"))
    if listed:
        return [one for one in listed if not _INCLUDED.fullmatch(one)], _PYTHON_ENV
    pip = [one.get("pip") for one in _list(conda.get("dependencies")) if isinstance(one, dict)]
    return [line for lines in pip for line in _texts(lines)], _CONDA


def _lines_of(text: str) -> list[str]:
    stripped = (_COMMENT.sub("", line).strip() for line in text.splitlines())
    return [line for line in stripped if line]


@lru_cache(_MOST_KEPT)
def _parse(line: str, source: str) -> Requirement:
    """Read a line; most versions have the same ones, and reading one takes 50 µs."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        what = "an option" if line.startswith("-") else "no requirement that names a package"
        raise InvalidRequest(
            f"{source} has the line {line[:100]!r}, which is {what}; "
            "only names of packages with their versions are taken."
        ) from error
    if requirement.url is not None:
        raise InvalidRequest(
            f"{source} asks for {requirement.name!r} from an address; "
            "only packages of the index are taken, by name and version."
        )
    requirement.name = canonicalize_name(requirement.name)
    return requirement


def _in_order(requirements: Iterable[Requirement]) -> tuple[str, ...]:
    kept = {str(one) for one in requirements if one.name not in LEFT_OUT}
    if len(kept) > _MAX_LINES:
        raise InvalidRequest(f"It asks for {len(kept)} packages; {_MAX_LINES} are the most.")
    return tuple(sorted(kept))


def _find_python(
    folder: Path, python_env: Mapping[str, Any], conda: Mapping[str, Any]
) -> str | None:
    pins = [
        one.removeprefix("python")
        for one in _texts(conda.get("dependencies"))
        if re.match(r"python[=<>~! ]", one)
    ]
    said = (python_env.get("python"), *pins, _python_of_folder(folder))
    found = (_MINOR.match(str(one)) for one in said if one is not None)
    return next((match.group(1) for match in found if match), None)


def _python_of_folder(folder: Path) -> object:
    try:
        return read_model_folder(folder).flavors.get("python_function", {}).get("python_version")
    except StagedoorError:
        return None  # its process will say what is wrong with it


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise InvalidRequest(f"{path.name} has more than {_MAX_BYTES} bytes.")
        return content.decode()
    except (FileNotFoundError, IsADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path.name} is no text in UTF-8.") from error


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        content = read_yaml(_read(path) or "")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidRequest(f"{path.name} is no YAML that can be read.") from error
    return content if isinstance(content, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [one.strip() for one in _list(value) if isinstance(one, str)]
