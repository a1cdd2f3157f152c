"""Where our answers differ from those of MLflow's own server on purpose, and why.

Each entry names calls by their beginning, and a field where only that one may differ. An entry that
explains nothing any more must go: ``explain`` tells.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from tests.interop.comparing import Difference


class Known(Struct, frozen=True):
    """One reason, and what it explains. Immutable.

    Args:
        calls: A pattern that the name of the call begins with.
        reason: Why we answer otherwise.
        field: A pattern that the field ends with, or any field.
    """

    calls: str
    reason: str
    field: str = ""


_REFUSED = "we refuse by a 4xx what MLflow half understands, or fails at with a 5xx"
_GRAMMAR = "one grammar for all searches: an operator that fits a text fits every text"
_STRICT = "MLflow parses this loosely and ignores a part of the filter; a typo should be told"

KNOWN = [
    # experiments
    Known("renaming to a taken name", "the code that says it, as for creating"),
    Known("renaming a deleted one", _REFUSED),
    Known("experiments without max_results", "a page of the default size"),
    Known(r"experiments by \['last_update", "a new tag is an update of the experiment"),
    # filters
    Known("experiments where attr.name", _GRAMMAR),
    Known("experiments where name (NOT )?IN", _GRAMMAR),
    Known("no runs where (status|tags.team|params.lr) IN", _GRAMMAR),
    Known("no runs where (metrics.acc|status) IS NULL", _GRAMMAR),
    Known("(models|versions) where (tags.* IS NULL|attributes.name)", _GRAMMAR),
    Known("versions where source_path IN", _GRAMMAR),
    Known("models 45 where name IS NULL", _GRAMMAR),
    Known("runs by .'`run name`", "a name in backticks is a name"),
    Known("(models|versions) by .'(creation_timestamp|run_id|source_path)", _GRAMMAR),
    Known(".* where .*'it''s'", "a doubled quote within quotes is one, as in SQL"),
    Known("experiments where AND", _STRICT),
    Known("runs where .* AND $", _STRICT),
    Known("no runs where (metrics.acc > 1 metrics|metrics. > 1|AND)", _STRICT),
    Known("versions where version_number = '1'", "a number stands without quotes"),
    Known("models (27|33) where", _STRICT),
    Known("models (28|34) where", _REFUSED),
    Known("models (6|7|40|43) where status", "a status goes by its name: READY"),
    Known("registered-models: a page of (0|-1)", "max_results is at least 1"),
    # runs
    Known("an id that no run has", "a malformed id is told as such"),
    Known("a run that is 3", "a status goes by its name; numbers are not sent by any client"),
    Known("a run of odd points", "a run that does not say when it starts starts now"),
    Known("a metric whose", _REFUSED),
    Known("a history of no run", "a missing run is 404; MLflow's answer hides a mistyped id"),
    Known("a history of (25001|x)", "max_results is at most 25000, and a number"),
    Known("runs of a number", "an experiment's id is a text"),
    # registry
    Known("", "we know who made a version, also with auth off", r"\.user_id"),
    Known("", "searches tell the aliases too, which saves the client a call", r"\.aliases"),
    Known("(where that is|where a version is)", "resolved to the files, so that it loads"),
    Known("a version from 's3://b/m#x'", "a source has no fragment, query or '..'"),
    Known("a version from 'https:", "any remote source may be recorded; none is ever fetched"),
    Known("a version from 'gs:", "the number after that one", r"\.version"),
    Known("version '(0|-1)'", "a version is a number from 1"),
    Known("version 3 to (Archived|None), archiving", _REFUSED),
    Known("(a model's tag with|without) the odd key", "keys of tags here may be any text"),
    # logged models
    Known("a logged model's name: empty", "a name is not empty"),
    Known("a logged model that is", "only READY and UPLOAD_FAILED end an upload"),
    Known("a param that is there", "sending again what was logged is fine"),
    Known("a param with another value", "the code that says it, as for runs"),
    Known("tags of a logged model", "the model as it is now, as the interface promises"),
    Known("outputs of a run again", "sending again what was logged is fine"),
    Known("a version of a logged model", "the model that it was made of", r"\.model_id"),
    Known("an upload of a page", "an answer is an object", "body"),
    Known("", "numbers of versions are texts everywhere", r"info\.tags\.\d+\.value"),
    Known("(good )?logged models of .*'iris'}", "a dataset's digest may be left out"),
    Known("logged models after a bad token", _REFUSED),
    Known(r"a page of (0|-1|50001) logged models", "1 to 50000"),
    Known("logged models of anything", "no experiments hold no models"),
    Known("deleting a logged model twice", "what is gone is not there"),
    # artifacts
    Known("(getting|the page's|the part|what was|a file of)", "the type by the file's name",
          "content-type"),
    Known("(getting|the page's) sub$", "a folder is no file"),
    Known("the part bytes=9-", "the refusal has a body, and a folder's rules"),
    Known("the part x", "what is no range is ignored, as RFC 9110 has it"),
    Known("the run lists", "an empty file has the size 0", "file_size"),
    Known("(putting at|the page's bad) (a.b|a//b|%2e)", "one rule for every path"),
    Known("putting at", "refused as no path that we have"),
    Known("(a|no) file of a version", "a version's files are found by its source"),
    Known("deleting it again", "what is gone is not there"),
    # bodies
    Known("a body with (no JSON|null|no UTF-8)", "BAD_REQUEST: the bytes are not what they claim"),
    Known("a body with (a list|a number|a text)$", _REFUSED),
    Known("a body with (a NUL|a tag of a number)", "what not every database keeps is refused"),
    Known("(GET|POST|PUT|DELETE) .*preview", "older clients' paths are answered too"),
    Known("(GET|POST|PUT|DELETE) ", "every refusal has a code"),
    Known("a bare 01", "BAD_REQUEST: the bytes are not what they claim"),
    Known("the run of odd bodies", "MLflow loses what follows a bare NaN or Infinity"),
    Known("a query given twice", "the last one counts"),
]  # fmt: skip


def explain(found: Sequence[Difference]) -> tuple[list[Difference], list[Known]]:
    """Return the differences that no entry explains, and the entries that explain nothing."""
    used: set[Known] = set()
    unexplained = []
    for difference in found:
        reason = next((known for known in KNOWN if _explains(known, difference)), None)
        if reason is None:
            unexplained.append(difference)
        else:
            used.add(reason)
    return unexplained, [known for known in KNOWN if known not in used]


def _explains(known: Known, difference: Difference) -> bool:
    is_call = re.match(known.calls, difference.call) is not None
    return is_call and re.search(f"{known.field}$", difference.field) is not None
