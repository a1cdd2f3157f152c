"""Bringing everything over from another store into a database of ours.

What is here already is compared first; so a call that was killed, or one that comes a second time,
adds only what is missing. Next hops: ``passage``, ``run_import``, ``model_import``.
"""

from registry.transfer.file_copy import FileCopier
from registry.transfer.model_import import ModelImport
from registry.transfer.passage import Passage, Watcher
from registry.transfer.places import Places
from registry.transfer.run_import import RunImport
from registry.transfer.selection import Selection
from registry.transfer.source import Source
from registry.transfer.tally import Tally
from registry.transfer.target import Target


def import_into(
    target: Target, source: Source, places: Places, selection: Selection, watcher: Watcher
) -> Tally:
    """Bring over what a source has, and return what that came to.

    Args:
        target: Where it goes.
        source: Where everything is now.
        places: What may be read of its files.
        selection: What is taken.
        watcher: Told of the progress.

    Raises:
        InvalidRequest: The source is damaged as a whole, or something that was named is not there.
        Unavailable: Source or target do not answer; what was written stays, and the next call goes
            on.
    """
    tally = Tally()
    copier = FileCopier(places, target.files, tally)
    try:
        Passage(source, selection, tally, watcher).go(
            RunImport(source, target, copier, tally),
            ModelImport(target, copier, tally, origin=source.name),
        )
    finally:
        copier.close()
    return tally
