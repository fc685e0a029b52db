"""Requests to a registry: logged in when it requires that; upload locations are checked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

from ign_deploy.errors import ConfigurationError, RepositoryError
from ign_deploy.net.client import Client
from ign_deploy.net.credentials import is_this_machine, origin
from ign_deploy.net.response import Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.oci.address import Location
from ign_deploy.repositories.backends.oci.errors import error_for_response
from ign_deploy.repositories.backends.oci.login import RegistryLogin, credentials_for


class RegistryClient(Client):
    """One repository of a registry; paths are relative to it."""

    def __init__(
        self,
        location: Location,
        *,
        access: Access,
        retry: RetryPolicy | None = None,
    ) -> None:
        credentials = credentials_for(location, access)
        self._login = RegistryLogin(location, credentials=credentials, access=access)
        super().__init__(
            access.open_session(self._login.auth),
            base=location.root,
            reporter=access.reporter,
            retry=retry,
            error=RepositoryError,
            error_for_response=partial(
                error_for_response, location=location, known=credentials is not None
            ),
        )
        self.location = location

    def download(self, *args: Any, **options: Any) -> None:
        """See ``Client.download``; where it is redirected to gets no credentials."""
        self._login.keep_fresh()
        super().download(*args, **options)

    def _authorized(self, action: Callable[[], Response]) -> Response:
        self._login.keep_fresh()
        state = self._login.state
        response = action()
        if response.status == 401 and self._login.respond_to(response.headers, state=state):
            response = action()
        return response


def upload_address(header: str, *, base: str, location: Location) -> str:
    """Return where an upload continues: an untrusted ``Location``, relative or on another host.

    Raises RepositoryError for one that is less safe than the registry.
    """
    try:
        target = urljoin(base, header.strip())
        scheme, host, _ = origin(target)
        has_login = "@" in urlsplit(target).netloc
    except (ValueError, ConfigurationError):
        raise _unusable(location, "an invalid URL") from None
    old, registry, _ = origin(base)
    if has_login or not header.strip() or not target.isprintable():
        raise _unusable(location, "an invalid URL")
    if (old, scheme) == ("https", "http") and not is_this_machine(registry):
        raise _unusable(location, f"http://{host}, which isn't encrypted")
    return target


def _unusable(location: Location, where: str) -> RepositoryError:
    return RepositoryError(
        f"{location.host} redirects uploads to {where}",
        hint="tell the registry that it is reached over https: let the proxy in front of it set "
        "X-Forwarded-Proto, or set the registry's own URL.",
    )
