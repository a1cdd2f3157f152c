"""How what a version runs on differs from what is installed in the server's environment. Pure."""

from collections.abc import Callable, Iterator
from functools import lru_cache

from packaging.requirements import Requirement

from gateway.serving.environments.declared import Declared

_MOST_KEPT = 256
"""Most versions have the same lines, and reading one takes 50 µs."""


def differences(
    declared: Declared, python: str, find_version: Callable[[str], str | None]
) -> tuple[str, ...]:
    """Say one by one what a version needs and the server has otherwise.

    Args:
        declared: What the version runs on.
        python: The server's, ``3.11``.
        find_version: Returns the installed version of a package; none if there is none.

    Returns:
        A part of a sentence for each; none where the server has all it needs.
    """
    return tuple(_differences(declared, python, find_version))


def _differences(
    declared: Declared, python: str, find_version: Callable[[str], str | None]
) -> Iterator[str]:
    if declared.python is not None and declared.python != python:
        yield f"Python is {python} here, it needs {declared.python}"
    for line in declared.requirements:
        name = _read(line).name
        version = find_version(name)
        if version is None and _applies(line):
            yield f"{name} is not installed here, it needs {line}"
        elif version is not None and not _fits(line, version):
            yield f"{name} is {version} here, it needs {line}"
    for line in declared.constraints:
        name = _read(line).name
        version = find_version(name)
        if version is not None and not _fits(line, version):
            yield f"{name} is {version} here, its constraints say {line}"


@lru_cache(_MOST_KEPT)
def _read(line: str) -> Requirement:
    return Requirement(line)


def _applies(line: str) -> bool:
    marker = _read(line).marker
    return marker is None or marker.evaluate({"extra": ""})


@lru_cache(_MOST_KEPT)
def _fits(line: str, version: str) -> bool:
    """Whether a version is one that a line takes, or the line is not for here."""
    return not _applies(line) or _read(line).specifier.contains(version, prereleases=True)
