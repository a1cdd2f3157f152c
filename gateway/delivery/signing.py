"""The headers by which a receiver knows a delivery and proves where it comes from. Pure."""

import base64
import hashlib
import hmac

ID_HEADER = "X-MLflow-Delivery-Id"
TIME_HEADER = "X-MLflow-Timestamp"
SIGNATURE_HEADER = "X-MLflow-Signature"
_METHOD = "v1"


def signed_headers(
    delivery_id: str, body: bytes, *, secret: str | None, now_s: int
) -> dict[str, str]:
    """Return the headers of one attempt.

    Args:
        delivery_id: The same for every attempt.
        body: Exactly what is sent.
        secret: What the receiver knows too; without one there is no signature.
        now_s: The time of this attempt, seconds since the epoch.
    """
    headers = {
        "Content-Type": "application/json",
        ID_HEADER: delivery_id,
        TIME_HEADER: str(now_s),
    }
    if secret:
        content = f"{delivery_id}.{now_s}.".encode() + body
        digest = hmac.new(secret.encode(), content, hashlib.sha256).digest()
        headers[SIGNATURE_HEADER] = f"{_METHOD},{base64.b64encode(digest).decode()}"
    return headers
