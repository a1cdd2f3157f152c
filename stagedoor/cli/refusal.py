"""How a refusal of ours reaches a terminal: one sentence, exit code 1, no stack."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from tracking.errors import StagedoorError


@contextmanager
def refusals_shown() -> Iterator[None]:
    """Turn every error that we raise on purpose into click's."""
    try:
        yield
    except StagedoorError as error:
        raise click.ClickException(error.message) from error
