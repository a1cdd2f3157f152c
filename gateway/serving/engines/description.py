"""What an engine is, as plain values: the JSON beside its arrays. Pure.

Written in the process that loaded the model, read in every worker: whatever is not of these types
is refused. The arrays that go with it are ``folder``'s.
"""

from enum import StrEnum

from msgspec import Struct

FORMAT = 1
"""Part of the name of an engine's folder: another number is another form of everything here."""


class Verb(StrEnum):
    """One operation on all rows; its array has a value for each column."""

    SUBTRACT = "subtract"
    DIVIDE = "divide"
    MULTIPLY = "multiply"
    ADD = "add"
    CLIP = "clip"
    """Between the two values of its array."""


class Operation(Struct, frozen=True):
    """One operation of a scaler.

    Args:
        verb: What is done.
        is_narrowed: Whether its array takes the type of the rows first, as some scalers do.
    """

    verb: Verb
    is_narrowed: bool = False


class Scaling(Struct, frozen=True, tag="scaling"):
    """A step that changes columns one by one; arrays ``{step}.{n}`` in the order of operations."""

    operations: tuple[Operation, ...]


class Linear(Struct, frozen=True, tag="linear"):
    """A step that gives scores: rows by ``coef``, and ``intercept``."""


class Trees(Struct, frozen=True, tag="trees"):
    """A step that gives scores: sums over trees, in their order.

    Args:
        depth: Of the deepest tree.
        count: How many trees.
        groups: Tree ``i`` adds to group ``i % groups``; each has scores of its own.
        is_narrow: Whether rows are rounded to float32 before they are compared.
        allows_missing: Whether NaN is taken; each node says where it goes.
        allows_infinite: Whether infinities are taken.
        table_from_rows: From so many rows in a call the table is faster than the walk; 0 is never.
    """

    depth: int
    count: int
    groups: int
    is_narrow: bool
    allows_missing: bool
    allows_infinite: bool
    table_from_rows: int = 0


class Link(StrEnum):
    """From scores to numbers."""

    IDENTITY = "identity"
    EXP = "exp"
    SHARE = "share"
    """Divided by the number of trees."""
    EXPIT = "expit"
    """Two classes: the second's probability, and what is left for the first."""
    SOFTMAX = "softmax"
    ONE_VS_REST = "one_vs_rest"
    """Each class on its own, and then all of them normalized."""
    NONE = "none"
    """There are no probabilities."""


class Choice(StrEnum):
    """From scores to a class."""

    NO_CLASS = "no_class"
    """The model gives numbers."""
    LARGEST = "largest"
    """The first of the largest."""
    ABOVE = "above"
    """The second of two if its one score is above zero."""
    NOT_BELOW = "not_below"
    """The second of two unless its one score is below zero."""


class Finish(Struct, frozen=True):
    """From scores to the answer of each method."""

    link: Link
    choice: Choice


class Description(Struct, frozen=True):
    """An engine without its arrays.

    Args:
        kind: What it was made from, for people.
        width: How many columns a row has.
        names: The names that the model was fitted with, or none.
        steps: What is done with rows; the last gives scores.
        finish: What is done with scores.
        methods: Which methods of the model it answers, proved.
        default_method: What a call without ``predict_method`` asks for.
    """

    kind: str
    width: int
    names: tuple[str, ...] | None
    steps: tuple[Scaling | Linear | Trees, ...]
    finish: Finish
    methods: tuple[str, ...]
    default_method: str


class BadEngine(ValueError):
    """These values or arrays are no engine: nothing is built from them."""
