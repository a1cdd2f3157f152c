"""Servers for stories: started as users start them, and at the end asked for their bugs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.server import Server, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test alone, with two workers."""
    with running(Server(tmp_path / "server")) as started:
        yield started


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the stories of a module that do not disturb each other."""
    with running(Server(tmp_path_factory.mktemp("shared") / "server")) as started:
        yield started
