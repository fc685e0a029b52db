"""Keys in AWS KMS: ``awskms:alias/NAME``, ``awskms:KEY-ID``, or ``awskms:`` with an ARN.

Credentials and region come from where every AWS tool takes them. The machine's own role is used
only if AWS_EC2_METADATA_DISABLED is ``false``: elsewhere, asking for it takes time.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ign_deploy.errors import IdentityError, IgnDeployError
from ign_deploy.module.findings import quoted
from ign_deploy.net.aws import AwsSettings
from ign_deploy.net.errors import RateLimited, TransientResponse
from ign_deploy.net.response import Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.signing.keys.protocol import KeyAccess
from ign_deploy.signing.keys.service import (
    ONE_ATTEMPT,
    ServiceClient,
    ci_id_token,
    default_ca,
    given,
    json_object,
    private_file,
    text_field,
    unexpected,
)

ALGORITHM = "RSASSA_PKCS1_V1_5_SHA_256"
_WHAT = "the key in AWS KMS"
_KEY = r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})"
_ALIAS = r"alias/[A-Za-z0-9_/-]{1,250}"
_URI = re.compile(
    rf"awskms:(?P<id>{_KEY}|{_ALIAS}"
    rf"|arn:aws[a-z-]{{0,20}}:kms:(?P<region>[a-z0-9-]{{1,40}}):[0-9]{{12}}:(?:key/{_KEY}|{_ALIAS}))",
    re.IGNORECASE,
)
_LIMITED = frozenset({"LimitExceededException", "RequestLimitExceeded", "ThrottlingException"})
_MAY_PASS = frozenset(
    {"DependencyTimeoutException", "KMSInternalException", "KeyUnavailableException"}
)
_HINTS = {
    "AccessDeniedException": "allow kms:GetPublicKey and kms:Sign for the key, in the policies "
    "of the role and of the key.",
    "DisabledException": "enable the key.",
    "ExpiredTokenException": "renew the credentials.",
    "InvalidKeyUsageException": "name a key with the usage SIGN_VERIFY.",
    "KMSInvalidStateException": "enable the key, or cancel its deletion.",
    "NotFoundException": "check --key, the region (AWS_REGION) and the account.",
    "UnsupportedOperationException": "name an asymmetric RSA key.",
}


def open_aws_key(uri: str, *, access: KeyAccess) -> AwsKey:
    """Find credentials and read the public key; raises IdentityError, NetworkError."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise IdentityError(
            "the URI of the signing key (--key) is not a key of AWS KMS",
            hint="write it as awskms:alias/NAME, as awskms:KEY-ID, or as awskms: and the ARN.",
        )
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        if secret := given(access.env, name):
            access.reporter.mask(secret)
    client = _open_client(found["region"] or "", access=access)
    try:
        return _find_key(client, found["id"])
    except BaseException:
        client.close()
        raise


@dataclass(frozen=True, slots=True)
class AwsKey:
    """An asymmetric key. Threads may share it."""

    client: KmsClient = field(repr=False)
    key_id: str
    public_key: PublicKeyTypes
    certificates: tuple[x509.Certificate, ...] = ()
    batch_size: int = 1
    parallel: int = 4

    @property
    def location(self) -> str:
        """The region and the key's name."""
        return f"AWS KMS in {self.client.region} ({self.key_id})"

    def sign_digests(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """Return the signature of each digest, by one request for each."""
        return [self._sign(digest) for digest in digests]

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _sign(self, digest: bytes) -> bytes:
        document = {
            "KeyId": self.key_id,
            "Message": base64.b64encode(digest).decode(),
            "MessageType": "DIGEST",
            "SigningAlgorithm": ALGORITHM,
        }
        response = self.client.call("Sign", document, title="signing", retry=ONE_ATTEMPT)
        return _decoded(response, "Signature")


class KmsClient(ServiceClient):
    """Requests to KMS in one region, each signed with valid credentials."""

    region: str
    settings: AwsSettings

    def call(
        self, operation: str, document: object, *, title: str, retry: RetryPolicy | None = None
    ) -> Response:
        """Do an operation, again while that may help."""
        body = json.dumps(document).encode()
        headers = self._signed_headers(body, operation)
        return self.request("POST", "/", title=title, body=body, headers=headers, retry=retry)

    def attempt(self, method: str, path: str = "", **options: Any) -> Response:
        """See ``Client.attempt``; KMS says with 400, too, that trying again helps."""
        response = super().attempt(method, path, **options)
        code = "" if response.ok else _code(response)
        message = f"{response.host} returned {response.status} ({code})"
        if code in _LIMITED:
            hint = "wait some minutes, then run again; ask AWS for a higher quota of kms:Sign."
            raise RateLimited(message, hint=hint, status=response.status)
        if code in _MAY_PASS:
            raise TransientResponse(message, hint="try again later.", status=response.status)
        return response

    def _signed_headers(self, body: bytes, operation: str) -> Mapping[str, str]:
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"TrentService.{operation}",
        }
        request = AWSRequest(method="POST", url=f"{self.base}/", data=body, headers=headers)
        SigV4Auth(self.settings.credentials(), "kms", self.region).add_auth(request)
        return dict(request.headers.items())


