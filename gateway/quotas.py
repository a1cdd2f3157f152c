"""How many requests each client may make: a bucket of tokens each. Event loop only, no clock.

``predict`` and ``flights`` charge each request to the client that its head names. A bucket is one
number, the moment at which it will be full again (GCRA, the algorithm of ATM's cells).
"""

from collections import OrderedDict

from msgspec import Struct

from gateway.quota_settings import QuotaSettings, rates_of
from tracking.errors import QuotaExceeded

MAX_BUCKETS = 10_000
"""Beyond, the client that was silent for longest starts anew."""


class Rate(Struct, frozen=True):
    """How fast a bucket fills, and how much it holds.

    Args:
        per_s: Tokens a second, above 0.
        burst: Tokens in a full one.
    """

    per_s: float
    burst: int

    def wait_s(self, full_s: float, now_s: float) -> float:
        """Return how long to wait for a token; 0 when there is one.

        Args:
            full_s: When the bucket will be full.
            now_s: The moment.
        """
        return max(0.0, max(full_s, now_s) - now_s - (self.burst - 1) / self.per_s)

    def after_one(self, full_s: float, now_s: float) -> float:
        """Return when it will be full after a token was taken."""
        return max(full_s, now_s) + 1.0 / self.per_s


class Quotas:
    """One per worker.

    Args:
        settings: What clients may.

    Attributes:
        is_on: Whether there is any limit.
    """

    def __init__(self, settings: QuotaSettings) -> None:
        rates = rates_of(settings.models)
        self._burst = settings.burst
        self._common = self._rate(settings.requests_per_s)
        self._own = {model: self._rate(per_s) for model, per_s in rates.items()}
        self.is_on = any(rate is not None for rate in (self._common, *self._own.values()))
        self._full_s: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_s)

    def wait_s(self, client: str, model: str, now_s: float) -> float:
        """Return how long a client has to wait for its next request; 0 if not at all."""
        bucket, rate = self._bucket(client, model)
        return 0.0 if rate is None else rate.wait_s(self._full_s.get(bucket, now_s), now_s)

    def take(self, client: str, model: str, now_s: float) -> None:
        """Count a request, whether there is a token for it or not."""
        bucket, rate = self._bucket(client, model)
        if rate is None:
            return
        self._full_s[bucket] = rate.after_one(self._full_s.get(bucket, now_s), now_s)
        self._full_s.move_to_end(bucket)
        if len(self._full_s) > MAX_BUCKETS:
            self._full_s.popitem(last=False)

    def give_back(self, client: str, model: str) -> None:
        """Count a request less that is counted again."""
        bucket, rate = self._bucket(client, model)
        if rate is not None and bucket in self._full_s:
            self._full_s[bucket] -= 1.0 / rate.per_s

    def charge(self, client: str, model: str, now_s: float) -> None:
        """Count a request.

        Raises:
            QuotaExceeded: The client has made as many as it may.
        """
        wait_s = self.wait_s(client, model, now_s)
        if wait_s > 0.0:
            message = f"You have asked {model!r} as often as you may: wait {wait_s:.3g} s."
            refusal = QuotaExceeded(message)
            refusal.retry_after_s = wait_s
            raise refusal
        self.take(client, model, now_s)

    def _bucket(self, client: str, model: str) -> tuple[tuple[str, str], Rate | None]:
        if model in self._own:
            return (client, model), self._own[model]
        return (client, ""), self._common

    def _rate(self, per_s: float) -> Rate | None:
        return Rate(per_s, self._burst) if per_s > 0 else None
