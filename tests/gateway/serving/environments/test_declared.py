from pathlib import Path

import pytest

from gateway.serving.environments.declared import Declared, read_declared
from tracking.errors import InvalidRequest

CONDA = """
dependencies:
- python=3.12.4
- pip<=24
- pip: [mlflow==3.1, Tiny_Package==1.0]
"""
PYTHON_ENV = """
python: 3.13.1
build_dependencies: [pip]
dependencies: ["-r requirements.txt"]
"""
MLMODEL = "flavors: {python_function: {python_version: 3.11.7}}"


def declared(folder: Path, files: dict[str, str]) -> Declared:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return read_declared(folder)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Declared()),
        ({"MLmodel": MLMODEL}, Declared("3.11")),
        ({"MLmodel": "flavors: ["}, Declared()),
        (
            {"requirements.txt": "# all\nB_b == 2 # why\n\na[x]>=1,<2; python_version > '3'\n"},
            Declared(None, ('a[x]<2,>=1; python_version > "3"', "b-b==2")),
        ),
        ({"requirements.txt": "mlflow-skinny\nstagedoor==1"}, Declared()),
        ({"requirements.txt": "mlflow"}, Declared(None, ("pandas",))),
        ({"requirements.txt": "mlflow\npandas==2"}, Declared(None, ("pandas==2",))),
        (
            {"requirements.txt": "-c constraints.txt\na", "constraints.txt": "b==1\nmlflow==3"},
            Declared(None, ("a",), ("b==1",)),
        ),
        ({"conda.yaml": CONDA}, Declared("3.12", ("pandas", "tiny-package==1.0"))),
        (
            {"conda.yaml": CONDA, "python_env.yaml": PYTHON_ENV, "requirements.txt": "a"},
            Declared("3.13", ("a",)),
        ),
        ({"python_env.yaml": "dependencies: [a==1, b]"}, Declared(None, ("a==1", "b"))),
        ({"conda.yaml": "[1, 2]", "python_env.yaml": "python: [3]"}, Declared()),
    ],
)
def test_a_folder_says_what_it_runs_on(
    tmp_path: Path, files: dict[str, str], expected: Declared
) -> None:
    assert declared(tmp_path, files) == expected


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "--index-url https://example.org/simple",
        "--extra-index-url=https://example.org",
        "-r other.txt",
        "-c ../constraints.txt",
        "-c constraints.txt -e .",
        "./a.whl",
        "/tmp/a.whl",
        "a @ file:///etc/passwd",
        "a @ https://example.org/a.whl",
        "git+https://example.org/a.git",
        "https://example.org/a.whl",
        "a==1 --hash=sha256:00",
        "a==1 \\",
        "a b",
        "=",
    ],
)
def test_a_line_that_is_no_name_with_versions_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(InvalidRequest, match=r"requirements\.txt (has the line|asks for)"):
        declared(tmp_path, {"requirements.txt": f"numpy\n{line}\n"})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("requirements.txt", b"\xff"),
        ("requirements.txt", b"a\n" * (1 << 16)),
        ("requirements.txt", b"".join(b"p%d\n" % n for n in range(501))),
        ("conda.yaml", b"a: ["),
        ("conda.yaml", b"!!python/object/apply:os.system [true]"),
        ("python_env.yaml", b"[" * 5000),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(InvalidRequest):
        read_declared(tmp_path)
