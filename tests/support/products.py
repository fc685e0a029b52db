"""What the simulated products of repositories have in common: accounts and checksums."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tests.support.serving import HttpServer, Reply, Request


@dataclass(frozen=True)
class Call(Request):
    """A request and its user, empty for an anonymous one."""

    user: str = ""


def checksums(data: bytes) -> dict[str, str]:
    """Return the digests that the products state."""
    return {
        "sha1": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


class Product(HttpServer):
    """A product that knows its users; wrong credentials are refused, whatever they are for."""

    methods = HttpServer.methods - {"PATCH"}

    def user_of(self, scheme: str, secret: str) -> str | None:
        """Return whose credentials these are (of the schemes Basic or Bearer), None if wrong."""
        raise NotImplementedError

    def answer(self, call: Call) -> Reply:
        """Respond to a known user, or to an anonymous request."""
        raise NotImplementedError

    def respond(self, request: Request) -> Reply:
        """Find out who makes the request."""
        scheme, secret = request.credentials
        user = self.user_of(scheme, secret) if scheme else ""
        if user is None:
            return Reply(401, {"WWW-Authenticate": 'Basic realm="store"'})
        return self.answer(
            Call(request.method, request.target, request.headers, request.body, user=user)
        )
