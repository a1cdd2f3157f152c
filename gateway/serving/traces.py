"""Where a model raised, as its process writes it down for the worker's log.

A trace has files, lines, functions and the classes of exceptions, and never their text: that may
quote the caller's rows. Next hop: ``trace_log``, in the worker.
"""

import traceback

MAX_CHARACTERS = 4000
"""Of one trace."""

_MOST_FRAMES = 16
_MOST_CAUSES = 3
_CAUSED = "\n\nThat led to:\n"


def trace_of(error: BaseException) -> str:
    """Return where an exception was raised, and where those that led to it were, first to last.

    Of the frames of each the innermost are kept. Whatever a model has in its way (a loader that
    raises when it is asked for its source), there is a trace: a short one.
    """
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and len(chain) < _MOST_CAUSES:
        chain.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    try:
        return clip(_CAUSED.join(_written(one) for one in reversed(chain)))
    except Exception:  # noqa: BLE001  a model may have anything in its way
        return type(error).__name__


def clip(trace: str) -> str:
    """Return the end of a trace, which says most, without what a terminal would obey."""
    tail = trace[-MAX_CHARACTERS:]
    return "".join(c if c.isprintable() or c == "\n" else " " for c in tail).strip()


def _written(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__, limit=-_MOST_FRAMES)
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return f"{''.join(traceback.format_list(frames))}{name}"
