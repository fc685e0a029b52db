"""Webhooks: a notice posted to a URL, in the form that the service there reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import require_web_address
from ign_deploy.net.requesting import POLICY, Proxies, call
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.session import open_session
from ign_deploy.notify.generic import delivery_id, document, signed_headers
from ign_deploy.notify.notice import Notice
from ign_deploy.notify.slack import slack_message
from ign_deploy.notify.teams import teams_message

FORMS = ("generic", "slack", "teams")
_SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
_TEAMS_DOMAINS = (".webhook.office.com", ".logic.azure.com", ".api.powerplatform.com")
_SHORTEST_SECRET = 16
"""Characters; to hide a shorter part of a URL would hide ordinary text."""
_HINTS = {
    400: "the service refused the document: check that the webhook's form fits the service.",
    401: "check the webhook's URL and secret at the service.",
    403: "check the webhook's URL and secret at the service, and that it is allowed to post.",
    404: "the webhook isn't there: make a new one at the service and store its URL.",
    410: "the webhook was removed: make a new one at the service and store its URL.",
    413: "the document is too large for the service.",
}


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts notices; made by ``webhook``. The URL is a secret, so it is never shown."""

    host: str
    form: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    ca: Path | None = None
    proxies: Proxies | None = field(default=None, repr=False)
    policy: RetryPolicy = POLICY
    clock: Callable[[], float] = time.time

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"the webhook at {self.host}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown: the URL, and the parts of it that make it secret."""
        parts = urlsplit(self.url)
        telling = [part for part in (parts.path, parts.query) if len(part) >= _SHORTEST_SECRET]
        return tuple(each for each in (self.url, *telling, self.secret) if each)

    def send(self, notice: Notice) -> None:
        """Post the notice; raises NetworkError when it wasn't taken."""
        delivery = delivery_id(notice)
        body = self._body(notice, delivery)

        def headers() -> Mapping[str, str]:
            if self.form != "generic":
                return {"Content-Type": "application/json"}
            return signed_headers(
                body,
                notice=notice,
                delivery=delivery,
                secret=self.secret,
                timestamp=int(self.clock()),
            )

        with open_session(ca=self.ca, proxies=self.proxies) as session:
            call(
                session,
                "POST",
                self.url,
                host=self.host,
                body=body,
                headers=headers,
                hints=_HINTS,
                policy=self.policy,
            )

    def _body(self, notice: Notice, delivery: str) -> bytes:
        if self.form == "slack":
            return slack_message(notice)
        if self.form == "teams":
            return teams_message(notice)
        return document(notice, delivery=delivery)


def webhook(
    url: str,
    *,
    form: str = "",
    secret: str = "",
    ca: Path | None = None,
    proxies: Proxies | None = None,
    policy: RetryPolicy = POLICY,
    clock: Callable[[], float] = time.time,
) -> Webhook:
    """Return the webhook at ``url``.

    ``form`` is ``generic``, ``slack`` or ``teams``; empty: the one of the URL's host. ``secret``
    signs the generic form. Raises ConfigurationError for a URL or form that can't be used; https is
    needed, except to this machine.
    """
    host = require_web_address(url, what="the webhook")
    chosen = form or form_of_host(host)
    if chosen not in FORMS:
        raise ConfigurationError(
            "the webhook's form is none of " + ", ".join(FORMS), hint="choose one of these."
        )
    return Webhook(host, chosen, url, secret, ca, proxies, policy, clock)


def form_of_host(host: str) -> str:
    """Return the form that a host is known to read; otherwise the generic one."""
    if host in _SLACK_HOSTS:
        return "slack"
    return "teams" if host.endswith(_TEAMS_DOMAINS) else "generic"
