"""The grammar of filters and orders: text in, comparisons out. Pure.

``<entity>.<key> <operator> <value>``, joined by AND. Keys with odd characters stand in backticks or
quotes, strings in quotes, numbers bare; keywords in any case. What the entities mean, and
which operators fit them, is the business of whoever searches.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from tracking.errors import InvalidRequest

# Ten thousand ids of runs in a list.
_LONGEST_FILTER = 400_000
_MOST_TOKENS = 30_000
_MOST_CLAUSES = 100
_MOST_ORDERS = 20

# No digit is looked at twice: of a long row of them that is no number, the time would be squared.
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>[-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?(?![\w.]))
      | (?P<operator>!=|>=|<=|=|>|<)
      | (?P<name>[^\W\d]\w*(?:\.(?:`[^`]+`|"[^"]+"|'[^']+'|\w[\w./-]*))?|`[^`]+`)
      | (?P<string>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<mark>[(),])""",
    re.VERBOSE,
)


class Operator(StrEnum):
    """How a key is compared with a value."""

    EQUAL = "="
    """The same."""
    UNEQUAL = "!="
    """There, and not the same."""
    GREATER = ">"
    """Greater number."""
    GREATER_EQUAL = ">="
    """Greater number, or the same."""
    LESS = "<"
    """Smaller number."""
    LESS_EQUAL = "<="
    """Smaller number, or the same."""
    LIKE = "LIKE"
    """Matches a pattern with ``%`` and ``_``."""
    ILIKE = "ILIKE"
    """The same in any case."""
    IN = "IN"
    """One of a list of strings."""
    NOT_IN = "NOT IN"
    """None of a list of strings."""
    IS_NULL = "IS NULL"
    """Not there."""
    IS_NOT_NULL = "IS NOT NULL"
    """There."""


class Comparison(Struct, frozen=True):
    """One clause of a filter. Immutable.

    Args:
        entity: What stands before the dot, in lower case, or none.
        key: What stands after it, without its quotes.
        operator: How to compare.
        value: What with: a text, a number, texts for IN, nothing for NULL.
    """

    entity: str | None
    key: str
    operator: Operator
    value: str | float | tuple[str, ...] | None = None


class Order(Struct, frozen=True):
    """One entry of an order. Immutable."""

    entity: str | None
    key: str
    is_ascending: bool = True


class _Token(Struct, frozen=True):
    kind: str
    text: str


def parse_filter(text: str | None) -> list[Comparison]:
    """Return the clauses of a filter; none for an empty one.

    Raises:
        InvalidRequest: It does not follow the grammar.
    """
    reader = _Reader(text or "")
    if reader.is_at_end():
        return []
    clauses = [_comparison(reader)]
    while not reader.is_at_end():
        reader.expect_word("AND")
        clauses.append(_comparison(reader))
        if len(clauses) > _MOST_CLAUSES:
            raise InvalidRequest(f"Invalid filter: more than {_MOST_CLAUSES} clauses.")
    return clauses


def parse_order(text: str) -> Order:
    """Return one entry of an ``order_by``: ``<entity>.<key> [ASC|DESC]``.

    Raises:
        InvalidRequest: It does not follow the grammar.
    """
    reader = _Reader(text)
    entity, key = _key(reader)
    is_descending = reader.take_word("DESC")
    if not is_descending:
        reader.take_word("ASC")
    if not reader.is_at_end():
        raise reader.refusal("the end, ASC or DESC")
    return Order(entity, key, is_ascending=not is_descending)


def require_few_orders(orders: Sequence[object]) -> None:
    """Check how many entries an ``order_by`` has, each of which may be two terms in SQL.

    SQLite 3.40 does not refuse a statement that is ordered by 64 terms: it ends the process.

    Raises:
        InvalidRequest: There are too many.
    """
    if len(orders) > _MOST_ORDERS:
        raise InvalidRequest(
            f"Invalid filter or order: order_by has {len(orders)} entries, more than"
            f" {_MOST_ORDERS}. Leave out those that decide nothing."
        )


