"""Experiments, and which one new runs go to."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from stagedoor.client import StagedoorClient
from stagedoor.entities import Experiment
from stagedoor.session import get_tracking_uri
from tracking.errors import InvalidRequest, ResourceExists, ResourceMissing
from tracking.settings import client_settings

_DEFAULT_ID = "0"
_chosen: dict[str, str] = {}
"""Tracking URI to the id that was chosen while it was in force."""


def set_experiment(
    experiment_name: str | None = None, experiment_id: str | None = None
) -> Experiment:
    """Choose the experiment that new runs go to, by name or by id; a new name creates it.

    Raises:
        InvalidRequest: Both or neither are given, or the experiment is deleted.
        ResourceMissing: No experiment has that id.
    """
    if (experiment_name is None) == (experiment_id is None):
        raise InvalidRequest("Give the name of an experiment or its id, not both.")
    if experiment_name is not None:
        experiment = _by_name(experiment_name)
    else:
        experiment = StagedoorClient().get_experiment(str(experiment_id))
    if experiment.lifecycle_stage == "deleted":
        raise InvalidRequest(
            f"The experiment {experiment.name!r} is deleted: restore it, or choose another name."
        )
    _chosen[get_tracking_uri()] = experiment.experiment_id
    return experiment


def chosen_experiment_id() -> str:
    """Return the id of the experiment that new runs go to: chosen, by environment, or Default."""
    chosen = _chosen.get(get_tracking_uri())
    if chosen is not None:
        return chosen
    name = client_settings().experiment_name
    return _by_name(name).experiment_id if name else _DEFAULT_ID


def create_experiment(
    name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
) -> str:
    """Create an experiment and return its id."""
    return StagedoorClient().create_experiment(name, artifact_location, tags)


def get_experiment(experiment_id: str) -> Experiment:
    """Return an experiment, also a deleted one."""
    return StagedoorClient().get_experiment(experiment_id)


def get_experiment_by_name(name: str) -> Experiment | None:
    """Return the experiment of that name, also a deleted one, or ``None``."""
    return StagedoorClient().get_experiment_by_name(name)


def search_experiments(
    view_type: str = "ACTIVE_ONLY",
    max_results: int | None = None,
    filter_string: str = "",
    order_by: Sequence[str] | None = None,
) -> list[Experiment]:
    """Return all experiments that match, or as many as ``max_results`` says."""
    client = StagedoorClient()
    found: list[Experiment] = []
    token: str | None = None
    while True:
        page = client.search_experiments(
            view_type=view_type,
            filter_string=filter_string or None,
            order_by=order_by,
            page_token=token,
        )
        found.extend(page)
        token = page.token
        if token is None or (max_results is not None and len(found) >= max_results):
            return found[:max_results]


def _by_name(name: str) -> Experiment:
    client = StagedoorClient()
    found = client.get_experiment_by_name(name)
    if found is None:
        # Somebody else may create it between the two calls.
        with contextlib.suppress(ResourceExists):
            client.create_experiment(name)
        found = client.get_experiment_by_name(name)
    if found is None:
        raise ResourceMissing(f"The experiment {name!r} went away while it was being looked up.")
    return found
