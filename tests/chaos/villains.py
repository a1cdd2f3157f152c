"""Models that do harm, while they are loaded or at one call, each in its own way.

What they may do is what a server must outlive; what a caller of theirs may be told stands beside.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import cloudpickle
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tests.journeys.models import Marked

TRIGGER = 666.0
"""A row that begins with it makes a ``Villain`` do its deed."""

DIED = frozenset({500, 503})
LATE = frozenset({504})
ANSWERED = frozenset({200})
FAILED = frozenset({500})


class Deed(Struct, frozen=True):
    """One kind of harm.

    Args:
        code: Python that does it; what it leaves in ``answer`` is answered.
        told: What a caller may be told of it.
        timeout_ms: The time that the caller gives; 0 for none.
    """

    code: str
    told: frozenset[int]
    timeout_ms: int = 0


class Villain(Marked):
    """A good model, until a row asks for its deed."""

    def __init__(self, code: str) -> None:
        super().__init__(1)
        self.code = code

    def predict(self, rows: NDArray[Any]) -> Any:
        if TRIGGER not in np.asarray(rows):
            return super().predict(rows)
        done: dict[str, Any] = {"rows": rows, "np": np, "answer": super().predict(rows)}
        exec(self.code, done)
        return done["answer"]


class Mine(Marked):
    """Does its deed while it is unpickled."""

    def __init__(self, code: str) -> None:
        super().__init__(1)
        self.code = code

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str, dict[str, object]]]:
        return exec, (self.code, {})


cloudpickle.register_pickle_by_value(sys.modules[__name__])

SEGFAULT = "import ctypes; ctypes.string_at(0)"
EXIT = "import os; os._exit(3)"
POLITE_EXIT = "import sys; sys.exit(0)"
LOOP = "while True: pass"
HOLD_LOCK = "import ctypes; ctypes.PyDLL(None).sleep(3600)"
STOP = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
SLEEP = "import time; time.sleep(3600)"
CLOSE_ALL = "import os; os.closerange(0, 65536)"
LEAK = "kept = []\nwhile True: kept.append(bytearray(b'x') * (16 << 20))"
FLOOD = (
    "import sys\n"
    "for _ in range(64):\n"
    "    sys.stdout.write('x' * (64 << 10)); sys.stderr.write('y' * (64 << 10))\n"
)
CHILDREN = """
import ctypes, os, signal, subprocess, sys, time
def leave():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)
for deed in ('stay', 'leave the group', 'leave twice', 'keep the socket'):
    child = ctypes.CDLL(None).fork() if deed == 'keep the socket' else os.fork()
    if child:
        continue
    if deed != 'stay':
        os.setsid()
    if deed == 'leave twice' and os.fork():
        os._exit(0)
    leave()
subprocess.Popen(
    [sys.executable, '-c', 'import time; time.sleep(3600)', os.environ['HOME']],
    env={}, start_new_session=True,
)
"""
THREADS = """
import threading, time
for _ in range(20):
    threading.Thread(target=time.sleep, args=(3600,)).start()
"""
LIES = """
import os, stat
for descriptor in range(3, 4096):
    try:
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            os.write(descriptor, b'\\xff' * 64)
    except OSError:
        pass
"""
SCRIBBLE = "open('scribble', 'wb').write(bytes(64 << 20))"

LEAK_BESIDE = """
import os, time
if not os.fork():
    kept = [bytearray(b'x') * (600 << 20)]
    time.sleep(3600)
if not os.fork():
    kept = [bytearray(b'x') * (600 << 20)]
    time.sleep(3600)
"""

AT_LOAD: Mapping[str, str] = {
    "segfault": SEGFAULT,
    "exit": EXIT,
    "polite exit": POLITE_EXIT,
    "loop": LOOP,
    "stop": STOP,
    "close all": CLOSE_ALL,
    "leak": LEAK,
    "flood": FLOOD + "raise ValueError('no')",
    "children": CHILDREN + "os._exit(3)",
    "lies": LIES + "import time; time.sleep(3600)",
}

AT_CALL: Mapping[str, Deed] = {
    "segfault": Deed(SEGFAULT, DIED),
    "exit": Deed(EXIT, DIED),
    "polite exit": Deed(POLITE_EXIT, DIED),
    "loop": Deed(LOOP, LATE),
    "hold the lock": Deed(HOLD_LOCK, LATE),
    "stop": Deed(STOP, LATE),
    "sleep": Deed(SLEEP, LATE),
    "past the deadline": Deed("import time; time.sleep(2)", LATE, timeout_ms=300),
    "close all": Deed(CLOSE_ALL, DIED),
    "leak": Deed(LEAK, DIED),
    "leak beside": Deed(LEAK_BESIDE, ANSWERED),
    "flood": Deed(FLOOD, ANSWERED | LATE),
    "children": Deed(CHILDREN, ANSWERED),
    "children and exit": Deed(CHILDREN + "os._exit(3)", DIED),
    "threads": Deed(THREADS, ANSWERED),
    "scribble": Deed(SCRIBBLE, ANSWERED),
    "lies": Deed(LIES, DIED),
    "recursion": Deed("def again(): again()\nagain()", FAILED),
    "too many rows": Deed("answer = np.zeros(7)", FAILED),
    "no rows": Deed("answer = np.zeros(0)", FAILED),
    "no array": Deed("answer = None", ANSWERED),  # null, as MLflow has it: decision 61
    "an object": Deed("answer = [object()]", FAILED),
    "complex": Deed("answer = np.array([1j])", FAILED),
    "not a number": Deed("answer = np.array([np.nan])", ANSWERED),
    "60 MB": Deed("answer = np.zeros((1, 7_500_000))", ANSWERED),
    "100 MB": Deed("answer = np.zeros((1, 12_500_000))", FAILED),
    "500 MB": Deed("answer = np.zeros((1, 62_500_000))", DIED),
    "100 MB of text": Deed("answer = np.array(['x' * 100_000_000], object)", FAILED),
}
