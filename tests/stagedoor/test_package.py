import subprocess
import sys

import pytest

import stagedoor

HEAVY = (
    "alembic", "cloudpickle", "click", "httpx", "litestar", "numpy", "obstore", "pandas", "rich",
    "sklearn", "sqlalchemy", "uvicorn", "gateway", "registry", "tracking",
)  # fmt: skip


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = f"import sys, stagedoor; print([n for n in {HEAVY!r} if n in sys.modules])"

    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("name", stagedoor.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(stagedoor, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'log_everything'"):
        _ = stagedoor.log_everything


def test_the_public_names_are_listed() -> None:
    assert dir(stagedoor) == sorted(stagedoor.__all__)
