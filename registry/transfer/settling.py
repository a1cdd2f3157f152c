"""Which stages versions get that were staged elsewhere. Pure."""

from collections.abc import Mapping

from registry.stages import Stage, parse_stage

_ORDER = (Stage.NONE, Stage.ARCHIVED, Stage.STAGING, Stage.PRODUCTION)


def settle_stages(wanted: Mapping[int, str], *, is_single: bool) -> dict[int, Stage]:
    """Return the stage of each version, with at most one in Production where that is the rule.

    The highest number keeps Production, as MLflow resolves it; the others are archived.

    Args:
        wanted: The stage of each version elsewhere.
        is_single: Whether a model may have only one version in Production.

    Raises:
        InvalidRequest: There is no such stage.
    """
    stages = {number: parse_stage(text) for number, text in wanted.items()}
    held = max((n for n, stage in stages.items() if stage is Stage.PRODUCTION), default=None)
    return {
        number: Stage.ARCHIVED
        if is_single and stage is Stage.PRODUCTION and number != held
        else stage
        for number, stage in stages.items()
    }


def order_moves(here: Mapping[int, str], wanted: Mapping[int, Stage]) -> list[tuple[int, Stage]]:
    """Return the moves from the stages that are to those wanted, Production last.

    Args:
        here: The stage of each version now.
        wanted: The stage each of them should have.
    """
    moves = [(n, stage) for n, stage in wanted.items() if n in here and here[n] != stage]
    return sorted(moves, key=lambda move: (_ORDER.index(move[1]), move[0]))
