"""The one thread of this process that writes to a SQLite file.

Callers of any thread hand in a piece of work and wait. The thread gathers what waits into one
transaction, each piece under a SAVEPOINT, so that a bad one fails alone and all others share the
cost of one fsync. A caller returns only after the commit. Next hop: ``tracking.sqlite``.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread, get_ident
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Connection

T = TypeVar("T")

_MOST_IN_ONE_TRANSACTION = 500


class Task(Struct, frozen=True, eq=False):
    """A piece of work and the place where its caller waits. Handed from thread to thread once."""

    work: Callable[[Connection], Any]
    outcome: "Future[Any]"


class Done(Struct, frozen=True):
    """A piece of work that returned, not yet committed. Immutable."""

    value: Any


class Failed(Struct, frozen=True):
    """A piece of work that raised and was undone. Immutable."""

    error: BaseException


class Writer:
    """Gathers waiting work into transactions. Safe from any thread; starts its thread when needed.

    Args:
        transact: Runs pieces of work in one committed transaction and returns what became of each;
            raises when the transaction as a whole came to nothing.
    """

    def __init__(
        self,
        transact: Callable[[Sequence[Callable[[Connection], Any]]], Sequence[Done | Failed]],
    ) -> None:
        self._transact = transact
        self._waiting: SimpleQueue[Task | None] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run one piece of work and return its value once it is committed."""
        return self.submit(work).result()

    def submit(self, work: Callable[[Connection], T]) -> "Future[T]":
        """Hand in one piece of work, and return where its value will be once it is committed.

        Who cancels that before the work begins has withdrawn it.
        """
        outcome: Future[T] = Future()
        with self._starting:
            thread = self._running_thread()
            if thread.ident == get_ident():
                raise RuntimeError("a piece of work may not write again: it would wait for itself")
            self._waiting.put(Task(work, outcome))
        return outcome

    def close(self) -> None:
        """Finish what waits and end the thread."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._waiting.put(None)
        if thread is not None:
            thread.join()

    def _running_thread(self) -> Thread:
        if self._thread is None:
            self._thread = Thread(target=self._run, name="sqlite-writer", daemon=True)
            self._thread.start()
        return self._thread

    def _run(self) -> None:
        is_open = True
        while is_open:
            tasks, is_open = self._gather()
            if tasks:
                self._settle(tasks)

    def _gather(self) -> tuple[list[Task], bool]:
        """Wait for the first task, then take what else is there; False after the closing mark."""
        tasks: list[Task] = []
        task = self._waiting.get()
        while task is not None:
            if task.outcome.set_running_or_notify_cancel():
                tasks.append(task)
            if len(tasks) == _MOST_IN_ONE_TRANSACTION:
                return tasks, True
            try:
                task = self._waiting.get_nowait()
            except Empty:
                return tasks, True
        return tasks, False

    def _settle(self, tasks: list[Task]) -> None:
        try:
            ends = self._transact([task.work for task in tasks])
        except BaseException as fault:  # noqa: BLE001 - handed to those who wait, who raise it
            ends = [Failed(fault)] * len(tasks)
        for task, end in zip(tasks, ends, strict=True):
            match end:
                case Done(value):
                    task.outcome.set_result(value)
                case Failed(error):
                    task.outcome.set_exception(error)
