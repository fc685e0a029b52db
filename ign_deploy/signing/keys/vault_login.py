"""Vault and OpenBao: where the server is, logging in, and keeping the token valid.

Variables are those of its own command line, with the prefix ``BAO_`` or ``VAULT_``.
"""

from __future__ import annotations

import threading
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf

from ign_deploy.errors import IdentityError, IgnDeployError, NetworkError
from ign_deploy.module.findings import quoted
from ign_deploy.net.errors import TransientResponse, host_of
from ign_deploy.net.response import Response
from ign_deploy.signing.keys.protocol import KeyAccess
from ign_deploy.signing.keys.service import (
    ONE_ATTEMPT,
    OPENING,
    ServiceClient,
    ci_id_token,
    given,
    json_object,
    unexpected,
)

_LOGIN = (
    "set VAULT_TOKEN; or VAULT_ROLE_ID and VAULT_SECRET_ID; or VAULT_AUTH_ROLE in a CI job with an "
    "identity token."
)
_RENEW_AT = 1 / 3
"""A token is renewed when less than this part of its time is left."""
_MOST = 1e9
"""A token that is valid for more seconds is valid for ever; JSON's numbers may exceed a float."""


@dataclass(slots=True)
class _Token:
    value: str = field(repr=False)
    ends: float = inf
    lifetime: float = inf
    is_renewable: bool = False
    is_ours: bool = False
    """Whether we logged in for it: then we may do so again, and end it."""


