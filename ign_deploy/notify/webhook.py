"""Webhooks: a notice posted to a URL, in the format of the service there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.client import DEFAULT_SERVICE, ServiceOptions
from ign_deploy.net.credentials import require_web_address
from ign_deploy.notify.notice import Notice
from ign_deploy.notify.webhook_formats import (
    delivery_id,
    generic_message,
    signed_headers,
    slack_message,
    teams_message,
)

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
