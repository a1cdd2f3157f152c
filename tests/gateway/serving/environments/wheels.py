"""A folder of wheels, made on the spot, so that environments are built without an index."""

import importlib.metadata
import zipfile
from pathlib import Path


def write_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """Make a wheel of a few files of pure Python."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    said = {**files, f"{info}/METADATA": metadata, f"{info}/WHEEL": wheel}
    record = "".join(f"{path},,\n" for path in (*said, f"{info}/RECORD"))
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in {**said, f"{info}/RECORD": record}.items():
            archive.writestr(inside, text)
    return path


def write_installed(folder: Path, name: str) -> Path:
    """Make a wheel of a package that is installed here, but for its tests and tools."""
    found = importlib.metadata.distribution(name)
    tag = next(
        line.removeprefix("Tag: ")
        for line in (found.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag: ")
    )
    canonical = found.metadata["Name"].replace("-", "_")
    info = f"{canonical}-{found.version}.dist-info"
    path = folder / f"{canonical}-{found.version}-{tag}.whl"
    left_out = {"..", "tests", "f2py"}
    kept = [
        file
        for file in found.files or ()
        if left_out.isdisjoint(file.parts) and file.suffix not in {".pyc", ".pyi", ".a"}
    ]
    record = "".join(f"{file},,\n" for file in kept)
    with zipfile.ZipFile(path, "w") as archive:
        for file in kept:
            inside = file.as_posix()
            if file.parts[0].endswith(".dist-info"):
                inside = f"{info}/{'/'.join(file.parts[1:])}"
            if file.name == "RECORD":
                archive.writestr(inside, record)
            else:
                archive.write(Path(str(found.locate_file(file))), inside)
    return path
