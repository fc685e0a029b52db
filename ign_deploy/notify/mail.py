"""E-mail: a notice as plain text and HTML, sent by SMTP.

Untrusted text can't add headers. TLS is required, except to this machine; a password is never sent
without it, except there.
"""

from __future__ import annotations

import re
import smtplib
import ssl
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.net.credentials import is_this_machine
from ign_deploy.net.errors import explain_failure
from ign_deploy.notify.notice import Notice, facts, title

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


def compose_mail(
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


_PORTS = {"smtp": 587, "smtps": 465}
_TIMEOUT = 10.0
_PLACEHOLDER = "localhost"


@dataclass(frozen=True, slots=True)
class Mail:
    """Sends notices by email; created by ``mail``."""

    host: str
    port: int
    implicit_tls: bool
    sender: str
    recipients: tuple[str, ...]
    username: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None
    timeout: float = _TIMEOUT
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"the mail server {self.host}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password."""
        return (self.password,) if self.password else ()

    def send(self, notice: Notice) -> None:
        """Send the message; raises NetworkError unless it was accepted for all recipients."""
        message = compose_mail(
            notice, sender=self.sender, recipients=self.recipients, now=self.now()
        )
        with self._explained(), self._connection() as client:
            self._secure(client)
            if self.username:
                client.login(self.username, self.password)
            self._deliver(client, message)

    @contextmanager
    def _connection(self) -> Iterator[smtplib.SMTP]:
        """Connect; at the end quit, but don't insist on a response."""
        client: smtplib.SMTP
        if self.implicit_tls:
            client = smtplib.SMTP_SSL(
                self.host,
                self.port,
                local_hostname=_PLACEHOLDER,
                timeout=self.timeout,
                context=self._context(),
            )
        else:
            client = smtplib.SMTP(
                self.host, self.port, local_hostname=_PLACEHOLDER, timeout=self.timeout
            )
        try:
            # Our address is a valid name (RFC 5321 4.1.3) and needs no DNS lookup.
            client.local_hostname = _literal(client)
            yield client
            with suppress(smtplib.SMTPException, OSError):
                client.quit()
        finally:
            client.close()

    def _secure(self, client: smtplib.SMTP) -> None:
        """Start TLS; for this machine only if a CA was given to check it."""
        if self.implicit_tls or (is_this_machine(self.host) and self.ca is None):
            return
        client.ehlo()
        if not client.has_extn("starttls"):
            raise NetworkError(
                f"{self.host} does not support STARTTLS on port {self.port}",
                hint="use the port that does, or smtps:// for TLS from the start.",
            )
        client.starttls(context=self._context())

    def _deliver(self, client: smtplib.SMTP, message: EmailMessage) -> None:
        refused = client.send_message(message, self.sender, list(self.recipients))
        if refused:
            raise NetworkError(
                f"{self.host} refused {len(refused)} of {len(self.recipients)} recipients",
                hint="check their addresses; the others were notified.",
            )

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn exceptions of smtplib into errors that say what to do.

        The server's own words are omitted: they are untrusted, and may repeat what was sent.
        """
        try:
            yield
        except smtplib.SMTPAuthenticationError as cause:
            raise NetworkError(
                f"{self.host} refused user and password ({cause.smtp_code})",
                hint="check them; some services require an app password.",
            ) from None
        except smtplib.SMTPRecipientsRefused:
            raise NetworkError(
                f"{self.host} refused every recipient",
                hint="check the addresses, and whether the server requires a user and password.",
            ) from None
        except smtplib.SMTPResponseException as cause:
            raise NetworkError(
                f"{self.host} answered {cause.smtp_code}",
                hint="check the sender's address and the mail server's log.",
            ) from None
        except smtplib.SMTPNotSupportedError:
            raise NetworkError(
                f"{self.host} offers no supported login method",
                hint="remove user and password, or use another port.",
            ) from None
        except smtplib.SMTPException as cause:
            raise NetworkError(
                f"{self.host} ended the connection: {type(cause).__name__}",
                hint="check the port, and that it speaks SMTP.",
            ) from None
        except OSError as cause:
            raise explain_failure(f"smtp://{_bracketed(self.host)}", cause) from cause


def mail(
    url: str,
    *,
    recipients: str,
    sender: str = "",
    username: str = "",
    password: str = "",
    ca: Path | None = None,
    timeout: float = _TIMEOUT,
) -> Mail:
    """Return the channel to the mail server at ``url``.

    ``url`` is ``smtp://host[:587]`` (STARTTLS, required except to this machine) or
    ``smtps://host[:465]``. ``recipients`` are separated by commas. The default ``sender`` is
    the user if that is an address, else the first recipient. ``timeout`` bounds each step, in
    seconds. Raises ConfigurationError for invalid values.
    """
    implicit_tls, host, port = _parse(url)
    found = parse_recipients(recipients)
    if not found:
        raise ConfigurationError(
            "no email recipients given", hint="set DEPLOYMENT_NOTIFICATION_EMAIL."
        )
    if bool(username) != bool(password):
        raise ConfigurationError(
            "only one of the mail server's user and password is set", hint="set both, or neither."
        )
    if not (username + password).isprintable() or not (username + password).isascii():
        raise ConfigurationError(
            "the mail server's user or password contains a line break or non-ASCII characters",
            hint="store them without a trailing newline; choose ASCII ones.",
        )
    if ca is not None and not ca.is_file():
        raise ConfigurationError(
            f"CA certificates not found: {ca}", hint="fix the path, or leave it out."
        )
    chosen = sender or (username if "@" in username else found[0])
    require_address(chosen, what="for the sender")
    return Mail(host, port, implicit_tls, chosen, found, username, password, ca, timeout)


def _parse(url: str) -> tuple[bool, str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    rest = parts.path.strip("/") + parts.query + parts.fragment if host else ""
    if not host or parts.scheme not in _PORTS or rest or not url.isprintable() or " " in url:
        raise ConfigurationError(
            "the mail server's URL is neither smtp://host nor smtps://host",
            hint="use a URL such as smtp://mail.example.com:587.",
        )
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"the URL of the mail server {host} contains a user or password",
            hint="remove them from the URL; they have their own settings.",
        )
    return parts.scheme == "smtps", host, _PORTS[parts.scheme] if port is None else port


def _literal(client: smtplib.SMTP) -> str:
    """Return our own address in SMTP notation."""
    if client.sock is None:
        return _PLACEHOLDER
    address = str(client.sock.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
