"""A receiver of the generic webhook as someone outside would write it from the documentation."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import time
from typing import Any

from tests.support.serving import HttpServer, Reply, Request

TOLERANCE = 300.0
"""Seconds that a request may be old."""


class WebhookReceiver(HttpServer):
    """Takes documents with a right signature, each once; ``failures`` are answered first."""

    def __init__(self, secret: str, *failures: Reply, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.secret = secret
        self.failures = list(failures)
        self.documents: list[dict[str, Any]] = []
        self._seen: set[str] = set()

    def respond(self, request: Request) -> Reply:
        """Check the request as documented."""
        if self.failures:
            return self.failures.pop(0)
        headers = {name.lower(): value for name, value in request.headers.items()}
        stamp = headers.get("x-ign-deploy-timestamp", "")
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > TOLERANCE:
            return Reply(401, body=b"too old")
        expected = hmac.new(
            self.secret.encode(), stamp.encode() + b"." + request.body, hashlib.sha256
        ).hexdigest()
        given = headers.get("x-ign-deploy-signature", "").encode("latin-1", "replace")
        if not hmac.compare_digest(f"sha256={expected}".encode(), given):
            return Reply(401, body=b"wrong signature")
        document = json.loads(request.body)
        if document["delivery"] != headers["idempotency-key"]:
            return Reply(400)
        if document["delivery"] not in self._seen:
            self._seen.add(document["delivery"])
            self.documents.append(document)
        return Reply(204)