class _Reader:
    """The tokens of one text and the place in them. Used by one parse."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._place = 0

    def is_at_end(self) -> bool:
        return self._place == len(self._tokens)

    def take(self, *kinds: str) -> str | None:
        """Return the next token's text and go past it, if it is of one of these kinds."""
        if self.is_at_end() or self._tokens[self._place].kind not in kinds:
            return None
        self._place += 1
        return self._tokens[self._place - 1].text

    def take_word(self, word: str) -> bool:
        """Go past a keyword if it is next."""
        place = self._place
        token = self.take("name", "mark")
        if token is not None and token.upper() == word:
            return True
        self._place = place
        return False

    def expect_word(self, word: str) -> None:
        """Go past a keyword that must be next."""
        if not self.take_word(word):
            raise self.refusal(word)

    def refusal(self, wanted: str) -> InvalidRequest:
        """Return the error that says what should have come here."""
        found = "the end" if self.is_at_end() else repr(self._tokens[self._place].text[:100])
        return InvalidRequest(
            f"Invalid filter or order {self._text[:200]!r}: expected {wanted}, found {found}."
            " Write clauses such as: metrics.accuracy > 0.9 AND params.depth = '5'"
        )


def _tokens(text: str) -> list[_Token]:
    if len(text) > _LONGEST_FILTER:
        raise InvalidRequest(f"Invalid filter: longer than {_LONGEST_FILTER} characters.")
    tokens: list[_Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise InvalidRequest(
                f"Invalid filter or order {text[:200]!r}: nothing can begin with"
                f" {text[place]!r} at position {place}."
            )
        place = match.end()
        if match.lastgroup is not None and match.lastgroup != "space":
            tokens.append(_Token(match.lastgroup, match.group()))
            if len(tokens) > _MOST_TOKENS:
                raise InvalidRequest(f"Invalid filter: more than {_MOST_TOKENS} words and marks.")
    return tokens


def _comparison(reader: _Reader) -> Comparison:
    entity, key = _key(reader)
    operator = _operator(reader)
    value = _value(reader, operator)
    return Comparison(entity, key, operator, value)


def _key(reader: _Reader) -> tuple[str | None, str]:
    name = reader.take("name", "string")
    if name is None:
        raise reader.refusal("a key")
    if name[0] in "`\"'":
        return None, name[1:-1]
    entity, dot, key = name.partition(".")
    if not dot:
        return None, name
    return entity.lower(), key[1:-1] if key[0] in "`\"'" else key


def _operator(reader: _Reader) -> Operator:
    sign = reader.take("operator")
    if sign is not None:
        return Operator(sign)
    for word in (Operator.LIKE, Operator.ILIKE, Operator.IN):
        if reader.take_word(word):
            return word
    if reader.take_word("NOT"):
        reader.expect_word("IN")
        return Operator.NOT_IN
    if not reader.take_word("IS"):
        raise reader.refusal("an operator")
    is_negated = reader.take_word("NOT")
    reader.expect_word("NULL")
    return Operator.IS_NOT_NULL if is_negated else Operator.IS_NULL


def _value(reader: _Reader, operator: Operator) -> str | float | tuple[str, ...] | None:
    if operator in {Operator.IS_NULL, Operator.IS_NOT_NULL}:
        return None
    if operator in {Operator.IN, Operator.NOT_IN}:
        return _list(reader)
    number = reader.take("number")
    return _string(reader) if number is None else _number(number)


def _list(reader: _Reader) -> tuple[str, ...]:
    reader.expect_word("(")
    values = [_string(reader)]
    while reader.take_word(","):
        values.append(_string(reader))
    reader.expect_word(")")
    return tuple(values)


def _string(reader: _Reader) -> str:
    text = reader.take("string")
    if text is None:
        raise reader.refusal("a value: a quoted string or a number")
    return text[1:-1].replace(text[0] * 2, text[0])


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
