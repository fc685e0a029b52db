"""Keys in Google Cloud KMS: ``gcpkms:projects/…/cryptoKeys/NAME/cryptoKeyVersions/N``.

Requests and responses have a CRC32C, so that what was damaged on the way is requested again.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ign_deploy.errors import IdentityError, IgnDeployError
from ign_deploy.module.findings import quoted
from ign_deploy.net.errors import TransientResponse
from ign_deploy.net.response import Response
from ign_deploy.signing.keys.access_tokens import AccessTokens
from ign_deploy.signing.keys.google_login import google_tokens
from ign_deploy.signing.keys.protocol import KeyAccess, not_rsa
from ign_deploy.signing.keys.service import (
    ONE_ATTEMPT,
    ServiceClient,
    given,
    json_object,
    text_field,
    unexpected,
)

_SERVICE = "https://cloudkms.googleapis.com"
_ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"
_ID = r"[A-Za-z0-9_-]{1,63}"
_URI = re.compile(
    rf"gcpkms:(?P<path>projects/(?:[a-z0-9.-]{{1,80}}:)?[a-z0-9-]{{1,63}}/locations/{_ID}"
    rf"/keyRings/{_ID}/cryptoKeys/(?P<name>{_ID})/cryptoKeyVersions/(?P<version>[1-9][0-9]{{0,8}}))"
)
_ALGORITHM = re.compile(r"RSA_SIGN_PKCS1_[0-9]{4}_SHA256")
_HINTS = {
    401: "check the credentials of Google Cloud.",
    403: "give the login the role roles/cloudkms.signerVerifier for the key.",
    404: "check the project, location, key ring, key and version in --key.",
}


def open_google_key(uri: str, *, access: KeyAccess) -> GoogleKey:
    """Log in and read the public key; raises IdentityError, NetworkError."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise IdentityError(
            "the URI of the signing key (--key) is not a key version of Google Cloud KMS",
            hint="write it as gcpkms:projects/P/locations/L/keyRings/R/cryptoKeys/K/"
            "cryptoKeyVersions/1.",
        )
    tokens = google_tokens(access)
    client = ServiceClient.open(
        given(access.env, _ENDPOINT) or _SERVICE, what=f"Google Cloud KMS ({_ENDPOINT})",
        access=access, error_for_response=_error_for_response,
    )  # fmt: skip
    try:
        public_key = _read_key(client, tokens, found["path"])
    except BaseException:
        client.close()
        raise
    location = f"Google Cloud KMS ({found['name']}, version {found['version']})"
    return GoogleKey(client, tokens, found["path"], location, public_key)


@dataclass(frozen=True, slots=True)
class GoogleKey:
    """One version of a key. Threads may share it."""

    client: ServiceClient = field(repr=False)
    tokens: AccessTokens = field(repr=False)
    path: str
    location: str
    public_key: PublicKeyTypes
    certificates: tuple[x509.Certificate, ...] = ()
    batch_size: int = 1
    parallel: int = 4

    def sign_digests(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """Return the signature of each digest, by one request for each."""
        return [self._sign(digest) for digest in digests]

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _sign(self, digest: bytes) -> bytes:
        document = {
            "digest": {"sha256": base64.b64encode(digest).decode()},
            "digestCrc32c": str(crc32c(digest)),
        }
        response = self.client.request(
            "POST", f"/v1/{self.path}:asymmetricSign", title="signing", json=document,
            headers=self.tokens.headers(), retry=ONE_ATTEMPT,
        )  # fmt: skip
        signature = _decoded(response)
        if json_object(response).get("verifiedDigestCrc32c") is not True:
            raise _damaged(response, "request")
        _check(signature, response, name="signatureCrc32c")
        if text_field(response, "name") != self.path:
            raise unexpected(response)
        return signature


def _read_key(client: ServiceClient, tokens: AccessTokens, path: str) -> PublicKeyTypes:
    def read() -> Response:
        return client.attempt(
            "GET", f"/v1/{path}/publicKey", title="reading the public key", headers=headers
        )

    def read_whole() -> Response:
        response = read()
        if response.ok:
            _check(text_field(response, "pem").encode(), response, name="pemCrc32c")
        return response

    headers = tokens.headers()
    response = client.repeat(read_whole, title="reading the public key")
    algorithm, pem = text_field(response, "algorithm"), text_field(response, "pem")
    if not algorithm.startswith("RSA_"):
        raise not_rsa(quoted(algorithm))
    if _ALGORITHM.fullmatch(algorithm) is None:
        raise IdentityError(
            f"the key makes other signatures than modules need: {quoted(algorithm)}",
            hint="create a key with the algorithm rsa-sign-pkcs1-3072-sha256.",
        )
    try:
        return load_pem_public_key(pem.encode())
    except ValueError:
        raise unexpected(response) from None


def _check(content: bytes, response: Response, *, name: str) -> None:
    if text_field(response, name) != str(crc32c(content)):
        raise _damaged(response, "response")


def _damaged(response: Response, what: str) -> TransientResponse:
    return TransientResponse(
        f"the {what} was damaged on its way, says its CRC32C ({response.host})",
        hint="check what is between this machine and Google, then run again.",
        status=response.status,
    )


def _decoded(response: Response) -> bytes:
    try:
        return base64.b64decode(text_field(response, "signature"), validate=True)
    except (binascii.Error, ValueError):
        raise unexpected(response) from None


@cache
def _table() -> tuple[int, ...]:
    table = []
    for number in range(256):
        value = number
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def crc32c(content: bytes) -> int:
    """Return the CRC32C (Castagnoli, RFC 3720) of some bytes."""
    table, value = _table(), 0xFFFFFFFF
    for byte in content:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _error_for_response(response: Response) -> IgnDeployError:
    error = response.fields().get("error")
    status = error.get("status") if isinstance(error, dict) else None
    is_name = isinstance(status, str) and re.fullmatch(r"[A-Z_]{1,40}", status)
    hint = "check --key, and that its version is enabled."
    return response.failure(
        f"{response.host} returned {response.status}{f' ({status})' if is_name else ''}",
        hint=_HINTS.get(response.status, hint),
    )
