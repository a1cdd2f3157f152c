"""Threads that decode into the same new structs at the same time do not end the process."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Structs that are made of others take long to find out about, and the threads switch all the time.
SCRIPT = """
import sys, threading, types
import msgspec
from tracking.struct_types import make_ready

sys.setswitchinterval(1e-6)
body = b'{"last": {"text": "x"}, "end": {"a": 1}}'

def race(number):
    inner = "".join(
        f"class In{i}(msgspec.Struct):\\n    text: 'str|None' = None\\n" for i in range(4)
    )
    fields = "".join(f"    f{i}: 'In{i} | None' = None\\n" for i in range(4))
    outer = "class Out(msgspec.Struct):\\n" + fields + "    last: 'In3 | None' = None\\n"
    outer += "    end: 'dict[str, int]' = {}\\n"
    module = types.ModuleType(f"made{number}")
    sys.modules[module.__name__] = module
    exec("import msgspec\\n" + inner + outer, module.__dict__)
    if sys.argv[1] == "ready":
        make_ready()
    barrier = threading.Barrier(6)
    def decode():
        barrier.wait()
        assert msgspec.json.decode(body, type=module.Out).end == {"a": 1}
    threads = [threading.Thread(target=decode) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

for number in range(int(sys.argv[2])):
    race(number)
"""


def race(word: str, times: int) -> int:
    command = [sys.executable, "-c", SCRIPT, word, str(times)]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=120).returncode


def test_threads_may_decode_into_structs_that_were_made_ready() -> None:
    """Without that this ends by a segmentation fault, nearly always within these races."""
    assert race("ready", 300) == 0


def test_threads_that_decode_into_others_end_the_process() -> None:
    """Should this fail with a new msgspec, nothing has to be made ready any more."""
    assert race("bare", 3_000) < 0