@dataclass(frozen=True, slots=True)
class _Access:
    """What the AWS settings take from a run."""

    env: Mapping[str, str] = field(repr=False)
    ca: Path | None
    username: str = ""
    password: str = ""


def _open_client(region: str, *, access: KeyAccess) -> KmsClient:
    env, token = dict(access.env), _web_identity(access)
    if token is not None:
        env["AWS_WEB_IDENTITY_TOKEN_FILE"] = token.name
    asks = given(env, "AWS_EC2_METADATA_DISABLED").lower() == "false"
    ca = default_ca(access)
    settings = AwsSettings(_Access(env, Path(ca) if ca else None), what=_WHAT, asks_machine=asks)
    region = region or settings.named_region
    if not region:
        raise IdentityError(
            "no region of the key in AWS KMS given", hint="set AWS_REGION, or give --key the ARN."
        )
    endpoint = settings.endpoint("kms") or f"https://{settings.amazon_host(region, 'kms')}"
    client = KmsClient.open(
        endpoint, what="AWS KMS (AWS_ENDPOINT_URL_KMS)", access=access,
        error_for_response=_error_for_response,
    )  # fmt: skip
    client.region, client.settings = region, settings
    client.files += (token,) if token is not None else ()
    return client


def _web_identity(access: KeyAccess) -> IO[bytes] | None:
    """Return a file with the CI job's identity token, where a role but no such file is given."""
    env = access.env
    named = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ACCESS_KEY_ID")
    if not given(env, "AWS_ROLE_ARN") or any(given(env, name) for name in named):
        return None
    token = ci_id_token("AWS_ID_TOKEN", audience="sts.amazonaws.com", access=access)
    return private_file(token.encode()) if token else None


def _find_key(client: KmsClient, key_id: str) -> AwsKey:
    response = client.call("GetPublicKey", {"KeyId": key_id}, title="reading the public key")
    encoded = _decoded(response, "PublicKey")
    usage = json_object(response).get("KeyUsage", "SIGN_VERIFY")
    if usage != "SIGN_VERIFY":
        raise IdentityError(
            f"the key {key_id} is for {quoted(str(usage))}", hint=_HINTS["InvalidKeyUsageException"]
        )
    try:
        return AwsKey(client, key_id, load_der_public_key(encoded))
    except ValueError:
        raise unexpected(response) from None


def _decoded(response: Response, name: str) -> bytes:
    try:
        return base64.b64decode(text_field(response, name), validate=True)
    except (binascii.Error, ValueError):
        raise unexpected(response) from None


def _code(response: Response) -> str:
    """Return the name of the exception that a response tells."""
    code = str(response.fields().get("__type", "")).rpartition("#")[2]
    return code if re.fullmatch(r"[A-Za-z]{1,60}", code) else ""


def _error_for_response(response: Response) -> IgnDeployError:
    code = _code(response)
    shown = f" ({code})" if code else ""
    default = "check the credentials of AWS (AWS_… variables), --key and AWS_REGION."
    return response.failure(
        f"{response.host} returned {response.status}{shown}", hint=_HINTS.get(code, default)
    )
