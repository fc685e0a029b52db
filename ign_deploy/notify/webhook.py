"""Webhooks: a notice posted to a URL: signed generic JSON (docs/notifications.md), Slack, Teams."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC
from typing import Any
from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.client import DEFAULT_SERVICE, ServiceOptions
from ign_deploy.net.credentials import require_web_address
from ign_deploy.notify.notice import Notice, facts, is_good, is_open, title

FORMATS = ("generic", "slack", "teams")
_SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
_TEAMS_DOMAINS = (".webhook.office.com", ".logic.azure.com", ".api.powerplatform.com")
_SHORTEST_SECRET = 16
"""Characters; redacting a shorter part of a URL would redact ordinary text."""
_HINTS = {
    400: "the service rejected the document: check the webhook's format.",
    401: "check the webhook's URL and secret at the service.",
    403: "check the webhook's URL and secret at the service, and its permission to post.",
    404: "the webhook doesn't exist: create a new one at the service and store its URL.",
    410: "the webhook was removed: create a new one at the service and store its URL.",
    413: "the document is too large for the service.",
}


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts notices; created by ``webhook``. The URL is a secret, so it is never shown."""

    host: str
    format: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    service: ServiceOptions = DEFAULT_SERVICE
    clock: Callable[[], float] = time.time

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"the webhook at {self.host}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The URL, its secret parts, and the signing secret."""
        parts = urlsplit(self.url)
        parts_to_mask = [
            part for part in (parts.path, parts.query) if len(part) >= _SHORTEST_SECRET
        ]
        return tuple(each for each in (self.url, *parts_to_mask, self.secret) if each)

    def send(self, notice: Notice) -> None:
        """Post the notice; raises NetworkError unless it was accepted."""
        delivery = delivery_id(notice)
        body = self._body(notice, delivery)

        def headers() -> Mapping[str, str]:
            if self.format != "generic":
                return {"Content-Type": "application/json"}
            return signed_headers(
                body,
                notice=notice,
                delivery=delivery,
                secret=self.secret,
                timestamp=int(self.clock()),
            )

        title = "posting the notification"
        with self.service.client(hints=_HINTS) as client:
            # The signature has the time of its attempt.
            client.repeat(
                lambda: client.attempt("POST", self.url, title=title, body=body, headers=headers()),
                title=title,
            )

    def _body(self, notice: Notice, delivery: str) -> bytes:
        if self.format == "slack":
            return slack_message(notice)
        if self.format == "teams":
            return teams_message(notice)
        return generic_message(notice, delivery=delivery)


def webhook(
    url: str,
    *,
    webhook_format: str = "",
    secret: str = "",
    service: ServiceOptions = DEFAULT_SERVICE,
    clock: Callable[[], float] = time.time,
) -> Webhook:
    """Return the webhook at ``url``.

    ``webhook_format`` is ``generic``, ``slack`` or ``teams``; by default it depends on the URL's
    host. ``secret`` signs generic requests. Raises ConfigurationError for an invalid URL or format;
    https is required, except to this machine.
    """
    host = require_web_address(url, what="the webhook")
    chosen = webhook_format or format_of_host(host)
    if chosen not in FORMATS:
        raise ConfigurationError(
            "unknown webhook format", hint=f"choose one of {', '.join(FORMATS)}."
        )
    return Webhook(host, chosen, url, secret, service, clock)


def format_of_host(host: str) -> str:
    """Return the format of a known host, otherwise the generic one."""
    if host in _SLACK_HOSTS:
        return "slack"
    return "teams" if host.endswith(_TEAMS_DOMAINS) else "generic"


_VERSION = 1
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


def generic_message(notice: Notice, *, delivery: str) -> bytes:
    """Return the notice as JSON (UTF-8, sorted keys); later versions only add fields."""
    fields = asdict(notice)
    started = notice.started_at.astimezone(UTC)
    fields |= {
        "version": _VERSION,
        "delivery": delivery,
        "started_at": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(notice.seconds, 3),
    }
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def sign_body(body: bytes, *, secret: str, timestamp: int) -> str:
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
        headers[SIGNATURE_HEADER] = sign_body(body, secret=secret, timestamp=timestamp)
    return headers


_MOST_TEXT = 3000  # of a text object in a section, after escaping
_MOST_FIELD = 2000
_ICONS = {True: ":white_check_mark:", False: ":x:"}


def slack_message(notice: Notice) -> bytes:
    """Return the body for Slack's incoming webhooks: blocks in which untrusted text stays text.

    Slack writes mentions and links with ``<`` and ``>``, so escaping removes them; ``verbatim``
    keeps Slack from creating some from plain names and addresses.
    """
    icon = ":hourglass:" if is_open(notice) else _ICONS[is_good(notice)]
    blocks = [_slack_section(f"{icon} *{_escape(title(notice), _MOST_TEXT - 40)}*")]
    if notice.message:
        blocks.append(_slack_section(_escape(notice.message, _MOST_TEXT)))
    fields = [
        _slack_text(f"*{label}*\n{_escape(value, _MOST_FIELD - 40)}")
        for label, value in facts(notice)
    ]
    if fields:
        blocks.append({"type": "section", "fields": fields[:10]})
    if notice.run_url:
        # Percent-encode the character that would end the link.
        address = _escape(notice.run_url.replace("|", "%7C"), _MOST_TEXT - 40)
        blocks.append({"type": "context", "elements": [_slack_text(f"<{address}|The run>")]})
    body = {"text": _escape(title(notice), _MOST_TEXT), "mrkdwn": False, "blocks": blocks}
    return json.dumps(body, ensure_ascii=False).encode()


def _slack_section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _slack_text(text)}


def _slack_text(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escape(text: str, limit: int) -> str:
    """Return ``text`` escaped, at most ``limit`` long, without splitting an escape."""
    pieces: list[str] = []
    room = limit - 1
    for character in text:
        piece = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(character, character)
        # Slack counts UTF-16 units, as JavaScript does.
        room -= len(piece.encode("utf-16-le")) // 2
        if room < 0:
            return "".join(pieces) + "…"
        pieces.append(piece)
    return "".join(pieces)


_COLOURS = {True: "good", False: "attention"}
_MOST_VALUE = 3000
"""Characters; Teams rejects messages above about 28 KB."""


def teams_message(notice: Notice) -> bytes:
    """Return the body for Microsoft Teams' workflow webhooks: a message with one Adaptive Card.

    Untrusted text is in text runs: unlike text blocks, they don't support Markdown, so that no
    text becomes a link.
    """
    colour = "warning" if is_open(notice) else _COLOURS[is_good(notice)]
    heading = {"size": "large", "weight": "bolder", "color": colour}
    body = [_teams_block(_teams_text(title(notice), **heading))]
    if notice.message:
        body.append(_teams_block(_teams_text(notice.message)))
    body += [
        _teams_block(_teams_text(f"{label}: ", weight="bolder"), _teams_text(value))
        for label, value in facts(notice)
    ]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if notice.run_url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "The run", "url": notice.run_url}]
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    message = {"type": "message", "attachments": [attachment]}
    return json.dumps(message, ensure_ascii=False).encode()


def _teams_block(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _teams_text(text: str, **style: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": text[:_MOST_VALUE], **style}
