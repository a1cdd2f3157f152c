"""What an engine is, as plain values: the JSON beside its arrays. Pure.

Written in the process that loaded the model, read in every worker: whatever is not of these types
is refused. The arrays that go with it are ``folder``'s.
"""

from enum import StrEnum

from msgspec import Struct

FORMAT = 6
"""Part of the name of an engine's folder: another number is another form of everything here."""


TAKEN = ("<f8", "<f4", "<i8", "<i4")
"""Types of numbers that an engine may take."""


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


class Imputing(Struct, frozen=True, tag="imputing"):
    """A step that puts a value in the place of NaN; array ``0`` has one for each column."""


class Encoding(Struct, frozen=True, tag="encoding"):
    """A step that turns categories into numbers, and refuses infinities.

    Its arrays: ``0`` the categories of all columns in a row, ascending within each, NaN as
    infinity; ``1`` how many each column has; ``2`` what each becomes: a place in the row that comes
    out, -1 for none, or its number.

    Args:
        is_one_hot: Whether a category becomes a one at its place, or a number.
        width: How many columns come out.
        takes_unknown: Whether a value that is no category is taken.
        unknown: What it becomes where categories become numbers.
    """

    is_one_hot: bool
    width: int
    takes_unknown: bool
    unknown: float = 0.0


Preparing = Scaling | Imputing | Encoding


class Block(Struct, frozen=True):
    """Some columns, and what is done with them; arrays ``{step}.{block}.{place}.{n}``."""

    columns: tuple[int, ...]
    steps: tuple[Preparing, ...]


class Columns(Struct, frozen=True, tag="columns"):
    """A step that treats columns apart and puts what comes out side by side."""

    blocks: tuple[Block, ...]


class Splitting(Struct, frozen=True, tag="splitting"):
    """A step that puts, in place of numbered categories, on which side of each split they lie.

    The first columns hold categories; the others come first in what comes out. Its arrays: ``0``
    how many categories each of the first columns has; ``1`` how many splits; ``2`` whether a
    category goes right, a table of (categories, splits) for each of them, one after the other. What
    is no category becomes NaN.
    """


class Linear(Struct, frozen=True, tag="linear"):
    """A step that gives scores: rows by ``coef``, and ``intercept``.

    Args:
        is_in_order: Whether products are added up one column after the other, as the libraries do
            with sparse rows.
    """

    is_in_order: bool = False


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
        compiled_from_rows: From so many rows the walk as machine code is the fastest; 0 is never.
        is_single: Whether sums are added up in float32.
        refuses_with: The class that the model raises on what it does not take.
    """

    depth: int
    count: int
    groups: int
    is_narrow: bool
    allows_missing: bool
    allows_infinite: bool
    table_from_rows: int = 0
    compiled_from_rows: int = 0
    is_single: bool = False
    refuses_with: str = "ValueError"


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
    NARROW_EXPIT = "narrow_expit"
    """As ``EXPIT`` in float32."""
    NARROW_SOFTMAX = "narrow_softmax"
    NARROW_EXP = "narrow_exp"
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
    LIKELIER = "likelier"
    """The first of the most probable."""


class Finish(Struct, frozen=True):
    """From scores to the answer of each method."""

    link: Link
    choice: Choice


class Calibration(StrEnum):
    """From a member's scores to probabilities."""

    NONE = "none"
    SIGMOID = "sigmoid"
    """Arrays ``slopes`` and ``intercepts``, one of each for a class; for two classes one."""
    ISOTONIC = "isotonic"
    """Straight lines between points: arrays ``at{n}`` and ``becomes{n}`` for class ``n``."""


class Combining(StrEnum):
    """From the answers of several members to one."""

    MEAN = "mean"
    SUM = "sum"
    """One after the other."""
    VOTES = "votes"
    """Members answer with places of labels."""
    BESIDE = "beside"
    """As columns for the next step."""


class Member(Struct, frozen=True):
    """An engine within an engine; arrays ``{member}.…``, its labels ``{member}.classes``.

    Args:
        columns: Which ones it looks at; none for all.
        steps: As in an engine.
        finish: Likewise.
        method: What it is asked for.
        calibration: What is done with its answer.
    """

    columns: tuple[int, ...]
    steps: "tuple[Step, ...]"
    finish: Finish
    method: str
    calibration: Calibration = Calibration.NONE


class Ensemble(Struct, frozen=True, tag="ensemble"):
    """A step that asks several members; array ``weights`` has one for each where they differ.

    Args:
        members: In order.
        combining: What is made of their answers.
        width: How many columns come out.
        drops_first: Whether of two probabilities only the second comes out.
        passes_rows: Whether the rows come out behind the answers.
    """

    members: tuple[Member, ...]
    combining: Combining
    width: int
    drops_first: bool = False
    passes_rows: bool = False


Step = Scaling | Imputing | Encoding | Columns | Splitting | Linear | Trees | Ensemble


class Wording(Struct, frozen=True):
    """A column that holds text.

    Args:
        column: Its place.
        words: Each stands for its place in this list.
    """

    column: int
    words: tuple[str, ...]


class GraphDescription(Struct, frozen=True, tag="graph"):
    """An engine that is an ONNX graph.

    Args:
        kind: What it was made from, for people.
        width: How many columns a row has.
    """

    kind: str
    width: int


class ConvertedGraph(Struct, frozen=True, tag="converted"):
    """An engine that is a graph made of a scikit-learn model.

    Args:
        kind: What it was made from, for people.
        width: How many columns a row has.
        names: The names that the model was fitted with, or none.
        outputs: Methods of the model that it answers, proved, and which output does.
        default_method: What a call without ``predict_method`` asks for.
        tolerance: How far its numbers may be from the model's, as ``comparing`` has it.
        sample: A row that it takes, for timing.
        dtypes: Of matrices that it takes, proved.
    """

    kind: str
    width: int
    names: tuple[str, ...] | None
    outputs: tuple[tuple[str, str], ...]
    default_method: str
    tolerance: float
    sample: tuple[float, ...] = ()
    dtypes: tuple[str, ...] = ()


class Description(Struct, frozen=True, tag="arrays"):
    """An engine without its arrays.

    Args:
        kind: What it was made from, for people.
        width: How many columns a row has.
        names: The names that the model was fitted with, or none.
        steps: What is done with rows; the last gives scores.
        finish: What is done with scores.
        methods: Which methods of the model it answers, proved.
        default_method: What a call without ``predict_method`` asks for.
        wordings: Of the columns that hold text.
        takes_missing_text: Whether a text may be missing, proved.
        sample: A row that it takes, for timing; zeros when there is none.
        leaves_shapes: Whether rows of other shapes or names are left to the model, to be refused.
        dtypes: Of matrices that it takes, proved.
    """

    kind: str
    width: int
    names: tuple[str, ...] | None
    steps: tuple[Step, ...]
    finish: Finish
    methods: tuple[str, ...]
    default_method: str
    wordings: tuple[Wording, ...] = ()
    takes_missing_text: bool = False
    sample: tuple[float, ...] = ()
    leaves_shapes: bool = False
    dtypes: tuple[str, ...] = TAKEN


AnyDescription = Description | GraphDescription | ConvertedGraph


class BadEngine(ValueError):
    """These values or arrays are no engine: nothing is built from them."""
