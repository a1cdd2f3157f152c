"""Gathering, settling and closing, over a transaction that only remembers."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from tracking.writer import Done, Failed, Writer


class Remembering:
    """Runs work on no database, and remembers how many pieces came together."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.gate.set()
        self._connection = create_engine("sqlite://").connect()

    def __call__(self, works: Sequence[Callable[[Connection], Any]]) -> Sequence[Done | Failed]:
        self.entered.set()
        self.gate.wait(10)
        self.sizes.append(len(works))
        return [self._run(work) for work in works]

    def _run(self, work: Callable[[Connection], Any]) -> Done | Failed:
        try:
            return Done(work(self._connection))
        except ValueError as error:
            return Failed(error)


def fail(_: Connection) -> None:
    raise ValueError("mine alone")


def test_what_waits_goes_into_one_transaction() -> None:
    transact = Remembering()
    writer = Writer(transact)
    transact.gate.clear()
    threads = [threading.Thread(target=writer.write, args=(lambda _: None,)) for _ in range(5)]

    threads[0].start()
    transact.entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    while writer._waiting.qsize() < 4:  # noqa: SLF001 - the only sign that all wait
        pass
    transact.gate.set()
    for thread in threads:
        thread.join(10)

    assert transact.sizes == [1, 4]
    writer.close()


def test_an_error_goes_to_its_own_caller() -> None:
    writer = Writer(Remembering())

    with pytest.raises(ValueError, match="mine alone"):
        writer.write(fail)

    assert writer.write(lambda _: 7) == 7
    writer.close()


def test_a_transaction_that_comes_to_nothing_reaches_all_who_wait() -> None:
    def broken(works: Sequence[Callable[[Connection], Any]]) -> Sequence[Done | Failed]:
        raise OSError(len(works))

    writer = Writer(broken)

    for _ in range(2):
        with pytest.raises(OSError, match="1"):
            writer.write(lambda _: None)
    writer.close()


def test_a_closed_writer_starts_again_when_used() -> None:
    writer = Writer(Remembering())
    writer.close()
    writer.write(lambda _: None)
    writer.close()
    writer.close()

    assert writer.write(lambda _: 1) == 1
    writer.close()


def test_work_that_was_withdrawn_is_not_done_and_stops_nothing() -> None:
    transact = Remembering()
    writer = Writer(transact)
    transact.gate.clear()
    held = writer.submit(lambda _: "held")
    transact.entered.wait(10)
    withdrawn = writer.submit(lambda _: "withdrawn")
    kept = writer.submit(lambda _: "kept")

    assert withdrawn.cancel()
    assert not held.cancel()  # it is being written
    transact.gate.set()

    assert (held.result(10), kept.result(10)) == ("held", "kept")
    assert transact.sizes == [1, 1]
    writer.close()
