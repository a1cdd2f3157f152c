"""What it costs to bring rows to a model's process and back: by its socket, and by shared memory.

``python -m loadtests.runner_transport``: microseconds a call of 30 columns of doubles, one answer a
row, taken in turns, the least of many. ``runner`` is a version without an engine as it is served;
``socket`` and ``shared`` are the two ways alone, between two bare processes: frames as they are
sent, and the same frames without arrays beside a memory that both map, copied into and read from
in place.
"""

import asyncio
import mmap
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import numpy as np
import uvloop
from numpy.typing import NDArray

from gateway.serving import messages
from gateway.serving.frames import Assembler
from gateway.serving.launch import Ground, RunnerLimits
from gateway.serving.progress import Progress
from gateway.serving.runner import start_runner
from registry.flavors.sklearn import SKLEARN
from registry.model_folder import ModelConfig, write_model_folder
from registry.route import VersionKey
from registry.tensors import Batch

ROWS = (1, 100, 1000, 10_000, 100_000)
WIDTH = 30
TURNS = 20
_LIMIT = 256 << 20
_PIECE = 1 << 18
Call = Callable[[NDArray[Any]], Coroutine[Any, Any, None]]


class FirstColumn:
    """The least that a model can do."""

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the first column."""
        return np.ascontiguousarray(rows[:, 0])


def main() -> None:
    """Print a line for each number of rows."""
    uvloop.run(_measure())


async def _measure() -> None:
    with tempfile.TemporaryDirectory() as name:
        runner = await asyncio.to_thread(_start, Path(name))
        await runner.attach(lambda _reason: None)

        async def ask(rows: NDArray[Any]) -> None:
            await runner.predict(Batch((), (rows,), is_matrix=True), {})

        by_socket, by_memory = await _Bare.start(), await _Shared.start()
        calls: dict[str, Call] = {"runner": ask, "socket": by_socket.ask, "shared": by_memory.ask}
        print(f"| rows | {' | '.join(calls)} |\n|---|{'---|' * len(calls)}")
        for count in ROWS:
            rows = np.random.default_rng(0).random((count, WIDTH))
            best = dict.fromkeys(calls, float("inf"))
            for _ in range(TURNS):
                for way, call in calls.items():
                    best[way] = min(best[way], await _time(call, rows))
            print(f"| {count} | {' | '.join(f'{best[way] * 1e6:.0f}' for way in calls)} |")
        runner.close()
        by_socket.close()
        by_memory.close()


async def _time(call: Call, rows: NDArray[Any]) -> float:
    repeats = max(3, 1000 // max(10, len(rows)))
    began_s = time.perf_counter()
    for _ in range(repeats):
        await call(rows)
    return (time.perf_counter() - began_s) / repeats


def _start(root: Path) -> Any:
    folder = root / "model"
    folder.mkdir()
    flavors = SKLEARN.save(FirstColumn(), folder, "predict")
    write_model_folder(folder, ModelConfig(flavors=flavors))
    limits = RunnerLimits(max_batch_rows=1 << 20)
    key = VersionKey("bench", 1, "0" * 64)
    return start_runner(key, folder, limits=limits, ground=Ground(root), progress=Progress())


class _Bare(asyncio.Protocol):
    """The socket alone: frames with their arrays, both ways."""

    def __init__(self) -> None:
        self._end, other = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            self._end.close()
            self._serve(other)
        other.close()
        self._assembler = Assembler(_LIMIT)
        self._answer: asyncio.Future[Any] | None = None
        self._transport: Any = None

    @classmethod
    async def start(cls) -> "_Bare":
        """Start the other end."""
        made = cls()
        loop = asyncio.get_running_loop()
        made._end.setblocking(False)  # noqa: FBT003  the standard library's signature
        made._transport, _ = await loop.create_connection(lambda: made, sock=made._end)
        return made

    def data_received(self, data: bytes) -> None:
        """Take in an answer."""
        for frame in self._assembler.feed(data):
            if self._answer is not None:
                self._answer.set_result(frame)

    async def ask(self, rows: NDArray[Any]) -> None:
        """Send rows, and read the answer."""
        heads, chunks = messages.write_arrays((rows,))
        frame = await self._send(heads, chunks)
        answer = cast("messages.Answer", messages.decode_from_runner(frame))
        messages.read_arrays(answer.heads, frame.body)

    def close(self) -> None:
        """End the other end."""
        self._transport.abort()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    async def _send(self, heads: Any, chunks: Any) -> Any:
        self._answer = asyncio.get_running_loop().create_future()
        message = messages.Predict(1, (), heads, is_matrix=True, params={})
        self._transport.writelines(messages.encode(message, chunks, max_frame_bytes=_LIMIT))
        return await self._answer

    def _serve(self, end: socket.socket) -> None:
        assembler = Assembler(_LIMIT)
        while piece := end.recv(_PIECE):
            for frame in assembler.feed(piece):
                call = cast("messages.Predict", messages.decode_to_runner(frame))
                heads, chunks = self._work(call, frame)
                answer = messages.Answer(1, ("output",), heads, is_table=False)
                for part in messages.encode(answer, chunks, max_frame_bytes=_LIMIT):
                    end.sendall(part)
        os._exit(0)

    def _work(self, call: messages.Predict, frame: Any) -> Any:
        (rows,) = messages.read_arrays(call.heads, frame.body)
        return messages.write_arrays((np.ascontiguousarray(rows[:, 0]),))


class _Shared(_Bare):
    """The same, with the arrays in memory that both map: one half for each direction."""

    def __init__(self) -> None:
        descriptor = os.memfd_create("arrays")
        os.ftruncate(descriptor, 2 * _LIMIT)
        self._memory = mmap.mmap(descriptor, 2 * _LIMIT)
        super().__init__()

    async def ask(self, rows: NDArray[Any]) -> None:
        """Copy rows in, and the answer out, since the memory is used again."""
        heads, (chunk,) = messages.write_arrays((rows,))
        memoryview(self._memory)[: chunk.nbytes] = chunk
        frame = await self._send(heads, ())
        answer = cast("messages.Answer", messages.decode_from_runner(frame))
        size = answer.heads[0].size_bytes
        messages.read_arrays(answer.heads, bytearray(memoryview(self._memory)[_LIMIT:][:size]))

    def _work(self, call: messages.Predict, frame: Any) -> Any:
        del frame
        size = call.heads[0].size_bytes
        rows = np.frombuffer(memoryview(self._memory)[:size], np.float64).reshape(-1, WIDTH)
        heads, (chunk,) = messages.write_arrays((np.ascontiguousarray(rows[:, 0]),))
        memoryview(self._memory)[_LIMIT:][: chunk.nbytes] = chunk
        return heads, ()


if __name__ == "__main__":
    main()
