"""The format of Slack's incoming webhooks: blocks in which untrusted text stays text."""

from __future__ import annotations

import json
from typing import Any

from ign_deploy.notify.notice import Notice
from ign_deploy.notify.text import facts, is_good, is_open, title

_MOST_TEXT = 3000  # of a text object in a section, after escaping
_MOST_FIELD = 2000
_ICONS = {True: ":white_check_mark:", False: ":x:"}


def slack_message(notice: Notice) -> bytes:
    """Return the request's body.

    Slack writes mentions and links with ``<`` and ``>``, so escaping removes them; ``verbatim``
    keeps Slack from creating some from plain names and addresses.
    """
    icon = ":hourglass:" if is_open(notice) else _ICONS[is_good(notice)]
    blocks = [_section(f"{icon} *{_escape(title(notice), _MOST_TEXT - 40)}*")]
    if notice.message:
        blocks.append(_section(_escape(notice.message, _MOST_TEXT)))
    fields = [
        _text(f"*{label}*\n{_escape(value, _MOST_FIELD - 40)}") for label, value in facts(notice)
    ]
    if fields:
        blocks.append({"type": "section", "fields": fields[:10]})
    if notice.run_url:
        # Percent-encode the character that would end the link.
        address = _escape(notice.run_url.replace("|", "%7C"), _MOST_TEXT - 40)
        blocks.append({"type": "context", "elements": [_text(f"<{address}|The run>")]})
    body = {"text": _escape(title(notice), _MOST_TEXT), "mrkdwn": False, "blocks": blocks}
    return json.dumps(body, ensure_ascii=False).encode()


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text)}


def _text(text: str) -> dict[str, Any]:
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
