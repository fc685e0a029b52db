"""The double of Google Cloud KMS."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ign_deploy.signing.keys.gcpkms import crc32c
from tests.support.identities import pem_key, rsa_key
from tests.support.key_service import KeyService, pem
from tests.support.serving import Reply, Request, json_reply


class GoogleDouble(KeyService):
    """Google Cloud KMS, its logins, and a machine's metadata."""

    path = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/release/cryptoKeyVersions/2"
    opening = f"GET /v1/{path}/publicKey"
    signing = f"POST /v1/{path}:asymmetricSign"
    uri = f"gcpkms:{path}"
    secrets = ("google.access.token",)

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.file = folder / "credentials.json"
        self.algorithm = "RSA_SIGN_PKCS1_2048_SHA256"
        self.logins: list[str] = []
        self.write_file()

    @property
    def env(self) -> Mapping[str, str]:
        return {
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS": self.url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.file),
        }

    def write_file(self, **fields: object) -> None:
        """Write the credential file of a service account, or one with these fields."""
        account = {
            "type": "service_account",
            "client_email": "ci@p.iam.gserviceaccount.com",
            "private_key": pem_key(rsa_key("account")).decode(),
            "token_uri": f"{self.url}/token",
        }
        self.file.write_text(json.dumps(fields or account))

    def respond(self, request: Request) -> Reply:
        token = {"access_token": self.secrets[0], "expires_in": 3600}
        if request.path == "/computeMetadata/v1/instance/service-accounts/default/token":
            assert request.headers["Metadata-Flavor"] == "Google"
            self.logins.append("machine")
            return json_reply(200, token)
        if request.path == "/token":
            return self._log_in(dict(parse_qsl(request.body.decode())), token)
        if request.path == "/impersonate":
            assert request.credentials == ("Bearer", "federated.token")
            self.logins.append("impersonation")
            return json_reply(200, {"accessToken": self.secrets[0], "expireTime": "not read"})
        if request.credentials != ("Bearer", self.secrets[0]):
            return json_reply(401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}})
        if request.method == "GET" and request.path == f"/v1/{self.path}/publicKey":
            text = pem(self.public_key)
            is_rsa = isinstance(self.public_key, rsa.RSAPublicKey)
            algorithm = self.algorithm if is_rsa else "EC_SIGN_P256_SHA256"
            crc = str(crc32c(text.encode()))
            return json_reply(200, {"pem": text, "algorithm": algorithm, "pemCrc32c": crc})
        if request.method == "POST" and request.path == f"/v1/{self.path}:asymmetricSign":
            return self.signed_reply(json.loads(request.body))
        return json_reply(404, {"error": {"code": 404, "status": "NOT_FOUND"}})

    def signed_reply(self, body: dict[str, Any]) -> Reply:
        """Sign, and say so as the service does."""
        digest = base64.b64decode(body["digest"]["sha256"])
        encoded = base64.b64encode(digest).decode()
        assert body == {"digest": {"sha256": encoded}, "digestCrc32c": str(crc32c(digest))}
        signature = self.sign(encoded)
        document = {
            "name": self.path,
            "signature": base64.b64encode(signature).decode(),
            "signatureCrc32c": str(crc32c(signature)),
            "verifiedDigestCrc32c": True,
        }
        return json_reply(200, document)

    def _log_in(self, form: dict[str, str], token: Mapping[str, object]) -> Reply:
        if form["grant_type"].endswith("token-exchange"):
            self.logins.append(form["subject_token"])
            if form["subject_token"] != "of.the.job":
                return json_reply(400, {"error": "invalid_grant"})
            assert form["audience"] == "//iam.googleapis.com/pool"
            return json_reply(200, {**token, "access_token": "federated.token"})
        text, _, signature = form["assertion"].rpartition(".")
        claims = json.loads(base64.urlsafe_b64decode(text.partition(".")[2] + "=="))
        key = rsa_key("account").public_key()
        decoded = base64.urlsafe_b64decode(signature + "==")
        key.verify(decoded, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        assert claims["aud"] == f"{self.url}/token"
        assert claims["exp"] - claims["iat"] == 3600
        self.logins.append(claims["iss"])
        return json_reply(200, token)
