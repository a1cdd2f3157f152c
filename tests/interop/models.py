"""Small models for other people's clients: one for each kind of tensor."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import numpy as np

from registry.signature import ColumnSpec, Signature, TensorSpec
from tests.journeys.models import register
from tests.journeys.server import Server


class Answering:
    """A model that answers with what a function makes of its rows.

    Args:
        function: Of the rows, an array or a DataFrame.
        names: The columns it was fitted with; with any it is given a DataFrame.
    """

    def __init__(self, function: Callable[[Any], Any], *names: str) -> None:
        self._function = function
        if names:
            self.feature_names_in_ = np.array(names, object)

    def predict(self, rows: Any) -> Any:
        return self._function(rows)


class Poet:
    """Says what it is told word by word, and never as a whole; some words are deeds."""

    def predict(self, rows: Any) -> Any:
        raise NotImplementedError

    def predict_stream(self, asked: Any) -> Iterator[str]:
        for word in asked["text_input"].split():
            if word == "fail":
                raise ValueError(word)
            yield word
            while word == "forever":
                yield word


cloudpickle.register_pickle_by_value(sys.modules[__name__])


def tensor_model(function: Callable[[Any], Any], example: Any) -> tuple[Answering, Signature, Any]:
    """Return a model over one tensor, with its signature and example."""
    answer = np.asarray(function(example))
    signature = Signature(
        (TensorSpec(example.dtype.name, (-1, *example.shape[1:])),),
        (TensorSpec(answer.dtype.name, (-1, *answer.shape[1:])),),
    )
    return Answering(function), signature, example


def register_zoo(server: Server) -> None:
    """Register and promote a few models, each of which starts a process of its own.

    ``any`` takes every kind of tensor, ``sum`` has a second version, ``rent`` takes columns, and
    ``poet`` talks.
    """
    texts = Signature((ColumnSpec("string", "text"),), (ColumnSpec("string"),))
    mixed = Signature(
        (ColumnSpec("double", "price"), ColumnSpec("string", "city"), ColumnSpec("long", "rooms")),
        (ColumnSpec("double", "total"), ColumnSpec("string", "label")),
    )
    zoo: dict[str, tuple[object, Signature | None, Any]] = {
        "sum": tensor_model(lambda rows: rows.sum(axis=1), np.ones((1, 3))),
        "any": (Answering(_next), None, None),
        "poet": (Poet(), None, None),
        "shout": (Answering(_shout, "text"), texts, [{"text": "hello"}]),
        "rent": (
            Answering(_rent, "price", "city", "rooms"),
            mixed,
            [{"price": 1.0, "city": "Bern", "rooms": 2}],
        ),
    }
    for name, (model, signature, example) in zoo.items():
        register(server, name, model, signature=signature, input_example=example)
    register(server, "sum", zoo["sum"][0], signature=zoo["sum"][1], input_example=np.ones((1, 3)))
    for name in zoo:
        reply = server.promote(name, 1)
        assert reply.status == 200, reply.body


def _next(rows: Any) -> Any:
    return ~rows if rows.dtype == np.bool_ else rows + rows.dtype.type(1)


def _shout(frame: Any) -> Any:
    return np.array([text.upper() for text in frame["text"]], object)


def _rent(frame: Any) -> Any:
    labels = frame["city"] + "/" + frame["rooms"].astype(str)
    return {
        "total": (frame["price"] * frame["rooms"]).to_numpy(),
        "label": labels.to_numpy(object),
    }
