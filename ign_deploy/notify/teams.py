"""The format of Microsoft Teams' workflow webhooks: a message with one Adaptive Card."""

from __future__ import annotations

import json
from typing import Any

from ign_deploy.notify.notice import Notice
from ign_deploy.notify.text import facts, is_good, is_open, title

_COLOURS = {True: "good", False: "attention"}
_MOST_VALUE = 3000
"""Characters; Teams rejects messages above about 28 KB."""


def teams_message(notice: Notice) -> bytes:
    """Return the request's body.

    Untrusted text is in text runs: unlike text blocks, they don't support Markdown, so that no
    text becomes a link.
    """
    colour = "warning" if is_open(notice) else _COLOURS[is_good(notice)]
    heading = {"size": "large", "weight": "bolder", "color": colour}
    body = [_rich(_run(title(notice), **heading))]
    if notice.message:
        body.append(_rich(_run(notice.message)))
    body += [
        _rich(_run(f"{label}: ", weight="bolder"), _run(value)) for label, value in facts(notice)
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


def _rich(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": text[:_MOST_VALUE], **style}
