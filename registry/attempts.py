"""One piece of a transaction that may fail without the others: under a savepoint of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError

Failures = dict[str, Exception]
"""What could not be done, by model, and why."""


@contextmanager
def attempt(connection: Connection, model: str, failures: Failures) -> Iterator[None]:
    """Do what stands in the block, or none of it: what fails is undone and noted.

    Args:
        connection: In whose transaction.
        model: Whose piece it is.
        failures: Where a failure is noted; a newer one of the model takes the older one's place.

    Raises:
        OperationalError: The database itself is the trouble: then all pieces are lost, or tried
            again together.
        InterfaceError: As well.
    """
    savepoint = connection.begin_nested()
    try:
        yield
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - handed to the caller, who tells it
        savepoint.rollback()
        failures[model] = error
    else:
        savepoint.commit()
