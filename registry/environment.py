"""The files of a model folder that say what it runs on: requirements, conda, Python version.

Written by the SDK when a model is saved; other tools build environments from them.
"""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

ENVIRONMENT_ENTRY = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
"""The ``env`` entry of the python_function flavor."""


def pin_installed(packages: tuple[str, ...]) -> list[str]:
    """Return ``name==version`` for each of the packages that is installed here, in that order."""
    return [pin for package in packages if (pin := _pin(package)) is not None]


def write_environment(folder: Path, requirements: list[str]) -> None:
    """Write ``requirements.txt``, ``conda.yaml`` and ``python_env.yaml``.

    Args:
        folder: The model folder.
        requirements: Lines as pip reads them.
    """
    python = platform.python_version()
    (folder / "requirements.txt").write_text("\n".join([*requirements, ""]), encoding="utf-8")
    conda = {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": requirements}],
        "name": "model",
    }
    _write_yaml(folder / "conda.yaml", conda)
    virtualenv = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    _write_yaml(folder / "python_env.yaml", virtualenv)


def _pin(package: str) -> str | None:
    try:
        return f"{package}=={version(package)}"
    except PackageNotFoundError:
        return None


def _write_yaml(path: Path, value: object) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
