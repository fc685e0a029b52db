"""The generic webhook: a versioned JSON document and its signature (docs/notifications.md)."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC

from ign_deploy.notify.notice import Notice

VERSION = 1
TIMESTAMP_HEADER = "X-Ign-Deploy-Timestamp"
SIGNATURE_HEADER = "X-Ign-Deploy-Signature"
DELIVERY_HEADER = "X-Ign-Deploy-Delivery"
EVENT_HEADER = "X-Ign-Deploy-Event"
_NAMESPACE = uuid.UUID("5b0f7c1e-6a4d-5d0c-9c55-3c1f5d6a2e90")


def delivery_id(notice: Notice) -> str:
    """Return the ID by which the receiver recognises the notice.

    It is the same for the same deployment and result, so that a rerun job doesn't notify twice;
    without a deployment it is new.
    """
    if not notice.deployment_id:
        return str(uuid.uuid4())
    name = json.dumps([notice.deployment_id, notice.event, notice.environment, notice.result])
    return str(uuid.uuid5(_NAMESPACE, name))


def document(notice: Notice, *, delivery: str) -> bytes:
    """Return the notice as JSON (UTF-8, sorted keys); later versions only add fields."""
    fields = asdict(notice)
    started = notice.started_at.astimezone(UTC)
    fields |= {
        "version": VERSION,
        "delivery": delivery,
        "started_at": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(notice.seconds, 3),
    }
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def sign(body: bytes, *, secret: str, timestamp: int) -> str:
    """Return ``sha256=`` and the HMAC-SHA-256 of ``timestamp.body`` in hex.

    The time is signed too, so that a receiver can reject a replayed request.
    """
    message = f"{timestamp}.".encode() + body
    return "sha256=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def signed_headers(
    body: bytes, *, notice: Notice, delivery: str, secret: str, timestamp: int
) -> Mapping[str, str]:
    """Return the request's headers; without a ``secret``, there is no signature."""
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": delivery,
        DELIVERY_HEADER: delivery,
        EVENT_HEADER: notice.event,
        TIMESTAMP_HEADER: str(timestamp),
    }
    if secret:
        headers[SIGNATURE_HEADER] = sign(body, secret=secret, timestamp=timestamp)
    return headers
