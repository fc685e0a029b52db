"""Signing keys, wherever they are: ``protocol`` is what each of them can do.

An adapter is imported when a key of its kind is opened: the others cost nothing.
"""

from __future__ import annotations

import os
import re

from ign_deploy.errors import IdentityError
from ign_deploy.signing.keys.protocol import KeyAccess, SigningKey

SCHEMES = ("pkcs11", "vault", "awskms", "azurekv", "gcpkms")
"""The schemes of the URIs that name a key."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def key_scheme(text: str) -> str:
    """Return the scheme of a key URI in lower case; empty for a path, Base64 or PEM text."""
    found = _SCHEME.match(text.strip())
    if found is None or "-----BEGIN " in text:
        return ""
    scheme = found[1].lower()
    return scheme if scheme in SCHEMES or not os.path.exists(text) else ""


def open_key(uri: str, *, access: KeyAccess) -> SigningKey:
    """Open the key that a URI names; the caller closes it. Raises IdentityError, NetworkError."""
    scheme = key_scheme(uri)
    if scheme == "pkcs11":
        from ign_deploy.signing.keys.pkcs11_process import open_token_process

        return open_token_process(uri.strip(), access=access)
    if scheme == "vault":
        from ign_deploy.signing.keys.vault import open_vault_key

        return open_vault_key(uri.strip(), access=access)
    if scheme == "awskms":
        return _open_aws_key(uri.strip(), access)
    if scheme == "azurekv":
        from ign_deploy.signing.keys.azurekv import open_azure_key

        return open_azure_key(uri.strip(), access=access)
    if scheme == "gcpkms":
        from ign_deploy.signing.keys.gcpkms import open_google_key

        return open_google_key(uri.strip(), access=access)
    known = ":, ".join(SCHEMES[:-1]) + f": or {SCHEMES[-1]}:"
    raise IdentityError(
        f'unsupported kind of signing key "{scheme[:20]}:"',
        hint=f"give --key a path, or a URI that begins with {known}",
    )


def _open_aws_key(uri: str, access: KeyAccess) -> SigningKey:
    try:
        import botocore  # noqa: F401 - only whether it is there
    except ModuleNotFoundError:
        raise IdentityError(
            "keys in AWS KMS need botocore, which isn't installed",
            hint="pip install 'ign-deploy[s3]', or use the container image, which has it.",
        ) from None
    from ign_deploy.signing.keys.awskms import open_aws_key

    return open_aws_key(uri, access=access)
