"""Versions of one model that have room or not, and take their time, and a predict path to them."""

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

from gateway.place import Place
from gateway.predict import Predict
from gateway.quota_settings import QuotaSettings
from gateway.routing.table import ModelRoute, RouteTable
from gateway.serving.admission import Shed
from gateway.serving.callers import CALLER, Caller
from gateway.serving.failure import Overloaded
from gateway.serving.lease import Holder, Lease
from registry.route import Route, Split, VersionKey, VersionRecord
from registry.signature import Signature
from registry.tensors import Batch, Prediction
from tracking.errors import DeadlineExceeded

RECORDS = {
    number: VersionRecord(VersionKey("oak", number, f"d{number}"), "", stage)
    for number, stage in ((1, "Production"), (2, "Staging"))
}
SPLIT = Route(production=1, staging=2, split=Split("s", "Staging", 10_000))


class Patient:
    """Answers within its deadline, or not at all."""

    def __init__(self, key: VersionKey, *, is_full: bool = False, needs_s: float = 0.0) -> None:
        self.key = key
        self.signature: Signature | None = None
        self.left_s: list[float] = []
        self.callers: list[Caller] = []
        self._is_full = is_full
        self._needs_s = needs_s

    async def attach(self, on_death: object) -> None:
        """Need nothing."""

    async def predict(
        self, batch: Batch, params: Mapping[str, Any], deadline_s: float = math.inf
    ) -> Prediction:
        del params
        left_s = deadline_s - time.monotonic()
        self.left_s.append(left_s)
        self.callers.append(CALLER.get())
        if self._needs_s > left_s:
            raise DeadlineExceeded("it takes longer")
        if self._needs_s == math.inf:
            await asyncio.Event().wait()
        return Prediction(("output",), (batch.arrays[0].reshape(-1) * self.key.version,))

    def check_admission(self, rows: int = 0, deadline_s: float = math.inf) -> None:
        del rows, deadline_s
        if self._is_full:
            raise Overloaded("too much waits", Shed.WAIT, drain_s=2.5)

    def close(self) -> None:
        """Hold nothing."""


class Shelf:
    """Holds both versions."""

    def __init__(self, *held: Patient) -> None:
        self._holders = {one.key: Holder(one, lambda _: None) for one in held}

    def is_ready(self, key: VersionKey) -> bool:
        return key in self._holders

    def lease(self, key: VersionKey) -> Lease:
        return Lease(self._holders[key])


def stable(**nature: Any) -> Patient:
    return Patient(RECORDS[1].key, **nature)


def candidate(**nature: Any) -> Patient:
    return Patient(RECORDS[2].key, **nature)


def predict_of(
    route: Route,
    *held: Patient,
    max_bytes: int = 10_000,
    max_timeout_s: float = 60.0,
    quota: QuotaSettings | None = None,
) -> Predict:
    table = RouteTable().with_model(ModelRoute("oak", 1, route, RECORDS))
    given = quota or QuotaSettings()
    place = Place("w", None, 1.0, max_timeout_s=max_timeout_s, max_bytes=max_bytes, quota=given)

    def demand(_record: VersionRecord) -> Any:
        raise AssertionError

    return Predict(lambda: table, Shelf(*held), demand, lambda: "", place)
