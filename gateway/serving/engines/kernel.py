"""The walk of ``walk.py`` as machine code, where llvmlite is installed: same leaves, sooner.

Neither code nor numbers of a model are compiled: it is the one text below, the same for all. Made
once in a process, in about a fifth of a second, when the first engine asks for it; never when none
does. Many rows go down one tree together, so that no step waits for the one before.
"""

import ctypes
import importlib.util
import logging
import re
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

_LOG = logging.getLogger("stagedoor.serving")
_LIBRARY = "llvmlite"
_DONT_NEED = 4
_MAPPED_CODE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-xp .*/libllvmlite")
_LOCK = threading.Lock()

_Address = ctypes.c_void_p
_Count = ctypes.c_int64
_SIGNATURE = (
    *(_Address, _Count, _Count),
    *(_Address, _Address, _Address, _Address, _Count, _Address),
)

# for 64 rows at a time: for each tree: all of them begin at its root, and take as many steps as it
# is deep. A leaf leads to itself. Once for rows without NaN, and once for all others, which takes
# half as long again.
_TEXT = """
define void @NAME(ptr %cells, i64 %rows, i64 %width, ptr %nodes, ptr %thresholds,
                     ptr %goes_left, ptr %depths, i64 %trees, ptr %leaves) {
entry:
  br label %block
block:
  %first = phi i64 [ 0, %entry ], [ %beyond, %block_done ]
  %beyond = add i64 %first, 64
  %is_short = icmp slt i64 %rows, %beyond
  %end = select i1 %is_short, i64 %rows, i64 %beyond
  br label %tree
tree:
  %which = phi i64 [ 0, %block ], [ %next_tree, %tree_done ]
  %mine_from = mul i64 %which, %rows
  %mine = getelementptr i64, ptr %leaves, i64 %mine_from
  %depth_at = getelementptr i64, ptr %depths, i64 %which
  %depth = load i64, ptr %depth_at
  br label %root
root:
  %begun = phi i64 [ %first, %tree ], [ %next_begun, %root ]
  %begun_at = getelementptr i64, ptr %mine, i64 %begun
  store i64 %which, ptr %begun_at
  %next_begun = add i64 %begun, 1
  %all_begun = icmp eq i64 %next_begun, %end
  br i1 %all_begun, label %level, label %root
level:
  %down = phi i64 [ 0, %root ], [ %next_down, %level_done ]
  %goes_on = icmp slt i64 %down, %depth
  br i1 %goes_on, label %step, label %tree_done
step:
  %row = phi i64 [ %first, %level ], [ %next_row, %step ]
  %place = getelementptr i64, ptr %mine, i64 %row
  %was = load i64, ptr %place
  %node_at = getelementptr i64, ptr %nodes, i64 %was
  %node = load i64, ptr %node_at
  %left = ashr i64 %node, 16
  %column = and i64 %node, 65535
  %row_from = mul i64 %row, %width
  %cell_from = add i64 %row_from, %column
  %cell_at = getelementptr double, ptr %cells, i64 %cell_from
  %cell = load double, ptr %cell_at
  %threshold_at = getelementptr double, ptr %thresholds, i64 %was
  %threshold = load double, ptr %threshold_at
  %is_above = fcmp ogt double %cell, %threshold
  WHERE_MISSING_GOES
  %more = zext i1 %goes_right to i64
  %now = add i64 %left, %more
  store i64 %now, ptr %place
  %next_row = add i64 %row, 1
  %all_stepped = icmp eq i64 %next_row, %end
  br i1 %all_stepped, label %level_done, label %step
level_done:
  %next_down = add i64 %down, 1
  br label %level
tree_done:
  %next_tree = add i64 %which, 1
  %all_trees = icmp eq i64 %next_tree, %trees
  br i1 %all_trees, label %block_done, label %tree
block_done:
  %all_rows = icmp sge i64 %beyond, %rows
  br i1 %all_rows, label %done, label %block
done:
  ret void
}
"""


_GAPPY = """
  %is_missing = fcmp uno double %cell, %cell
  %side_at = getelementptr i8, ptr %goes_left, i64 %was
  %side = load i8, ptr %side_at
  %is_right_side = icmp eq i8 %side, 0
  %is_astray = and i1 %is_missing, %is_right_side
  %goes_right = or i1 %is_above, %is_astray
"""
_WHOLE = """
  %goes_right = or i1 %is_above, false
"""


class _Code(Struct, frozen=True):
    """Two functions, and who owns the memory that they are in."""

    owner: Any
    whole: Callable[..., None]
    gappy: Callable[..., None]


class CompiledWalk:
    """Immutable, safe from any thread; other threads run meanwhile.

    Args:
        nodes: Checked by ``walk.check_nodes``, and in memory that nobody else can write to, as are
            the others: machine code looks wherever they say.
        thresholds: As in a walk.
        goes_left: Likewise.
        depths: Of each tree.
        width: How many columns a row has.
    """

    def __init__(
        self,
        nodes: NDArray[np.int64],
        thresholds: NDArray[np.float64],
        goes_left: NDArray[np.bool_],
        depths: NDArray[np.int64],
        *,
        width: int,
    ) -> None:
        _machine_code()
        self._kept = (nodes, thresholds, goes_left, depths)
        self._addresses = tuple(array.ctypes.data for array in self._kept)
        self._count = depths.size
        self._width = width

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the leaves that rows arrive at.

        Args:
            rows: Shape (rows, columns), C-contiguous.

        Returns:
            Shape (trees, rows), positions of nodes.

        Raises:
            ValueError: The rows have another shape or type.
        """
        count, width = rows.shape
        if width != self._width or rows.dtype != np.float64 or not rows.flags.c_contiguous:
            raise ValueError(rows.shape)
        leaves = np.empty((self._count, count), np.int64)
        if count:
            code = _compile()  # not kept: it is nobody's own, and is not to be weighed
            descend = code.gappy if np.isnan(rows).any() else code.whole
            where = rows.ctypes.data, count, width
            descend(*where, *self._addresses, self._count, leaves.ctypes.data)
        return leaves


def can_compile() -> bool:
    """Whether machine code can be made here."""
    try:
        return importlib.util.find_spec(_LIBRARY) is not None and bool(_machine_code())
    except (OSError, RuntimeError) as error:
        _LOG.warning("trees are not walked by machine code: %s", error)
        return False


def _machine_code() -> _Code:
    with _LOCK:
        return _compile()


@cache
def _compile() -> _Code:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=3, jit=True)
    text = "".join(
        _TEXT.replace("NAME", name).replace("WHERE_MISSING_GOES", where)
        for name, where in (("whole", _WHOLE), ("gappy", _GAPPY))
    )
    owner = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine)
    owner.finalize_object()
    kind = ctypes.CFUNCTYPE(None, *_SIGNATURE)
    whole, gappy = (kind(owner.get_function_address(name)) for name in ("whole", "gappy"))
    _forget_compiler()
    return _Code(owner, whole, gappy)


def _forget_compiler() -> None:
    """Let go what was read of the compiler's own code: nobody compiles again. 45 MiB of a worker.

    Whoever touches it all the same has it read from its file again.
    """
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for found in map(_MAPPED_CODE.match, Path("/proc/self/maps").read_text().splitlines()):
        if found:
            begin, end = (int(edge, 16) for edge in found.groups())
            advise(begin, end - begin, _DONT_NEED)
