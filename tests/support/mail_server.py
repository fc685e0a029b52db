"""A real SMTP server on loopback (aiosmtpd): with TLS from the start, STARTTLS, or none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.serving import serving
from tests.support.tls import Tls

USER, PASSWORD = "robot", "c0rrect horse"


@dataclass
class Received:
    """A message as it came, and how."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    raw: bytes
    over_tls: bool
    user: str


@dataclass
class MailServer:
    """What came in; refuses the addresses in ``refused``, and answers ``answer`` to the text."""

    port: int
    messages: list[Received] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    answer: str = "250 OK"
    greetings: list[str] = field(default_factory=list)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = hostname
        self.greetings.append(hostname)
        return responses

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if not self.answer.startswith("250"):
            return self.answer
        raw = envelope.content
        assert isinstance(raw, bytes)
        message = message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        data = session.auth_data
        user = data.login.decode() if isinstance(data, LoginPassword) else ""
        assert server.transport is not None
        over_tls = server.transport.get_extra_info("sslcontext") is not None
        self.messages.append(
            Received(str(envelope.mail_from), [*envelope.rcpt_tos], message, raw, over_tls, user)
        )
        return self.answer


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=right, handled=right, auth_data=data)


@contextmanager
def mail_server(
    tls: Tls | None = None, *, mode: Literal["plain", "starttls", "implicit"] = "plain"
) -> Iterator[MailServer]:
    """Run a server; with TLS it requires a user, and never takes a password without TLS."""
    listener = socket.create_server(("127.0.0.1", 0))
    state = MailServer(listener.getsockname()[1])
    loop = asyncio.new_event_loop()
    context = tls.context if tls is not None else None

    def protocol() -> SMTP:
        starttls = mode == "starttls"
        return SMTP(
            state,
            hostname="mail.test",
            loop=loop,
            tls_context=context if starttls else None,
            require_starttls=starttls,
            auth_required=starttls,
            # aiosmtpd takes only STARTTLS for TLS; here, nothing is said without it anyway.
            auth_require_tls=mode != "implicit",
            authenticator=_authenticate if mode != "plain" else None,
        )

    server = loop.run_until_complete(
        loop.create_server(protocol, sock=listener, ssl=context if mode == "implicit" else None)
    )
    with serving(_Loop(loop, server)):
        yield state


@dataclass
class _Loop:
    loop: asyncio.AbstractEventLoop
    server: asyncio.Server

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        self.loop.run_forever()

    def shutdown(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)

    def server_close(self) -> None:
        self.loop.run_until_complete(self._close())
        self.loop.close()

    async def _close(self) -> None:
        self.server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.server.wait_closed()
