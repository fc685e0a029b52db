"""The formats of webhooks: generic JSON with a signature (docs/notifications.md), Slack, Teams."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC
from typing import Any

from ign_deploy.notify.notice import Notice, facts, is_good, is_open, title

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


def generic_message(notice: Notice, *, delivery: str) -> bytes:
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
