"""Doubles of the services that sign: strict about requests, and stateful; faults are added to them.

Each keeps one RSA key, and responds as the service does to what the adapters may send.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ign_deploy.signing.keys.file import FileKey
from tests.support.identities import rsa_key
from tests.support.serving import HttpServer, Reply, Request, json_reply


@cache
def curve_key() -> ec.EllipticCurvePublicKey:
    """Return an EC public key."""
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def pem(key: PublicKeyTypes) -> str:
    """Return a public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class KeyService(HttpServer):
    """A service with one key; ``signs_with`` is another one if it is to sign wrongly."""

    methods = frozenset({"GET", "POST"})
    signing = ""
    """The pattern of a request to sign."""
    opening = ""
    """The pattern of the request that reads the public key."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.private_key = rsa_key("service")
        self.public_key: PublicKeyTypes = self.private_key.public_key()
        self.signs_with = self.private_key
        self.signed: list[bytes] = []

    @property
    def uri(self) -> str:
        """The key's URI."""
        raise NotImplementedError

    @property
    def env(self) -> Mapping[str, str]:
        """The variables that an adapter needs."""
        raise NotImplementedError

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may have."""
        raise NotImplementedError

    def sign(self, digest: str) -> bytes:
        """Sign a digest that came in Base64."""
        found = base64.b64decode(digest, validate=True)
        assert len(found) == 32
        with self.lock:
            self.signed.append(found)
        return FileKey(self.signs_with).sign_digests([found])[0]


class VaultDouble(KeyService):
    """The transit engine of Vault, and a token that may look itself up and be renewed."""

    signing = "POST /v1/team/transit/sign/release/sha2-256"
    opening = "GET /v1/team/transit/keys/release"
    uri = "vault:team/transit/keys/release"
    secrets = ("hvs.secret-token",)

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.lifetime = 0
        self.logins = 0
        self.partly = False

    @property
    def env(self) -> Mapping[str, str]:
        return {"VAULT_ADDR": self.url, "VAULT_TOKEN": self.secrets[0]}

    def respond(self, request: Request) -> Reply:
        path, body = request.path.removeprefix("/v1/"), json.loads(request.body or b"{}")
        if path == "auth/approle/login":
            assert body == {"role_id": "role", "secret_id": "hidden-id"}
            self.logins += 1
            auth = {"lease_duration": self.lifetime, "renewable": True}
            return json_reply(200, {"auth": {"client_token": self.secrets[0], **auth}})
        if request.headers.get("X-Vault-Token") != self.secrets[0]:
            return json_reply(403, {"errors": ["permission denied"]})
        document = self._document(path, body)
        return json_reply(404, {"errors": []}) if document is None else json_reply(200, document)

    def _document(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if path == "auth/token/lookup-self":
            return {"data": {"ttl": self.lifetime, "renewable": True}}
        if path == "auth/token/renew-self":
            return {"auth": {"lease_duration": self.lifetime, "renewable": True}}
        if path == "auth/token/revoke-self":
            return {"data": {}}
        if path == "team/transit/keys/release":
            is_rsa = self.public_key is not curve_key()
            version = {"public_key": pem(self.public_key)}
            kind = "rsa-2048" if is_rsa else "ecdsa-p256"
            return {"data": {"type": kind, "latest_version": 3, "keys": {"3": version}}}
        if path == "team/transit/sign/release/sha2-256":
            assert {name: value for name, value in body.items() if name != "batch_input"} == {
                "prehashed": True, "signature_algorithm": "pkcs1v15", "key_version": 3,
            }  # fmt: skip
            return {"data": {"batch_results": self._results(body["batch_input"])}}
        return None

    def _results(self, batch: list[dict[str, str]]) -> list[dict[str, object]]:
        results: list[dict[str, object]] = [
            {"signature": f"vault:v3:{base64.b64encode(self.sign(each['input'])).decode()}"}
            for each in batch
        ]
        if self.partly:
            results[-1] = {"error": "no such version", "key_version": 0}
        return results


class AwsDouble(KeyService):
    """AWS KMS, which checks each request's signature; moto signs digests wrongly."""

    signing = "POST Sign"
    opening = "POST GetPublicKey"
    usage = "SIGN_VERIFY"
    key_id = "alias/release"
    secrets = ("aws-secret-key", "aws-session-token")

    @property
    def uri(self) -> str:
        return f"awskms:{self.key_id}"

    @property
    def env(self) -> Mapping[str, str]:
        return {
            "AWS_ENDPOINT_URL_KMS": self.url,
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": self.secrets[0],
            "AWS_SESSION_TOKEN": self.secrets[1],
        }

    def line(self, request: Request) -> str:
        return f"{request.method} {request.headers['X-Amz-Target'].rpartition('.')[2]}"

    def respond(self, request: Request) -> Reply:
        if request.headers["Authorization"] != self._authorization(request):
            return _aws_error("InvalidSignatureException")
        operation, body = request.headers["X-Amz-Target"], json.loads(request.body)
        if body.pop("KeyId") != self.key_id:
            return _aws_error("NotFoundException")
        if operation == "TrentService.GetPublicKey":
            key = self.public_key
            is_rsa = isinstance(key, rsa.RSAPublicKey)
            der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            spec = "RSA_2048" if is_rsa else "ECC_NIST_P256"
            found = {"PublicKey": base64.b64encode(der).decode(), "KeySpec": spec}
            return json_reply(200, {**found, "KeyUsage": self.usage})
        assert operation == "TrentService.Sign"
        signature = self.sign(body.pop("Message"))
        assert body == {"MessageType": "DIGEST", "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256"}
        return json_reply(200, {"Signature": base64.b64encode(signature).decode()})

    def _authorization(self, request: Request) -> str:
        """Return what the request's header has to be."""
        names = ("Content-Type", "X-Amz-Target", "X-Amz-Date", "X-Amz-Security-Token")
        headers = {name: request.headers[name] for name in names}
        copy = AWSRequest("POST", f"{self.url}/", data=request.body, headers=headers)
        copy.context["timestamp"] = request.headers["X-Amz-Date"]
        auth = SigV4Auth(Credentials("AKIDEXAMPLE", *self.secrets), "kms", "eu-central-1")
        signature = auth.signature(auth.string_to_sign(copy, auth.canonical_request(copy)), copy)
        return (
            f"AWS4-HMAC-SHA256 Credential={auth.scope(copy)}, "
            f"SignedHeaders={auth.signed_headers(auth.headers_to_sign(copy))}, "
            f"Signature={signature}"
        )


def _aws_error(code: str) -> Reply:
    return json_reply(400, {"__type": f"com.amazon#{code}", "message": "not shown"})
