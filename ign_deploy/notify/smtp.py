"""Email over SMTP: always with TLS, except to this machine; a password never without it."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.net.credentials import is_this_machine
from ign_deploy.net.errors import explain_failure
from ign_deploy.notify.mail import compose, parse_recipients, require_address
from ign_deploy.notify.notice import Notice

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
        message = compose(notice, sender=self.sender, recipients=self.recipients, now=self.now())
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
