"""Names for runs whose caller gave none: an adjective, a noun, a number. Pure."""

from random import Random

_ADJECTIVES = (
    "amber", "brisk", "calm", "candid", "clever", "crisp", "daring", "deft", "eager", "early",
    "fair", "fine", "fond", "gentle", "glad", "golden", "grand", "hardy", "honest", "humble",
    "keen", "kind", "lively", "lucid", "mellow", "merry", "mild", "neat", "nimble", "noble",
    "patient", "placid", "plucky", "polite", "proud", "quick", "quiet", "ready", "robust", "rosy",
    "sage", "silent", "sleek", "smart", "snug", "sober", "solid", "spry", "steady", "still",
    "stout", "subtle", "sunny", "swift", "tidy", "tender", "upbeat", "vivid", "warm", "witty",
)  # fmt: skip
_NOUNS = (
    "actor", "alto", "anthem", "aria", "ballad", "banner", "baton", "bell", "cantor", "cello",
    "chant", "chorus", "cue", "curtain", "dancer", "dirge", "drama", "drum", "duet", "encore",
    "fable", "farce", "fiddle", "finale", "flute", "gong", "harp", "horn", "lantern", "lute",
    "lyric", "mask", "medley", "mime", "minuet", "motif", "oboe", "opera", "organ", "overture",
    "piano", "poem", "polka", "prompter", "prop", "puppet", "ramp", "rhyme", "rondo", "satire",
    "scene", "script", "sonata", "song", "spot", "tango", "tempo", "troupe", "viola", "waltz",
)  # fmt: skip


def name_run(chance: Random) -> str:
    """Return a name such as ``brisk-cello-412``, at most 20 characters long."""
    return f"{chance.choice(_ADJECTIVES)}-{chance.choice(_NOUNS)}-{chance.randrange(1000)}"
