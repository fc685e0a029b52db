"""A receiver of the generic webhook as somebody outside would write it from the documentation."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from tests.support.http_server import Answer, Request, ScriptedServer

TOLERANCE = 300.0
"""Seconds that a request may be old."""


class WebhookReceiver(ScriptedServer):
    """Takes documents with a right signature, each once; ``failures`` are answered first."""

    def __init__(self, secret: str, *failures: Answer) -> None:
        super().__init__([Answer(204)])
        self.secret = secret
        self.failures = list(failures)
        self.documents: list[dict[str, Any]] = []
        self._seen: set[str] = set()

    def next_answer(self, request: Request) -> Answer:
        """Check the request as documented."""
        super().next_answer(request)
        if self.failures:
            return self.failures.pop(0)
        headers = {name.lower(): value for name, value in request.headers.items()}
        stamp = headers.get("x-ign-deploy-timestamp", "")
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > TOLERANCE:
            return Answer(401, body=b"too old")
        expected = hmac.new(
            self.secret.encode(), stamp.encode() + b"." + request.body, hashlib.sha256
        ).hexdigest()
        given = headers.get("x-ign-deploy-signature", "").encode("latin-1", "replace")
        if not hmac.compare_digest(f"sha256={expected}".encode(), given):
            return Answer(401, body=b"wrong signature")
        document = json.loads(request.body)
        if document["delivery"] != headers["idempotency-key"]:
            return Answer(400)
        if document["delivery"] not in self._seen:
            self._seen.add(document["delivery"])
            self.documents.append(document)
        return Answer(204)
