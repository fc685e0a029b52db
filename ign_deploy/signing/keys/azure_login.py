"""Access tokens of Microsoft Entra: a client secret, an identity token, or the machine's identity.

Variables are those of Azure's own libraries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

from ign_deploy.errors import IdentityError, IgnDeployError
from ign_deploy.files import explain_os_error, read_regular
from ign_deploy.net.response import Response
from ign_deploy.signing.keys.access_tokens import AccessTokens, token_of
from ign_deploy.signing.keys.protocol import KeyAccess
from ign_deploy.signing.keys.service import ServiceClient, ci_id_token, given

_AUTHORITY = "https://login.microsoftonline.com"
_METADATA = "http://169.254.169.254"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_AUDIENCE = "api://AzureADTokenExchange"
_TENANT = re.compile(r"[A-Za-z0-9.-]{1,200}")
_MAX_TOKEN = 1 << 16
_LOGIN = (
    "set AZURE_TENANT_ID and AZURE_CLIENT_ID, and either AZURE_CLIENT_SECRET or a CI job's "
    "identity token; on a machine with an identity, set "
    "AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential."
)
_AUTHORITIES = {
    "vault.azure.cn": "https://login.chinacloudapi.cn",
    "managedhsm.azure.cn": "https://login.chinacloudapi.cn",
    "vault.usgovcloudapi.net": "https://login.microsoftonline.us",
    "managedhsm.usgovcloudapi.net": "https://login.microsoftonline.us",
}


def azure_tokens(service: str, *, access: KeyAccess) -> AccessTokens:
    """Return the tokens for a kind of vault (``vault.azure.net``); raises IdentityError."""
    env = access.env
    if given(env, "AZURE_TOKEN_CREDENTIALS").lower() == "managedidentitycredential":
        return AccessTokens(partial(_of_machine, service, access), access=access)
    tenant, client = given(env, "AZURE_TENANT_ID"), given(env, "AZURE_CLIENT_ID")
    if not tenant or not client:
        raise IdentityError("no login for Azure Key Vault given", hint=_LOGIN)
    if _TENANT.fullmatch(tenant) is None:
        raise IdentityError(
            "AZURE_TENANT_ID is not a tenant", hint="set it to the tenant's ID or domain."
        )
    return AccessTokens(partial(_of_application, service, tenant, client, access), access=access)


def _of_application(
    service: str, tenant: str, client_id: str, access: KeyAccess
) -> tuple[str, float]:
    authority = given(access.env, "AZURE_AUTHORITY_HOST") or _AUTHORITIES.get(service, _AUTHORITY)
    if "://" not in authority:
        authority = f"https://{authority}"
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "scope": f"https://{service}/.default",
        **_proof(access),
    }
    client = ServiceClient.open(
        authority, what="Microsoft Entra (AZURE_AUTHORITY_HOST)", access=access,
        error_for_response=_refused_login,
    )  # fmt: skip
    with client:
        path = f"/{quote(tenant)}/oauth2/v2.0/token"
        return token_of(client.post_form(path, form, title="logging in to Azure"))


def _proof(access: KeyAccess) -> Mapping[str, str]:
    """Return what proves that we are the application."""
    env = access.env
    if secret := given(env, "AZURE_CLIENT_SECRET"):
        access.reporter.mask(secret)
        return {"client_secret": secret}
    if name := given(env, "AZURE_FEDERATED_TOKEN_FILE"):
        hint = "correct AZURE_FEDERATED_TOKEN_FILE."
        with explain_os_error(
            "read the identity token", Path(name), error=IdentityError, hint=hint
        ):
            token = read_regular(Path(name), limit=_MAX_TOKEN).decode("utf-8", "replace").strip()
        access.reporter.mask(token)
    else:
        token = ci_id_token("AZURE_ID_TOKEN", audience=_AUDIENCE, access=access)
    if not token:
        raise IdentityError("no secret or identity token for Azure given", hint=_LOGIN)
    return {"client_assertion_type": _ASSERTION, "client_assertion": token}


def _of_machine(service: str, access: KeyAccess) -> tuple[str, float]:
    base = given(access.env, "AZURE_POD_IDENTITY_AUTHORITY_HOST") or _METADATA
    query = {"api-version": "2018-02-01", "resource": f"https://{service}"}
    if client_id := given(access.env, "AZURE_CLIENT_ID"):
        query["client_id"] = client_id
    client = ServiceClient.open_metadata(
        base, what="Azure's metadata (AZURE_POD_IDENTITY_AUTHORITY_HOST)", access=access,
        error_for_response=_refused_login,
    )  # fmt: skip
    with client:
        response = client.request(
            "GET", f"/metadata/identity/oauth2/token?{urlencode(query)}",
            title="reading the identity of this machine", headers={"Metadata": "true"},
        )  # fmt: skip
    return token_of(response)


def _refused_login(response: Response) -> IgnDeployError:
    """Return the error for a refused login, with its number, under which it is documented."""
    number = re.search(r"AADSTS[0-9]{3,9}", str(response.fields().get("error_description", "")))
    shown = f" ({number[0]})" if number else ""
    return response.failure(
        f"{response.host} returned {response.status}{shown}",
        hint="check AZURE_TENANT_ID, AZURE_CLIENT_ID, and the secret, or issuer, subject and "
        "audience of the federated credential.",
    )
