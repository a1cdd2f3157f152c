"""What handlers ask for by name; ``app.py`` provides it, so Litestar need not check it again."""

from collections.abc import Callable

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from gateway.delivery.webhooks import Webhooks
from registry.store import RegistryStore
from tracking.artifacts import ServedArtifacts
from tracking.store import TrackingStore

Tracking = NamedDependency[SkipValidation[TrackingStore]]
Registry = NamedDependency[SkipValidation[RegistryStore]]
WebhookDesk = NamedDependency[SkipValidation[Webhooks]]
Artifacts = NamedDependency[SkipValidation[ServedArtifacts]]
Sealed = NamedDependency[SkipValidation[Callable[[str], bool]]]
