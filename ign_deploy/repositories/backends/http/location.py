"""Where a web server's repository is, and the credentials for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import HostAuth, basic_auth, is_this_machine, origin, token_auth
from ign_deploy.net.proxies import proxies_from
from ign_deploy.repositories.access import Access, split_store_url
from ign_deploy.repositories.backends.http.listing import is_plain


@dataclass(frozen=True, slots=True)
class HttpLocation:
    """A folder of a web server.

    ``kind`` is ``nexus``, ``artifactory``, or empty for plain HTTP and WebDAV; ``server`` is
    ``scheme://host[:port]``, ``parts`` are the folder's path, decoded.
    """

    kind: str
    server: str
    parts: tuple[str, ...]
    auth: HostAuth | None = field(default=None, repr=False)

    @property
    def root(self) -> str:
        """The folder's URL, without a slash at its end."""
        return self.url_of(*self.parts)

    def url_of(self, *parts: str) -> str:
        """Return the URL of a path on the server, given by its decoded components."""
        return "/".join([self.server, *(quote(part, safe="") for part in parts)])


def find_http_location(url: str, *, access: Access) -> HttpLocation:
    """Return what a repository URL names; warns of http to other machines, masks the credentials.

    Raises ConfigurationError for a path that isn't plain, and for credentials over such http.
    """
    split = split_store_url(url)
    kind, _, scheme = split.scheme.rpartition("+")
    server = f"{scheme}://{split.host}"
    parts = tuple(unquote(part) for part in split.path.split("/") if part)
    if not all(is_plain(part) for part in parts):
        raise ConfigurationError(
            "the path in the repository URL contains '.', '..', an encoded slash or a control "
            "character",
            hint="write the folder's plain path.",
        )
    auth = _auth(server, kind=kind, access=access)
    _mask_proxy(server, access=access)
    _, host, _ = origin(server)
    if scheme == "http" and not is_this_machine(host):
        access.reporter.warning(
            f"the repository on {host} is reached over http, unencrypted: others on the network "
            "can read and change what is sent; use https"
        )
    return HttpLocation(kind, server, parts, auth)


def _auth(server: str, *, kind: str, access: Access) -> HostAuth | None:
    """Return a bearer token or a password; a token is the password of a username without one."""
    for secret in (access.token, access.password):
        if secret:
            access.reporter.mask(secret)
    username, password = access.username, access.password or access.token
    name, colon, code = access.token.partition(":")
    if kind == "nexus" and colon and not username:
        # A Nexus user token is a pair; Nexus knows no bearer tokens.
        username, password = name, code
    if username and not password:
        raise ConfigurationError(
            "a user name for the repository is set, but neither a password nor a token",
            hint="set REPOSITORY_PASSWORD, or unset REPOSITORY_USERNAME.",
        )
    if username and not (access.token and access.password):
        access.reporter.mask(password)
        return basic_auth(username, password, url=server)
    if access.token:
        return token_auth(access.token, url=server)
    if password:
        raise ConfigurationError(
            "a password for the repository is set, but no user name",
            hint="set REPOSITORY_USERNAME; a token goes into REPOSITORY_API_TOKEN.",
        )
    return None


def _mask_proxy(server: str, *, access: Access) -> None:
    for proxy in proxies_from(access.env, server).values():
        if password := urlsplit(proxy).password:
            access.reporter.mask(password)
            access.reporter.mask(unquote(password))
