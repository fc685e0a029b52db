"""Keys in the transit engine of Vault or OpenBao: ``vault:transit/keys/NAME[?version=N]``.

Many digests go in one request. The key's version is chosen when it is opened, so that a rotation
meanwhile changes nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ign_deploy.errors import IdentityError, SigningError, VerificationError
from ign_deploy.module.certificates import read_certificates
from ign_deploy.module.findings import quoted
from ign_deploy.net.response import Response
from ign_deploy.signing.keys.protocol import KeyAccess, not_rsa
from ign_deploy.signing.keys.service import json_object, unexpected
from ign_deploy.signing.keys.vault_login import VaultSession

_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_-])?"
_URI = re.compile(
    rf"vault:(?P<mount>{_NAME}(?:/{_NAME}){{0,9}})/keys/(?P<name>{_NAME})"
    r"(?:\?version=(?P<version>[1-9][0-9]{0,8}))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class VaultUri:
    """A key of a transit engine; ``version`` is 0 for the latest one."""

    mount: str
    name: str
    version: int = 0

    @property
    def path(self) -> str:
        """The path of the key."""
        return f"{self.mount}/keys/{self.name}"


def parse_vault_uri(uri: str) -> VaultUri:
    """Return the parts of a URI; raises IdentityError."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise IdentityError(
            "the URI of the signing key (--key) is not a key of a transit engine",
            hint="write it as vault:transit/keys/NAME, or with ?version=N at its end; the server "
            "is set by VAULT_ADDR.",
        )
    return VaultUri(found["mount"], found["name"], int(found["version"] or 0))


def open_vault_key(uri: str, *, access: KeyAccess) -> VaultKey:
    """Log in to the server and read the public key; raises IdentityError, NetworkError."""
    parsed = parse_vault_uri(uri)
    session = VaultSession(access)
    try:
        return _find_key(session, parsed)
    except BaseException:
        session.close()
        raise


@dataclass(frozen=True, slots=True)
class VaultKey:
    """One version of a key in a transit engine. Threads may share it."""

    session: VaultSession
    uri: VaultUri
    public_key: PublicKeyTypes
    certificates: tuple[x509.Certificate, ...] = ()
    batch_size: int = 50
    parallel: int = 4

    @property
    def location(self) -> str:
        """The server and the key's path."""
        return f"Vault at {self.session.host} ({self.uri.path}, version {self.uri.version})"

    def sign_digests(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """Return the signature of each digest, all by one request."""
        document = {
            "batch_input": [{"input": base64.b64encode(each).decode()} for each in digests],
            "prehashed": True,
            "signature_algorithm": "pkcs1v15",
            "key_version": self.uri.version,
        }
        path = f"{self.uri.mount}/sign/{self.uri.name}/sha2-256"
        response = self.session.write_once(path, document, title="signing")
        results = _data(response).get("batch_results")
        if not isinstance(results, list):
            raise unexpected(response)
        return [self._signature(each, response) for each in results]

    def close(self) -> None:
        """Log out."""
        self.session.close()

    def _signature(self, result: Any, response: Response) -> bytes:
        """Return a signature that came as ``vault:v1:BASE64``."""
        fields = result if isinstance(result, dict) else {}
        if reason := fields.get("error"):
            raise SigningError(
                f"{self.location} didn't sign: {quoted(str(reason))}",
                hint="check the key's version and its settings in the transit engine.",
            )
        prefix, _, encoded = str(fields.get("signature")).rpartition(":")
        try:
            signature = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise unexpected(response) from None
        if prefix.rpartition(":")[2] != f"v{self.uri.version}":
            raise unexpected(response)
        return signature


def _find_key(session: VaultSession, uri: VaultUri) -> VaultKey:
    response = session.read(uri.path, title=f"reading the key {uri.path}")
    data = _data(response)
    versions, latest = data.get("keys"), data.get("latest_version")
    if not isinstance(versions, dict) or not isinstance(latest, int):
        raise unexpected(response)
    chosen = VaultUri(uri.mount, uri.name, uri.version or latest)
    kind = data.get("type")
    if not isinstance(kind, str) or not kind.startswith("rsa-"):
        raise not_rsa(quoted(str(kind)))
    version = versions.get(str(chosen.version))
    if not isinstance(version, dict):
        raise IdentityError(
            f"the key {uri.path} has no version {chosen.version}; its latest is {latest}",
            hint="correct ?version= in --key, or leave it out.",
        )
    try:
        public_key = load_pem_public_key(str(version.get("public_key")).encode())
    except ValueError:
        raise unexpected(response) from None
    return VaultKey(session, chosen, public_key, _certificates(version.get("certificate_chain")))


def _certificates(chain: object) -> tuple[x509.Certificate, ...]:
    """Return the certificates that are kept with the key; none if they can't be read."""
    if not isinstance(chain, str) or not chain.strip():
        return ()
    try:
        return read_certificates(chain.encode())
    except VerificationError:
        return ()


def _data(response: Response) -> dict[str, Any]:
    data = json_object(response).get("data")
    if not isinstance(data, dict):
        raise unexpected(response)
    return data
