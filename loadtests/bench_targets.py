"""What a bench measures: the floor, our server with all models, and peers with one model each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from loadtests import peers
from loadtests.bare_uvicorn import bare_uvicorn
from loadtests.models import (
    Encode,
    Probes,
    Specimen,
    as_scoring,
    probe,
    put_models,
    read_scoring,
    train,
)
from loadtests.ratios import FLOOR, OURS
from stagedoor.demo.server_process import ServerOptions, free_port, run_server


class Target(Struct, frozen=True):
    """Something to measure.

    Args:
        name: For the table.
        url: Where to send rows.
        pid: The root of its processes.
        specimen: The model that it serves.
        encode: Writes a body.
        read: Reads an answer; none where there is nothing to compare.
    """

    name: str
    url: str
    pid: int
    specimen: Specimen
    encode: Encode
    read: Callable[[Any], list[float]] | None

    def probes(self, rows: int) -> Probes:
        """Draw requests of so many rows."""
        return probe(self.specimen, rows, self.encode)


class Bed(Struct, frozen=True):
    """The floor and our server, which stay while peers come and go."""

    folder: Path
    workers: int
    specimens: Mapping[str, Specimen]
    floor: tuple[str, int]
    ours: tuple[str, int]

    @classmethod
    @contextmanager
    def laid(cls, folder: Path, workers: int, models: Sequence[str]) -> Iterator["Bed"]:
        """Start both, until the end of the block."""
        specimens = {name: train(name) for name in models}
        options = ServerOptions(folder / "server", workers=workers)
        with floor_server(workers) as floor, run_server(options) as server:
            put_models(server.url, specimens.values())
            yield cls(folder, workers, specimens, floor, (server.url, server.process.pid))

    @contextmanager
    def targets(self, model: str, names: Sequence[str]) -> Iterator[list[Target]]:
        """Give all that serves a model; peers are started for the block."""
        specimen = self.specimens[model]
        floor_url, floor_pid = self.floor
        url, pid = self.ours
        path = f"/models/{model}/invocations"
        found = [
            Target(FLOOR, floor_url + path, floor_pid, specimen, as_scoring, None),
            Target(OURS, url + path, pid, specimen, as_scoring, read_scoring),
        ]
        with ExitStack() as stack:
            wanted = (self._peer(peers.PEERS[name], specimen) for name in names)
            found += map(stack.enter_context, wanted)
            yield found

    @contextmanager
    def _peer(self, peer: peers.Peer, specimen: Specimen) -> Iterator[Target]:
        folder = self.folder / f"{peer.name}-{specimen.name}"
        peers.save(specimen, folder)
        serving = peers.Serving(folder, free_port(), self.workers)
        with peers.running(peer, serving) as (url, pid):
            yield Target(peer.name, url, pid, specimen, peer.encode, peer.read)


@contextmanager
def floor_server(workers: int) -> Iterator[tuple[str, int]]:
    """Run the floor for the length of a ``with`` block; give its address and its process."""
    with bare_uvicorn("loadtests.floor:app", workers=workers) as found:
        yield found
