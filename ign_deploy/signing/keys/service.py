"""Keys in services: how each of them is reached, and the identity tokens of CI hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote, urlencode

from ign_deploy.errors import ConfigurationError, IdentityError, IgnDeployError, NetworkError
from ign_deploy.files import explain_os_error, read_regular
from ign_deploy.net.client import Client
from ign_deploy.net.credentials import require_web_address
from ign_deploy.net.errors import RateLimited
from ign_deploy.net.proxies import proxies_from
from ign_deploy.net.response import NO_HEADERS, Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.session import open_http_session
from ign_deploy.signing.keys.protocol import KeyAccess

_MAX_CA_FILE = 1 << 20
_METADATA_TIMEOUT = (2.0, 4.0)
OPENING = RetryPolicy(deadline=60.0, limit_wait=2.0)
"""For logging in and reading the public key, unless the access says otherwise."""
ONE_ATTEMPT = RetryPolicy(attempts=1)
"""For signing: ``DigestSigner`` tries again, within its own limits."""
_CHECK_SERVICE = "check --key and the URL of the service, and that no proxy responds instead."


class ServiceClient(Client):
    """A client with its own copy of the CA file: a build may be able to change the file."""

    files: tuple[IO[bytes], ...] = ()
    """Temporary files that exist as long as the client."""
    what: str
    """What the URL is that of, with the setting that has it."""

    @classmethod
    def open(
        cls,
        base: str,
        *,
        what: str,
        access: KeyAccess,
        error_for_response: Callable[[Response], IgnDeployError],
        ca: str = "",
    ) -> Self:
        """Return a client for a service, which follows no redirects; ``what`` names its URL.

        ``ca`` is a PEM file that replaces the public authorities. Raises ConfigurationError for a
        URL that can't be used: what is sent must not be readable on the network.
        """
        require_web_address(base, what=what)
        copy = _copy_ca(ca or default_ca(access))
        client = cls(
            open_http_session(
                ca=Path(copy.name) if copy else None, proxies=partial(proxies_from, access.env)
            ),
            base=base.rstrip("/"),
            reporter=access.reporter,
            retry=access.retry or OPENING,
            redirects=False,
            error=IdentityError,
            error_for_response=error_for_response,
        )
        client.files, client.what = (copy,) if copy else (), what
        return client

    @classmethod
    def open_metadata(
        cls,
        base: str,
        *,
        what: str,
        access: KeyAccess,
        error_for_response: Callable[[Response], IgnDeployError],
    ) -> Self:
        """Return a client for a machine's metadata, which either responds at once or isn't there.

        It is on the machine's own link, without TLS, and behind no proxy. Nothing secret is sent.
        """
        require_web_address(base, what=what, is_private=False)
        client = cls(
            open_http_session(),
            base=base.rstrip("/"),
            reporter=access.reporter,
            retry=replace(access.retry or OPENING, attempts=2, retries_timeouts=False),
            timeout=_METADATA_TIMEOUT,
            redirects=False,
            error=IdentityError,
            error_for_response=error_for_response,
        )
        client.what = what
        return client

    def attempt(self, method: str, path: str = "", **options: Any) -> Response:
        """See ``Client.attempt``; errors name the setting, and limits are explained for keys."""
        try:
            return super().attempt(method, path, **options)
        except RateLimited as problem:
            problem.hint = "run again later, or have the limit of the service raised."
            raise
        except NetworkError as problem:
            problem.hint += f" The URL is that of {self.what}."
            raise

    def post_form(self, path: str, form: Mapping[str, str], *, title: str) -> Response:
        """Send a form, as services that give out tokens want it."""
        return self.request(
            "POST", path, title=title, body=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )  # fmt: skip

    def close(self) -> None:
        """Close the connections, and delete the files."""
        super().close()
        for file in self.files:
            file.close()


def private_file(content: bytes) -> IO[bytes]:
    """Return a temporary file that only this user can read; it is deleted when it is closed."""
    import tempfile

    file = tempfile.NamedTemporaryFile(suffix=".pem")  # noqa: SIM115 - its client closes it
    file.write(content)
    file.flush()
    return file


def _copy_ca(file: str) -> IO[bytes] | None:
    """Return a private copy of the CA file."""
    if not file:
        return None
    hint = "correct the path of the CA certificates, or drop the setting."
    with explain_os_error("read", Path(file), error=ConfigurationError, hint=hint):
        return private_file(read_regular(Path(file), limit=_MAX_CA_FILE))


def default_ca(access: KeyAccess) -> str:
    """Return SSL_CERT_FILE, unless it isn't there: it may be a path of the runner's machine."""
    file = given(access.env, "SSL_CERT_FILE")
    return file if Path(file).is_file() else ""


def json_object(response: Response) -> dict[str, Any]:
    """Return the JSON object that a service sent; raises the response's error for anything else."""
    fields = response.fields()
    if not fields:
        raise unexpected(response)
    return fields


def text_field(response: Response, name: str) -> str:
    """Return a text of the JSON object that a service sent; raises the response's error."""
    value = json_object(response).get(name)
    if not isinstance(value, str) or not value:
        raise unexpected(response)
    return value


def unexpected(response: Response) -> IgnDeployError:
    """Return the error for a response that isn't what the service should send."""
    return response.failure(f"{response.host} sent an unexpected response", hint=_CHECK_SERVICE)


def given(env: Mapping[str, str], name: str) -> str:
    """Return a variable without the white space around it, such as a line break at its end.

    Raises IdentityError for one that can't be sent.
    """
    value = env.get(name, "").strip()
    if not value.isprintable():
        raise IdentityError(
            f"{name} contains a line break or a control character",
            hint="store it as one line, as it was issued.",
        )
    return value


def ci_id_token(variable: str, *, audience: str, access: KeyAccess) -> str:
    """Return the CI job's identity token (OIDC), to be shown to ``audience``; empty without one.

    GitLab fills the ``variable``; GitHub's is requested. Raises IdentityError if the job may not
    have one.
    """
    token = given(access.env, variable) or _github_id_token(audience, access=access)
    if token:
        access.reporter.mask(token)
    return token


def _github_id_token(audience: str, *, access: KeyAccess) -> str:
    url = given(access.env, "ACTIONS_ID_TOKEN_REQUEST_URL")
    secret = given(access.env, "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not url or not secret:
        if given(access.env, "GITHUB_ACTIONS") != "true":
            return ""
        raise IdentityError(
            "the job may not have an identity token (OIDC)",
            hint="add `id-token: write` to the job's permissions.",
        )
    access.reporter.mask(secret)
    client = ServiceClient.open(
        url, what="GitHub's identity tokens (ACTIONS_ID_TOKEN_REQUEST_URL)", access=access,
        error_for_response=_refused_token,
    )  # fmt: skip
    with client:
        response = client.request(
            "GET", f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}",
            title="requesting an identity token of GitHub",
            headers={**NO_HEADERS, "Authorization": f"Bearer {secret}"},
        )  # fmt: skip
    token = response.fields().get("value")
    if not isinstance(token, str) or not token:
        raise unexpected(response)
    return token


def _refused_token(response: Response) -> IgnDeployError:
    return response.failure(
        f"{response.host} returned {response.status}",
        hint="add `id-token: write` to the job's permissions.",
    )
