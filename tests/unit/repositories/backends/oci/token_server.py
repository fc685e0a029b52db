"""A registry's token server (Docker's token authentication), with a key made at its start."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.identities import issue, pem_certificates, rsa_key
from tests.support.serving import HttpServer, Reply, Request, json_reply, serving

SERVICE, ISSUER = "the registry", "the token server"


@dataclass
class TokenServer:
    """What it grants: ``users`` have a password and the actions that they may do.

    ``anonymous`` are those of everybody; who asks for one of ``refused`` gets no token; ``lasts``
    is how long tokens do (seconds); ``asked`` holds the query of each request.
    """

    users: Mapping[str, tuple[str, frozenset[str]]]
    anonymous: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    lasts: int = 300
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    certificates: Path = Path()
    key: Any = None
    chain: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a registry that trusts it."""
        return {
            "realm": f"{self.url}/token",
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(self.certificates),
        }

    def answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Return status and document for a request."""
        query = request.query
        self.asked.append(query)
        granted = self.anonymous
        scheme, pair = request.credentials
        if scheme:
            name, _, password = pair.partition(":")
            known = self.users.get(name)
            if known is None or known[0] != password:
                return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]}
            granted = known[1]
        kind, repository, actions = query["scope"].split(":")
        if self.refused & set(actions.split(",")):
            return 403, {"errors": [{"code": "DENIED", "message": "too much was requested"}]}
        allowed = sorted(granted & set(actions.split(",")))
        access = [{"type": kind, "name": repository, "actions": allowed}]
        return 200, {"token": self._token(access), "expires_in": self.lasts}

    def _token(self, access: list[dict[str, Any]]) -> str:
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [self.chain]}
        claims = {
            "iss": ISSUER, "sub": "", "aud": SERVICE, "jti": secrets.token_hex(8), "iat": now,
            "nbf": now - 10, "exp": now + self.lasts, "access": access,
        }  # fmt: skip
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (head, claims))
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class _Endpoint(HttpServer):
    def __init__(self, server: TokenServer) -> None:
        super().__init__()
        self._server = server

    def respond(self, request: Request) -> Reply:
        return json_reply(*self._server.answer(request))


@contextmanager
def token_server(folder: Path, server: TokenServer) -> Iterator[TokenServer]:
    """Run the token server; its certificate is written into the folder."""
    server.key = rsa_key("token server")
    certificate = issue(ISSUER, server.key, issuer=ISSUER, issuer_key=server.key, authority=True)
    server.chain = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
    server.certificates = folder / "token-server.pem"
    server.certificates.write_bytes(pem_certificates(certificate))
    with serving(_Endpoint(server)) as endpoint:
        server.url = endpoint.url
        yield server
