"""What handlers ask for by name; ``app.py`` provides it, so Litestar need not check it again."""

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from gateway.delivery.webhooks import Webhooks
from registry.store import RegistryStore
from tracking.artifacts import ArtifactStore
from tracking.store import TrackingStore

Tracking = NamedDependency[SkipValidation[TrackingStore]]
Registry = NamedDependency[SkipValidation[RegistryStore]]
Artifacts = NamedDependency[SkipValidation[ArtifactStore]]
WebhookDesk = NamedDependency[SkipValidation[Webhooks]]
