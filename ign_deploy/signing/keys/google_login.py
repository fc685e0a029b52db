"""Access tokens of Google: a service account's file, a workload identity, or the machine's own.

GOOGLE_APPLICATION_CREDENTIALS names the file, as for Google's own libraries.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ign_deploy.errors import IdentityError, IgnDeployError
from ign_deploy.files import explain_os_error, read_regular
from ign_deploy.net.response import Response
from ign_deploy.signing.keys.access_tokens import AccessTokens, token_of
from ign_deploy.signing.keys.protocol import KeyAccess
from ign_deploy.signing.keys.service import ServiceClient, given, text_field

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_SCOPE = "https://www.googleapis.com/auth/cloudkms"
_OAUTH = "urn:ietf:params:oauth:"
_MAX_FILE = 1 << 16
_SECONDS = 3600
_HINT = f"create the file for {VARIABLE} again."


def google_tokens(access: KeyAccess) -> AccessTokens:
    """Return the tokens for Cloud KMS; raises IdentityError."""
    if name := given(access.env, VARIABLE):
        file = _read_file(Path(name))
        kind = file.fields.get("type")
        logins = {"service_account": _of_account, "external_account": _of_workload}
        if kind not in logins:
            raise IdentityError(
                f"{VARIABLE} names a file that is for neither a service account nor a workload "
                "identity",
                hint="make one with `gcloud iam workload-identity-pools create-cred-config`.",
            )
        login = logins[str(kind)]
        return AccessTokens(partial(login, file, access), access=access)
    if host := given(access.env, "GCE_METADATA_HOST"):
        return AccessTokens(partial(_of_machine, host, access), access=access)
    raise IdentityError(
        "no login for Google Cloud given",
        hint=f"set {VARIABLE} to the path of a credential file; on a machine with a service "
        "account, set GCE_METADATA_HOST=metadata.google.internal.",
    )


@dataclass(frozen=True, slots=True)
class CredentialFile:
    """The fields of a credential file; messages show none of them."""

    fields: Mapping[str, Any] = field(repr=False)

    def text(self, name: str) -> str:
        """Return a text; raises IdentityError if it isn't there."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value:
            raise IdentityError(f"the file of {VARIABLE} has no {name}", hint=_HINT)
        return value

    def part(self, name: str) -> CredentialFile:
        """Return the fields of a part of the file; none if it isn't there."""
        value = self.fields.get(name, {})
        return CredentialFile(value if isinstance(value, dict) else {})


def _read_file(path: Path, *, what: str = "the credentials of Google") -> CredentialFile:
    try:
        fields = json.loads(_read(path, what=what))
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise IdentityError(f"the file of {VARIABLE} is not a JSON object", hint=_HINT)
    return CredentialFile(fields)


def _read(path: Path, *, what: str) -> bytes:
    hint = f"correct {VARIABLE}, and the paths in its file."
    with explain_os_error(f"read {what}", path, error=IdentityError, hint=hint):
        return read_regular(path, limit=_MAX_FILE)


def _of_account(file: CredentialFile, access: KeyAccess) -> tuple[str, float]:
    """Log in with the key of a service account (RFC 7523)."""
    url, pem = file.text("token_uri"), file.text("private_key")
    access.reporter.mask(pem)
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise IdentityError(f"the private_key in the file of {VARIABLE} is damaged", hint=_HINT)
    now = int(time.time())
    claims = {
        "iss": file.text("client_email"), "scope": _SCOPE, "aud": url,
        "iat": now, "exp": now + _SECONDS,
    }  # fmt: skip
    text = b".".join(_encoded(each) for each in ({"alg": "RS256", "typ": "JWT"}, claims))
    signature = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    form = {
        "grant_type": f"{_OAUTH}grant-type:jwt-bearer",
        "assertion": b".".join((text, _base64(signature))).decode(),
    }
    with _client(url, access) as client:
        return token_of(client.post_form(url, form, title="logging in to Google"))


def _of_workload(file: CredentialFile, access: KeyAccess) -> tuple[str, float]:
    """Exchange an identity token (RFC 8693), and take a service account's role if there is one."""
    subject = _subject_token(file, access)
    access.reporter.mask(subject)
    url = file.text("token_url")
    form = {
        "grant_type": f"{_OAUTH}grant-type:token-exchange",
        "audience": file.text("audience"),
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "requested_token_type": f"{_OAUTH}token-type:access_token",
        "subject_token_type": file.text("subject_token_type"),
        "subject_token": subject,
    }
    with _client(url, access) as client:
        token, seconds = token_of(client.post_form(url, form, title="logging in to Google"))
    if "service_account_impersonation_url" not in file.fields:
        return token, seconds
    access.reporter.mask(token)
    url = file.text("service_account_impersonation_url")
    with _client(url, access) as client:
        response = client.request(
            "POST", url, title="logging in as the service account",
            json={"scope": [_SCOPE], "lifetime": f"{_SECONDS}s"},
            headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip
    return text_field(response, "accessToken"), _SECONDS


def _subject_token(file: CredentialFile, access: KeyAccess) -> str:
    """Return the CI job's identity token, from a file or a URL, as text or in JSON."""
    source = file.part("credential_source")
    if "file" in source.fields:
        content = _read(Path(source.text("file")), what="the identity token")
    elif "url" in source.fields:
        url, headers = source.text("url"), source.part("headers").fields
        with _client(url, access) as client:
            content = client.request(
                "GET", url, title="requesting an identity token",
                headers={str(name): str(value) for name, value in headers.items()},
            ).body  # fmt: skip
    else:
        raise IdentityError(
            f"the credential_source in the file of {VARIABLE} is neither a file nor a URL",
            hint="make one with --credential-source-file or --credential-source-url.",
        )
    token = content.decode("utf-8", "replace").strip()
    form = source.part("format")
    if form.fields.get("type") == "json":
        try:
            token = json.loads(token)[form.text("subject_token_field_name")]
        except (ValueError, RecursionError, LookupError, TypeError):
            token = ""
    if not isinstance(token, str) or not token or not token.isprintable():
        raise IdentityError("the identity token for Google is missing or damaged", hint=_HINT)
    return token


def _of_machine(host: str, access: KeyAccess) -> tuple[str, float]:
    client = ServiceClient.open_metadata(
        f"http://{host}", what="Google's metadata (GCE_METADATA_HOST)", access=access,
        error_for_response=_refused_login,
    )  # fmt: skip
    with client:
        response = client.request(
            "GET", "/computeMetadata/v1/instance/service-accounts/default/token",
            title="reading the identity of this machine", headers={"Metadata-Flavor": "Google"},
        )  # fmt: skip
    return token_of(response)


def _client(url: str, access: KeyAccess) -> ServiceClient:
    return ServiceClient.open(
        url, what=f"the login in the file of {VARIABLE}", access=access,
        error_for_response=_refused_login,
    )  # fmt: skip


def _refused_login(response: Response) -> IgnDeployError:
    error = response.fields().get("error")
    shown = f" ({error})" if isinstance(error, str) and error.replace("_", "").isalpha() else ""
    return response.failure(
        f"{response.host} returned {response.status}{shown[:80]}",
        hint="check the credential file, the provider's conditions, and that the identity may "
        "impersonate the service account (roles/iam.workloadIdentityUser).",
    )


def _encoded(document: object) -> bytes:
    return _base64(json.dumps(document).encode())


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
