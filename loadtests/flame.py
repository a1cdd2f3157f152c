"""Where a predict request spends its time: a picture of sampled stacks, in ``docs/images``.

``python -m loadtests.flame`` starts a server with one worker and one model, asks it for one row a
request from 64 connections, and samples the worker by py-spy meanwhile (``--seconds``,
``--model``). Where a process may not look into another one, py-spy says so.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from loadtests.bench_targets import Bed
from loadtests.flame_drawing import draw, fold
from loadtests.generator import Load, generate
from loadtests.ratios import OURS

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "hot-path.svg"
_CONNECTIONS = 64
_A_SECOND = 500
_WARM_S = 2
_LOOP = "run_worker"


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="B", help="A to E, as in loadtests/models.py")
    parser.add_argument("--seconds", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stacks = _sample(Path(folder), given.model, given.seconds)
    title = (
        f"One worker, model {given.model}, one row a request, {_CONNECTIONS} connections: "
        "width is time"
    )
    on_the_loop = [line for line in stacks.splitlines() if _LOOP in line]
    PICTURE.write_text(draw(fold(on_the_loop), title))
    print(f"{PICTURE.relative_to(PICTURE.parents[2])}: {PICTURE.stat().st_size / 1024:.0f} KiB")


def _sample(folder: Path, model: str, seconds: int) -> str:
    kept = folder / "stacks.txt"
    with Bed.laid(folder, 1, [model]) as bed, bed.targets(model, []) as targets:
        ours = next(target for target in targets if target.name == OURS)
        load = Load(ours.url, ours.probes(1).bodies, _CONNECTIONS, seconds + 2 * _WARM_S)
        command = [_py_spy(), "record", "--format", "raw", "--nolineno", "--output", str(kept)]
        options = ["--rate", str(_A_SECOND), "--duration", str(seconds)]
        pid = ["--pid", str(_busiest_child(ours.pid, load))]
        with subprocess.Popen([*command, *options, *pid], stdout=subprocess.DEVNULL) as spy:
            generate(load)
            if spy.wait():
                raise SystemExit("py-spy could not look into the worker: see above.")
    return kept.read_text()


def _busiest_child(pid: int, load: Load) -> int:
    """Return the worker: of all children the one that works while there is load."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    before = {child: _ticks(child) for child in children}
    generate(Load(load.url, load.bodies, load.connections, _WARM_S))
    return int(max(children, key=lambda child: _ticks(child) - before[child]))


def _ticks(pid: str) -> int:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return int(user) + int(system)


def _py_spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise SystemExit("py-spy is not installed: pip install py-spy")
    return found


if __name__ == "__main__":
    main()
