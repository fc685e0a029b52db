"""A registry's token server (Docker's token authentication), with a key made at its start."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

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

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        """Return status and document for a request."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        self.asked.append(query)
        granted = self.anonymous
        if authorization:
            pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
            name, _, password = pair.partition(":")
            known = self.users.get(name)
            if known is None or known[0] != password:
                return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]}
            granted = known[1]
        kind, repository, actions = query["scope"].split(":")
        if self.refused & set(actions.split(",")):
            return 403, {"errors": [{"code": "DENIED", "message": "asked for too much"}]}
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


@contextmanager
def token_server(folder: Path, server: TokenServer) -> Iterator[TokenServer]:
    """Run the token server; its certificate is written into the folder."""
    server.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "token server")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(server.key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(server.key, hashes.SHA256())
    )
    server.chain = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    server.certificates = folder / "token-server.pem"
    server.certificates.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, document = server.answer(self.path, self.headers.get("Authorization", ""))
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's
            """Write no log."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
