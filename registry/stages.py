"""The four stages, and what may carry them. Pure."""

from enum import StrEnum

from tracking.errors import InvalidRequest


class Stage(StrEnum):
    """Where a version stands."""

    NONE = "None"
    """Registered, and nothing more."""
    STAGING = "Staging"
    """Ready to be compared; takes the candidate's share of a split."""
    PRODUCTION = "Production"
    """Answers the calls that name no version."""
    ARCHIVED = "Archived"
    """Kept, and out of the way."""


_BY_LOWERED_NAME = {stage.value.lower(): stage for stage in Stage}


def find_stage(text: str) -> Stage | None:
    """Return the stage of that name in any case, or ``None``."""
    return _BY_LOWERED_NAME.get(text.lower())


def parse_stage(text: str) -> Stage:
    """Return the stage of that name, in any case.

    Raises:
        InvalidRequest: No stage has that name.
    """
    stage = find_stage(text)
    if stage is None:
        names = ", ".join(Stage)
        message = f"Invalid Model Version stage: {text!r}. Value must be one of {names}."
        raise InvalidRequest(message)
    return stage
