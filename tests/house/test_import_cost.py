"""What an import costs: the client drags nothing heavy along."""

import json
import subprocess
import sys

import pytest

HEAVY = (
    "alembic", "grpc", "httpx", "lightgbm", "litestar", "numpy", "onnxruntime", "pandas",
    "prometheus_client", "pyarrow", "ray", "rich", "scipy", "sklearn", "sqlalchemy", "uvicorn",
    "xgboost",
)  # fmt: skip

MODEL_LIBRARIES = (
    "pandas",
    "scipy",
    "sklearn",
    "xgboost",
    "lightgbm",
    "onnxruntime",
    "cloudpickle",
)


def imported_by(statement: str, depth: int = 1) -> set[str]:
    """Return the modules that a statement loads, in a fresh interpreter.

    Args:
        statement: Python.
        depth: How many names of a module's path are told.
    """
    listing = f"sorted({{'.'.join(m.split('.')[:{depth}]) for m in sys.modules}})"
    program = f"{statement}\nimport json, sys\nprint(json.dumps({listing}))"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    return set(json.loads(told.stdout.splitlines()[-1]))


def test_importing_the_client_imports_nothing_heavy() -> None:
    assert imported_by("import stagedoor") & set(HEAVY) == set()


def test_asking_the_command_line_for_help_imports_no_server() -> None:
    loaded = imported_by("import stagedoor.cli.main")

    assert loaded & {"litestar", "uvicorn", "sqlalchemy", "sklearn", "pandas"} == set()


def test_a_worker_imports_no_library_of_models() -> None:
    assert imported_by("import gateway.app") & set(MODEL_LIBRARIES) == set()


def test_a_worker_imports_what_it_may_never_need_when_it_needs_it() -> None:
    loaded = imported_by("import gateway.app", depth=3)

    spared = {"alembic", "grpc", "httpcore", "httpx", "sqlalchemy.dialects.postgresql"}
    assert loaded & spared == set()


@pytest.mark.parametrize("module", ["json"])
def test_what_is_imported_would_be_seen(module: str) -> None:
    assert module in imported_by(f"import {module}")
