"""How what a version runs on differs from what is installed in the server's environment. Pure."""

from collections.abc import Callable, Iterator

from packaging.requirements import Requirement

from gateway.serving.environments.declared import Declared


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
        requirement = Requirement(line)
        if not _applies(requirement):
            continue
        version = find_version(requirement.name)
        if version is None:
            yield f"{requirement.name} is not installed here, it needs {line}"
        elif not _fits(requirement, version):
            yield f"{requirement.name} is {version} here, it needs {line}"
    for line in declared.constraints:
        requirement = Requirement(line)
        version = find_version(requirement.name)
        if version is not None and _applies(requirement) and not _fits(requirement, version):
            yield f"{requirement.name} is {version} here, its constraints say {line}"


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _fits(requirement: Requirement, version: str) -> bool:
    return requirement.specifier.contains(version, prereleases=True)
