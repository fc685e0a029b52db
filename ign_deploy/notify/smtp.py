"""E-mail over SMTP: TLS always, except to this machine; a password never without it."""

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
    """Sends notices by e-mail; made by ``mail``."""

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
        """What messages call it."""
        return f"the mail server {self.host}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password."""
        return (self.password,) if self.password else ()

    def send(self, notice: Notice) -> None:
        """Hand the message over; raises NetworkError when it wasn't taken for everybody."""
        message = compose(notice, sender=self.sender, recipients=self.recipients, now=self.now())
        with self._explained(), self._connection() as client:
            self._secure(client)
            if self.username:
                client.login(self.username, self.password)
            self._deliver(client, message)

    @contextmanager
    def _connection(self) -> Iterator[smtplib.SMTP]:
        """Connect; at the end say goodbye, but don't insist on an answer."""
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
            # Our address is as good a name as any (RFC 5321 4.1.3), and no name server is asked.
            client.local_hostname = _literal(client)
            yield client
            with suppress(smtplib.SMTPException, OSError):
                client.quit()
        finally:
            client.close()

    def _secure(self, client: smtplib.SMTP) -> None:
        """Begin TLS; on this machine only where an authority was given to check it by."""
        if self.implicit_tls or (is_this_machine(self.host) and self.ca is None):
            return
        client.ehlo()
        if not client.has_extn("starttls"):
            raise NetworkError(
                f"{self.host} offers no TLS (STARTTLS) on port {self.port}",
                hint="give the port that does, or smtps:// where TLS comes first.",
            )
        client.starttls(context=self._context())

    def _deliver(self, client: smtplib.SMTP, message: EmailMessage) -> None:
        refused = client.send_message(message, self.sender, list(self.recipients))
        if refused:
            raise NetworkError(
                f"{self.host} refused {len(refused)} of {len(self.recipients)} recipients",
                hint="check the addresses; the others were told.",
            )

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what smtplib raises into an error that says what to do.

        A server's own words stay out: they are foreign, and may repeat what it was sent.
        """
        try:
            yield
        except smtplib.SMTPAuthenticationError as cause:
            raise NetworkError(
                f"{self.host} refused user and password ({cause.smtp_code})",
                hint="check them; some services want a password made for programs.",
            ) from None
        except smtplib.SMTPRecipientsRefused:
            raise NetworkError(
                f"{self.host} refused every recipient",
                hint="check the addresses, and whether the server wants a user and password.",
            ) from None
        except smtplib.SMTPResponseException as cause:
            raise NetworkError(
                f"{self.host} answered {cause.smtp_code}",
                hint="look at the mail server's log; check the sender's address.",
            ) from None
        except smtplib.SMTPNotSupportedError:
            raise NetworkError(
                f"{self.host} has no way to log in that we know",
                hint="leave out user and password, or use another port.",
            ) from None
        except smtplib.SMTPException as cause:
            raise NetworkError(
                f"{self.host} broke the exchange off: {type(cause).__name__}",
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
    ``smtps://host[:465]``. ``recipients`` are separated by commas. Without a ``sender``, it is the
    user where that is an address, else the first recipient. ``timeout`` bounds each step, in
    seconds. Raises ConfigurationError for what can't be used.
    """
    implicit_tls, host, port = _parse(url)
    found = parse_recipients(recipients)
    if not found:
        raise ConfigurationError(
            "there is nobody to send e-mail to", hint="set DEPLOYMENT_NOTIFICATION_EMAIL."
        )
    if bool(username) != bool(password):
        raise ConfigurationError(
            "of the mail server's user and password one is missing", hint="set both, or none."
        )
    if not (username + password).isprintable() or not (username + password).isascii():
        raise ConfigurationError(
            "the mail server's user or password has a line break, or isn't plain ASCII",
            hint="store them without a newline at the end; choose others if they aren't ASCII.",
        )
    if ca is not None and not ca.is_file():
        raise ConfigurationError(
            f"the CA certificates {ca} are not a file", hint="mend the path, or leave it out."
        )
    chosen = sender or (username if "@" in username else found[0])
    require_address(chosen, what="as the sender")
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
            hint="give it such as smtp://mail.example.com:587.",
        )
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"the URL of the mail server {host} has a user or password in it",
            hint="leave them out of the URL; they have settings of their own.",
        )
    return parts.scheme == "smtps", host, _PORTS[parts.scheme] if port is None else port


def _literal(client: smtplib.SMTP) -> str:
    """Return our end's address as SMTP writes it."""
    if client.sock is None:
        return _PLACEHOLDER
    address = str(client.sock.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
