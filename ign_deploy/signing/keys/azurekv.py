"""Keys in Azure Key Vault or a managed HSM: ``azurekv:https://VAULT/keys/NAME[/VERSION]``.

The key is read once, when it is opened: more reads would count against the limit of requests.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from ign_deploy.errors import ConfigurationError, IdentityError, IgnDeployError
from ign_deploy.module.findings import quoted
from ign_deploy.net.credentials import is_this_machine, origin
from ign_deploy.net.response import Response
from ign_deploy.signing.keys.access_tokens import AccessTokens
from ign_deploy.signing.keys.azure_login import azure_tokens
from ign_deploy.signing.keys.protocol import KeyAccess, not_rsa
from ign_deploy.signing.keys.service import (
    ONE_ATTEMPT,
    ServiceClient,
    json_object,
    text_field,
    unexpected,
)

_API = "api-version=7.4"
_KINDS = r"(?:vault|managedhsm)\.(?:azure\.net|azure\.cn|usgovcloudapi\.net)"
_HOST = re.compile(rf"[a-z0-9-]{{1,63}}\.({_KINDS})")
_URI = re.compile(
    r"azurekv:(?P<vault>https?://[A-Za-z0-9.:\[\]-]{1,260})/keys/(?P<name>[A-Za-z0-9-]{1,127})"
    r"(?:/(?P<version>[A-Za-z0-9]{1,64}))?/?",
    re.IGNORECASE,
)
_KID = re.compile(r"https?://[^/]+/keys/[A-Za-z0-9-]+/([A-Za-z0-9]{1,64})")
_HINTS = {
    401: "check that the login's tenant is the vault's.",
    403: "give the login the role Key Vault Crypto User for the key (or the permissions get and "
    "sign), and this machine access through the vault's firewall.",
    404: "check the vault, the name and the version in --key.",
}


def open_azure_key(uri: str, *, access: KeyAccess) -> AzureKey:
    """Log in and read the public key; raises IdentityError, NetworkError."""
    found = _URI.fullmatch(uri)
    service = _service(found["vault"]) if found else ""
    if found is None or not service:
        raise IdentityError(
            "the URI of the signing key (--key) is not a key of an Azure vault",
            hint="write it as azurekv:https://VAULT.vault.azure.net/keys/NAME, or with /VERSION at "
            "its end.",
        )
    tokens = azure_tokens(service, access=access)
    client = ServiceClient.open(
        found["vault"], what="the vault (--key)", access=access,
        error_for_response=_error_for_response,
    )  # fmt: skip
    try:
        path = f"/keys/{found['name']}" + (f"/{found['version']}" if found["version"] else "")
        return _find_key(client, tokens, path)
    except BaseException:
        client.close()
        raise


@dataclass(frozen=True, slots=True)
class AzureKey:
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
        value = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        response = self.client.request(
            "POST", f"{self.path}/sign?{_API}", title="signing",
            json={"alg": "RS256", "value": value}, headers=self.tokens.headers(),
            retry=ONE_ATTEMPT,
        )  # fmt: skip
        return _decoded(text_field(response, "value"), response)


def _service(vault: str) -> str:
    """Return the kind of vault, to which tokens may be sent; empty for any other host.

    A server on this machine is for tests and tunnels.
    """
    try:
        scheme, host, port = origin(vault)
    except ConfigurationError:
        return ""
    if is_this_machine(host):
        return "vault.azure.net"
    kind = _HOST.fullmatch(host)
    return kind[1] if kind and scheme == "https" and port == 443 else ""


def _find_key(client: ServiceClient, tokens: AccessTokens, path: str) -> AzureKey:
    response = client.request(
        "GET", f"{path}?{_API}", title="reading the public key", headers=tokens.headers()
    )
    key = json_object(response).get("key")
    if not isinstance(key, dict):
        raise unexpected(response)
    kid, kind, operations = key.get("kid"), key.get("kty"), key.get("key_ops", ["sign"])
    version = _KID.fullmatch(kid) if isinstance(kid, str) else None
    if version is None or not isinstance(kind, str):
        raise unexpected(response)
    if kind not in {"RSA", "RSA-HSM"}:
        raise not_rsa(quoted(kind))
    if not isinstance(operations, list) or "sign" not in operations:
        raise IdentityError(
            f"the key {path} at {response.host} is not allowed to sign (key_ops)",
            hint="add the operation sign to the key, or name another one.",
        )
    name = path.split("/")[2]
    location = f"Azure Key Vault {response.host} ({name}, version {version[1]})"
    public_key = _public_key(key, response)
    return AzureKey(client, tokens, f"/keys/{name}/{version[1]}", location, public_key)


def _public_key(key: dict[str, Any], response: Response) -> rsa.RSAPublicKey:
    n, e = (int.from_bytes(_decoded(str(key.get(each)), response), "big") for each in "ne")
    try:
        return rsa.RSAPublicNumbers(e, n).public_key()
    except ValueError:
        raise unexpected(response) from None


def _decoded(text: str, response: Response) -> bytes:
    """Return what Base64 for URLs, without padding, holds."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise unexpected(response) from None


def _error_for_response(response: Response) -> IgnDeployError:
    error = response.fields().get("error")
    inner = error.get("innererror") if isinstance(error, dict) else None
    codes = [each.get("code") for each in (error, inner) if isinstance(each, dict)]
    named = [each for each in codes if isinstance(each, str) and each.isalnum()]
    shown = f" ({quoted(named[-1])})" if named else ""
    return response.failure(
        f"{response.host} returned {response.status}{shown}",
        hint=_HINTS.get(response.status, "check --key, and the state of the key and its vault."),
    )