class VaultSession:
    """Requests to one server with a valid token; threads may share it. Close it at the end."""

    def __init__(self, access: KeyAccess) -> None:
        self._access = access
        self._clock = (access.retry or OPENING).clock
        address = self._given("ADDR")
        if not address:
            raise IdentityError(
                "no address of Vault or OpenBao given",
                hint="set VAULT_ADDR to its URL, for example https://vault.example:8200.",
            )
        self.host = host_of(address)
        self._client = ServiceClient.open(
            address, what="Vault (VAULT_ADDR)", access=access, ca=self._given("CACERT"),
            error_for_response=_error_for_response,
        )  # fmt: skip
        self._address = address
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def read(self, path: str, *, title: str) -> Response:
        """Return a document of the server, requested again while that may help."""
        return self._request("GET", path, title=title)

    def write_once(self, path: str, document: object, *, title: str) -> Response:
        """Send a document, without trying again."""
        return self._request("POST", path, title=title, document=document, is_once=True)

    def close(self) -> None:
        """End the token if we logged in for it, and close the connections."""
        token, self._token = self._token, None
        if token is not None and token.is_ours:
            with suppress(IgnDeployError):
                self._client.request(
                    "POST", "/v1/auth/token/revoke-self", title="ending the token",
                    headers=self._headers(token.value), retry=ONE_ATTEMPT,
                )  # fmt: skip
        self._client.close()

    def _request(
        self,
        method: str,
        path: str,
        *,
        title: str,
        document: object = None,
        is_once: bool = False,
        token: str | None = None,
        expect: Container[int] = (),
    ) -> Response:
        """Make a request with the token, ``token`` instead of it, or none if that is empty."""
        secret = self._valid_token() if token is None else token
        try:
            return self._client.request(
                method, f"/v1/{path}", title=title, json=document, headers=self._headers(secret),
                expect=expect, retry=ONE_ATTEMPT if is_once else None,
            )  # fmt: skip
        except TransientResponse as problem:
            if problem.status == 503 and self._is_sealed():
                raise IdentityError(
                    f"{title} failed: Vault at {self.host} is sealed",
                    hint="have it unsealed, then run again.",
                ) from problem
            raise

    def _headers(self, token: str) -> dict[str, str]:
        namespace = self._given("NAMESPACE")
        return {
            "X-Vault-Request": "true",
            **({"X-Vault-Token": token} if token else {}),
            **({"X-Vault-Namespace": namespace} if namespace else {}),
        }

    def _is_sealed(self) -> bool:
        with suppress(NetworkError, IdentityError):
            status = self._client.request(
                "GET", "/v1/sys/seal-status", title="reading the seal's status", retry=ONE_ATTEMPT
            )
            return status.fields().get("sealed") is True
        return False

    def _valid_token(self) -> str:
        """Return the token, renewed or replaced if it is about to expire."""
        with self._lock:
            if self._token is None:
                self._token = self._first_token()
            elif self._token.ends - self._clock() < self._token.lifetime * _RENEW_AT:
                self._token = self._renewed(self._token)
            return self._token.value

    def _first_token(self) -> _Token:
        value = self._given("TOKEN")
        if not value:
            return self._log_in()
        self._access.reporter.mask(value)
        # A token that may not look itself up can still sign.
        response = self._request(
            "GET", "auth/token/lookup-self", title="checking the token", token=value, expect={403}
        )
        found = response.fields().get("data") if response.ok else None
        if not isinstance(found, dict):
            return _Token(value)
        return self._timed(value, found.get("ttl"), found.get("renewable"))

    def _renewed(self, token: _Token) -> _Token:
        """Return a token that is valid for longer, the same one if the server doesn't extend it."""
        if token.is_renewable and token.ends > self._clock():
            response = self._request(
                "POST", "auth/token/renew-self", title="renewing the token", document={},
                token=token.value, expect={400, 403},
            )  # fmt: skip
            auth = response.fields().get("auth") if response.ok else None
            if isinstance(auth, dict):
                renewed = self._timed(
                    token.value, auth.get("lease_duration"), auth.get("renewable"),
                    is_ours=token.is_ours,
                )  # fmt: skip
                if renewed.lifetime >= token.lifetime * _RENEW_AT or not token.is_ours:
                    return renewed
        return self._log_in() if token.is_ours else token

    def _log_in(self) -> _Token:
        """Log in by AppRole, or with the identity token of the CI job."""
        role_id, secret_id = self._given("ROLE_ID"), self._given("SECRET_ID")
        role = self._given("AUTH_ROLE")
        if role_id and secret_id:
            self._access.reporter.mask(secret_id)
            method, document = "approle", {"role_id": role_id, "secret_id": secret_id}
        elif role_id or secret_id:
            raise IdentityError(
                "only one of VAULT_ROLE_ID and VAULT_SECRET_ID is set", hint="set both."
            )
        elif role:
            method, document = "jwt", {"role": role, "jwt": self._id_token()}
        else:
            raise IdentityError(f"no login for Vault at {self.host} given", hint=_LOGIN)
        path = self._given("AUTH_PATH").strip("/") or method
        response = self._request(
            "POST", f"auth/{path}/login", title=f"logging in to Vault at {self.host} by {path}",
            document=document, token="",
        )  # fmt: skip
        auth = json_object(response).get("auth")
        value = auth.get("client_token") if isinstance(auth, dict) else None
        if not isinstance(auth, dict) or not isinstance(value, str) or not value.isprintable():
            raise unexpected(response)
        self._access.reporter.mask(value)
        return self._timed(value, auth.get("lease_duration"), auth.get("renewable"), is_ours=True)

    def _id_token(self) -> str:
        """Return the CI job's identity token: of the variable that GitLab fills, or of GitHub."""
        name = "BAO_ID_TOKEN" if given(self._access.env, "BAO_ID_TOKEN") else "VAULT_ID_TOKEN"
        if value := ci_id_token(name, audience=self._address, access=self._access):
            return value
        raise IdentityError(
            "VAULT_AUTH_ROLE is set, but the job has no identity token (OIDC)",
            hint="in GitLab, define VAULT_ID_TOKEN under id_tokens; in GitHub, add `id-token: "
            "write` to the job's permissions.",
        )

    def _timed(
        self, value: str, seconds: object, renewable: object, *, is_ours: bool = False
    ) -> _Token:
        if not isinstance(seconds, int | float) or not 0 < seconds < _MOST:
            return _Token(value, is_ours=is_ours)
        return _Token(value, self._clock() + seconds, seconds, renewable is True, is_ours)

    def _given(self, name: str) -> str:
        return given(self._access.env, f"BAO_{name}") or given(self._access.env, f"VAULT_{name}")


def _error_for_response(response: Response) -> IgnDeployError:
    errors = response.fields().get("errors")
    words = [each for each in errors if isinstance(each, str)] if isinstance(errors, list) else []
    said = f": {quoted(words[0])}" if words else ""
    hints = {
        400: "check the URI of the key (--key), and the role and variables of the login.",
        403: "check that the token or role is valid, that its policy allows to read the key and to "
        "sign with it, and VAULT_NAMESPACE.",
        404: "check the name and the mount path in the URI of the key (--key), and "
        "VAULT_NAMESPACE.",
    }
    hint = hints.get(response.status, "check VAULT_ADDR, and the log of the server.")
    return response.failure(f"{response.host} returned {response.status}{said}", hint=hint)
