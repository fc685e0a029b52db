"""The email: a notice as plain text and HTML; untrusted text can't add headers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape

from ign_deploy.errors import ConfigurationError
from ign_deploy.notify.notice import Notice
from ign_deploy.notify.text import facts, title

_MOST_RECIPIENTS = 50
_SUBJECT = 200
# What RFC 5321 4.1.2 calls a dot-string at a domain; quoted and bracketed forms aren't supported.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")


def parse_recipients(text: str) -> tuple[str, ...]:
    """Return the addresses in ``text``, separated by commas, semicolons, spaces or line breaks.

    Raises ConfigurationError for one that isn't a plain address.
    """
    found = tuple(dict.fromkeys(part for part in re.split(r"[,;\s]+", text) if part))
    if len(found) > _MOST_RECIPIENTS:
        raise ConfigurationError(
            f"{len(found)} recipients given, at most {_MOST_RECIPIENTS} are allowed",
            hint="use a mailing list.",
        )
    for address in found:
        require_address(address, what="for notifications")
    return found


def require_address(address: str, *, what: str) -> None:
    """Raise ConfigurationError unless ``address`` is plain, such as ``name@example.com``."""
    if not _ADDRESS.fullmatch(address) or len(address) > 254:
        raise ConfigurationError(
            f"invalid email address {what}",
            hint="use addresses such as name@example.com, separated by commas.",
        )


def compose(
    notice: Notice, *, sender: str, recipients: Sequence[str], now: datetime
) -> EmailMessage:
    """Return the message; ``now`` is an aware time.

    It is marked as automatic (RFC 3834), so that no autoresponder replies. The notice must be
    cleaned, so that no header contains a line break.
    """
    message = EmailMessage(policy=SMTP)
    subject = " ".join(title(notice).split())
    message["Subject"] = f"[ign-deploy] {subject}"[:_SUBJECT]
    message["From"] = Address("ign-deploy", addr_spec=sender)
    message["To"] = [Address(addr_spec=each) for each in recipients]
    message["Date"] = now
    # Not make_msgid: it looks up this machine's name in DNS and reveals it.
    message["Message-ID"] = f"<{uuid.uuid4()}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(_plain(notice))
    message.add_alternative(_html(notice), subtype="html")
    return message


def _plain(notice: Notice) -> str:
    parts = [title(notice), ""]
    parts += [notice.message, ""] if notice.message else []
    for label, value in facts(notice):
        parts.append(f"{label}: " + value.replace("\n", "\n  "))
    parts += [f"Run: {notice.run_url}"] if notice.run_url else []
    return "\n".join(parts) + "\n"


def _html(notice: Notice) -> str:
    rows = "".join(
        f'<tr><th align="left" valign="top">{escape(label)}</th><td>{_broken(value)}</td></tr>\n'
        for label, value in facts(notice)
    )
    message = f"<p>{_broken(notice.message)}</p>\n" if notice.message else ""
    address = escape(notice.run_url)
    link = f'<p><a href="{address}">The run</a></p>\n' if notice.run_url else ""
    heading = f"<p><strong>{escape(title(notice))}</strong></p>\n"
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n{heading}{message}'
        f"<table>\n{rows}</table>\n{link}</body></html>\n"
    )


def _broken(text: str) -> str:
    return escape(text).replace("\n", "<br>\n")
