"""Doubles of the services that sign: strict about requests, and stateful; faults are added to them.

Each keeps one RSA key, and responds as the service does to what the adapters may send.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.google_kms import GoogleDouble
from tests.support.key_service import KeyService, curve_key, pem
from tests.support.serving import Reply, Request, json_reply


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


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _unpadded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class AzureDouble(KeyService):
    """Azure Key Vault, Microsoft Entra, and a machine's identity; tokens last ``lifetime``."""

    opening = "GET /keys/release"
    signing = "POST /keys/release/0123abcd/sign"
    secrets = ("azure-client-secret", "azure.access.token")

    def __init__(self) -> None:
        super().__init__()
        self.lifetime = 3600
        self.operations = ["sign", "verify"]
        self.proofs: list[str] = []

    @property
    def uri(self) -> str:
        return f"azurekv:{self.url}/keys/release"

    @property
    def env(self) -> Mapping[str, str]:
        return {
            "AZURE_AUTHORITY_HOST": self.url,
            "AZURE_TENANT_ID": "example.onmicrosoft.com",
            "AZURE_CLIENT_ID": "client",
            "AZURE_CLIENT_SECRET": self.secrets[0],
        }

    def respond(self, request: Request) -> Reply:
        if request.path == "/metadata/identity/oauth2/token":
            assert request.headers["Metadata"] == "true"
            assert request.query["resource"] == "https://vault.azure.net"
            self.proofs.append("machine")
            token = {"access_token": self.secrets[1], "expires_in": str(self.lifetime)}
            return json_reply(200, token)
        if request.path == "/example.onmicrosoft.com/oauth2/v2.0/token":
            return self._log_in(dict(parse_qsl(request.body.decode())))
        if request.credentials != ("Bearer", self.secrets[1]):
            return json_reply(401, {"error": {"code": "Unauthorized"}})
        assert request.query == {"api-version": "7.4"}
        if request.path == "/keys/release/0123abcd/sign":
            body = json.loads(request.body)
            value = body["value"]
            signature = self.sign(base64.b64encode(base64.urlsafe_b64decode(f"{value}=")).decode())
            assert body == {"alg": "RS256", "value": value}
            return json_reply(200, {"kid": self._kid, "value": _unpadded(signature)})
        if request.path in {"/keys/release", "/keys/release/0123abcd"}:
            return json_reply(200, {"key": self._key(), "attributes": {"enabled": True}})
        return json_reply(404, {"error": {"code": "KeyNotFound"}})

    @property
    def _kid(self) -> str:
        return f"{self.url}/keys/release/0123abcd"

    def _key(self) -> Mapping[str, object]:
        key = self.public_key
        if not isinstance(key, rsa.RSAPublicKey):
            return {"kid": self._kid, "kty": "EC", "crv": "P-256"}
        n, e = key.public_numbers().n, key.public_numbers().e
        numbers = {"n": _number(n), "e": _number(e)}
        return {"kid": self._kid, "kty": "RSA-HSM", "key_ops": self.operations, **numbers}

    def _log_in(self, form: dict[str, str]) -> Reply:
        proof = form.pop("client_secret", "") or form.pop("client_assertion", "")
        form.pop("client_assertion_type", "")
        wanted = {"grant_type": "client_credentials", "client_id": "client"}
        assert form == {**wanted, "scope": "https://vault.azure.net/.default"}
        self.proofs.append(proof)
        if proof not in {self.secrets[0], "of.the.job"}:
            said = f"AADSTS7000215: Invalid client secret {proof}"
            return json_reply(401, {"error": "invalid_client", "error_description": said})
        return json_reply(200, {"access_token": self.secrets[1], "expires_in": self.lifetime})


SERVICES: Mapping[str, type[KeyService]] = {
    "vault": VaultDouble,
    "awskms": AwsDouble,
    "azurekv": AzureDouble,
    "gcpkms": GoogleDouble,
}
"""By the scheme of the key's URI."""


def open_double(kind: str, folder: Path) -> KeyService:
    """Return the double of a service; it may write its credentials into the folder."""
    return GoogleDouble(folder) if kind == "gcpkms" else SERVICES[kind]()
