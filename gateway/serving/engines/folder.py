"""An engine as files: ``engine.json``, and a ``.npy`` for each array, or a graph; workers map them.

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

from gateway.parsing import PARSING
from gateway.serving.engines.converted_graph import ConvertedGraphEngine
from gateway.serving.engines.description import (
    AnyDescription,
    BadEngine,
    ConvertedGraph,
    Description,
    GraphDescription,
)
from gateway.serving.engines.engine import Arrays, Engine
from gateway.serving.engines.graph import GraphEngine
from gateway.serving.engines.in_worker import InWorker
from gateway.serving.engines.naming import methods_of
from gateway.serving.engines.refusal import Refused

_DESCRIPTION = "engine.json"
_ARRAY = re.compile(r"[a-z0-9.]{1,64}\.npy")
_GRAPH = "graph.onnx"
_MAX_DESCRIPTION_BYTES = 8 << 20
_MAX_GRAPH_BYTES = 256 << 20
_MAX_ARRAYS = 1024
_PIECE_BYTES = 1 << 20


def write_engine(folder: Path, description: Description, arrays: Arrays) -> None:
    """Write an engine into an empty folder."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (folder / _DESCRIPTION).write_bytes(msgspec.json.encode(description))


def write_graph(folder: Path, description: GraphDescription | ConvertedGraph, data: bytes) -> None:
    """Write an engine that is a graph into an empty folder."""
    (folder / _GRAPH).write_bytes(data)
    (folder / _DESCRIPTION).write_bytes(msgspec.json.encode(description))


def read_engine(folder: Path) -> InWorker:
    """Map the arrays of an engine, or read its graph, and build it.

    Raises:
        BadEngine: The files are not what they should be.
        OSError: They cannot be read.
    """
    description = folder / _DESCRIPTION
    if description.stat().st_size > _MAX_DESCRIPTION_BYTES:
        raise BadEngine("The description is too large.")
    try:
        described: AnyDescription = msgspec.json.decode(
            description.read_bytes(), type=AnyDescription
        )
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadEngine("The description cannot be read.") from error
    engine = _build(described, list(_files(folder)))
    _try(engine)
    return engine


def hash_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of an engine.

    Raises:
        BadEngine: Something else lies there.
    """
    files = [folder / _DESCRIPTION, *_files(folder)]
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


def _build(description: AnyDescription, files: list[Path]) -> InWorker:
    names = [file.name for file in files]
    if not isinstance(description, Description):
        if names != [_GRAPH] or files[0].stat().st_size > _MAX_GRAPH_BYTES:
            raise BadEngine("There is no graph, or something besides.")
        data = files[0].read_bytes()
        if isinstance(description, ConvertedGraph):
            return ConvertedGraphEngine(description, data)
        return GraphEngine(description, data)
    if _GRAPH in names:
        raise BadEngine("There is a graph beside arrays.")
    return Engine(description, {file.stem: _map(file) for file in files})


def _try(engine: InWorker) -> None:
    """Ask once for each method: whatever is wrong with an engine comes out here, not later."""
    rows = engine.sample(2)
    for method in methods_of(engine.description):
        try:
            engine.answer(rows, method)
        except Refused:
            continue
        except Exception as error:
            raise BadEngine(f"Asked for {method!r}, it raises {type(error).__name__}.") from error


def _files(folder: Path) -> Iterator[Path]:
    for count, file in enumerate(sorted(folder.iterdir())):
        if count > _MAX_ARRAYS or file.is_symlink() or not file.is_file():
            raise BadEngine("There are too many files, or something that is no file.")
        if file.name == _DESCRIPTION:
            continue
        if file.name != _GRAPH and not _ARRAY.fullmatch(file.name):
            raise BadEngine("There is a file that is no part of an engine.")
        yield file


def _map(file: Path) -> NDArray[Any]:
    try:
        with PARSING:
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
