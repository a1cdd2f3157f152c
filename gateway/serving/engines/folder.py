"""An engine as files: ``engine.json``, and one ``.npy`` for each array, which workers map.

The model's process writes, a worker reads what it wrote as hostile: no pickles, no links, a cap on
everything. Called in load threads and in the model's process.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import BadEngine, Description
from gateway.serving.engines.engine import Arrays, Engine
from gateway.serving.engines.refusal import Refused

_DESCRIPTION = "engine.json"
_ARRAY = re.compile(r"[a-z0-9.]{1,32}\.npy")
_MAX_DESCRIPTION_BYTES = 8 << 20
_MAX_ARRAYS = 128
_PIECE_BYTES = 1 << 20


def write_engine(folder: Path, description: Description, arrays: Arrays) -> None:
    """Write an engine into an empty folder."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (folder / _DESCRIPTION).write_bytes(msgspec.json.encode(description))


def read_engine(folder: Path) -> Engine:
    """Map the arrays of an engine and build it.

    Raises:
        BadEngine: The files are not what they should be.
        OSError: They cannot be read.
    """
    description = folder / _DESCRIPTION
    if description.stat().st_size > _MAX_DESCRIPTION_BYTES:
        raise BadEngine("The description is too large.")
    try:
        described = msgspec.json.decode(description.read_bytes(), type=Description)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadEngine("The description cannot be read.") from error
    files = list(_array_files(folder))
    engine = Engine(described, {file.stem: _map(file) for file in files})
    _try(engine)
    return engine


def hash_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of an engine.

    Raises:
        BadEngine: Something else lies there.
    """
    files = [folder / _DESCRIPTION, *_array_files(folder)]
    return {file.name: _hash(file) for file in files}


def seal_files(folder: Path) -> None:
    """Make the files of an engine durable and read-only."""
    for file in folder.iterdir():
        seal_file(file)


def seal_file(file: Path) -> None:
    """Make a file durable and read-only."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    file.chmod(0o444)


def _try(engine: Engine) -> None:
    """Ask once for each method: whatever is wrong with an engine comes out here, not later."""
    rows = np.zeros((2, engine.description.width))
    for method in engine.description.methods:
        try:
            engine.answer(rows, method)
        except Refused:
            continue
        except Exception as error:
            raise BadEngine(f"Asked for {method!r}, it raises {type(error).__name__}.") from error


def _array_files(folder: Path) -> Iterator[Path]:
    for count, file in enumerate(sorted(folder.iterdir())):
        if count > _MAX_ARRAYS or file.is_symlink() or not file.is_file():
            raise BadEngine("There are too many files, or something that is no file.")
        if file.name == _DESCRIPTION:
            continue
        if not _ARRAY.fullmatch(file.name):
            raise BadEngine("There is a file that is no part of an engine.")
        yield file


def _map(file: Path) -> NDArray[Any]:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, TypeError, SyntaxError, EOFError, OverflowError, RecursionError) as error:
        raise BadEngine(f"The array {file.stem!r} cannot be read.") from error
    if not isinstance(array, np.ndarray) or not array.dtype.isnative:
        raise BadEngine(f"The array {file.stem!r} is no plain array.")
    # A view that is no memmap: each operation on one would make another of its kind.
    return array.view(np.ndarray)


def _hash(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as opened, suppress(EOFError):
        while piece := opened.read(_PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()
