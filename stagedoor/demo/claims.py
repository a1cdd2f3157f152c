"""What the demo claims of its own numbers, and whether they bear it out. Pure."""

from collections.abc import Sequence

from msgspec import Struct

from stagedoor.demo.tally import Tally

WEIGHT_BP = 2000
"""The candidate's share during the canary."""
_TOLERANCE = 0.055
"""How far from its weight the share of a thousand users may lie; over four sigma."""


class Claim(Struct, frozen=True):
    """One thing that should hold.

    Args:
        text: What.
        is_met: Whether it did.
    """

    text: str
    is_met: bool


class Story(Struct, frozen=True):
    """The demo's numbers.

    Args:
        whole: All calls.
        canary: Those of the canary.
        candidate: The version that was tried.
        late: Calls that began after the promotion had returned, by a version other than that.
    """

    whole: Tally
    canary: Tally
    candidate: int
    late: int


def claims_of(story: Story) -> list[Claim]:
    """Return everything the demo claims."""
    share = story.canary.share_of(story.candidate)
    off = abs(share - WEIGHT_BP / 10_000)
    count = story.whole.count
    return [
        Claim(f"{count:,} requests, {story.whole.failed} failed", _none(story.whole.failed, count)),
        Claim(
            f"{story.whole.untrue} answers other than the stated version's own",
            _none(story.whole.untrue, count),
        ),
        Claim(
            f"the canary took {share:.1%} of the traffic, for {WEIGHT_BP / 10_000:.0%} asked",
            off <= _TOLERANCE,
        ),
        Claim(
            f"{story.canary.wavering} users met both versions during the canary",
            _none(story.canary.wavering, story.canary.count),
        ),
        Claim(
            f"{story.late} answers by the old version after the promotion had returned",
            story.late == 0,
        ),
    ]


def all_met(claims: Sequence[Claim]) -> bool:
    """Say whether every claim holds."""
    return all(claim.is_met for claim in claims)


def _none(wrong: int, count: int) -> bool:
    return wrong == 0 and count > 0
