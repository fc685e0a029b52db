"""Requests to a registry, logged in as it requires: HTTP Basic, or a bearer token.

What the registry requires is in its challenges (``WWW-Authenticate``, RFC 9110 11.6.1). The token
server ("realm") may be on another host: Docker Hub's and GitLab's are. Our password goes there
because the registry, whose TLS certificate was checked, says so. That gives no one more than they
have: the registry could have requested the password itself. But only over https; and a registry
elsewhere can't send us to a server on this machine. A challenge of any other host doesn't count.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ign_deploy.errors import ConfigurationError, RepositoryError
from ign_deploy.net.client import Client
from ign_deploy.net.credentials import (
    HostAuth,
    basic_auth,
    basic_header,
    is_this_machine,
    leads_inside,
    origin,
    printable_header,
)
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.oci.location import (
    SET_CREDENTIALS,
    OciLocation,
    oci_error,
)

if TYPE_CHECKING:
    import requests

_LONGEST = 8 << 10
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_PART = re.compile(
    rf'\s*(?:,\s*)*(?:({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))|({_WORD})(?=\s|,|\Z))'
)
_UNQUOTED = re.compile(r"\\(.)")
# With a token as the password, registries don't look at the name; it must not be empty.
_ANY_NAME = "token"
_ACTIONS = frozenset({"pull", "push", "delete"})
# What a token lasts at least, by the specification, and at most, as far as we count on it.
_LEAST, _MOST = 60.0, 3600.0
# A token this near to its end may be over when the request arrives.
_USED_UP = 0.75


class RegistryClient(Client):
    """One repository of a registry; paths are relative to it."""

    def __init__(
        self,
        location: OciLocation,
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
            error_for_response=self._error_for_response,
        )
        self.location = location
        self._known = credentials is not None

    def download(self, *args: Any, **options: Any) -> None:
        """See ``Client.download``; where it is redirected to gets no credentials."""
        self._login.keep_fresh()
        super().download(*args, **options)

    def _authorized(self, action: Callable[[], Response]) -> Response:
        self._login.keep_fresh()
        state = self._login.state
        response = action()
        # Other hosts, which the registry redirects to for blobs, could get our password.
        is_challenged = response.status == 401 and self._is_own(response)
        if is_challenged and self._login.respond_to(response.headers, state=state):
            response = action()
        return response

    def _is_own(self, response: Response) -> bool:
        return origin(response.url) == origin(self.location.api)

    def _error_for_response(self, response: Response) -> RepositoryError:
        if self._is_own(response):
            return oci_error(response, location=self.location, known=self._known)
        return RepositoryError(
            f"{response.title} failed: {response.host}, where {self.location.host} redirects to, "
            f"returned {response.status}",
            hint="check the storage in which the registry keeps its blobs.",
        )


@dataclass(frozen=True, slots=True)
class OciCredentials:
    """A user name and a password or token."""

    username: str
    password: str = field(repr=False)


class RegistryAuth(HostAuth):
    """Sends what the registry requires, once it has said so; to its own origin only."""

    def __init__(self, *, url: str) -> None:
        super().__init__("", url=url)

    def use(self, header: str) -> None:
        """Send this value of ``Authorization`` from now on."""
        self._header = printable_header(header)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header, if there is one and the request goes to the origin."""
        return super().__call__(request) if self._header else request


class _Token(BaseModel):
    """A token server's response."""

    model_config = ConfigDict(extra="ignore", strict=True)

    token: Annotated[str, Field(max_length=64 << 10)] = ""
    access_token: Annotated[str, Field(max_length=64 << 10)] = ""
    expires_in: Annotated[float, Field(strict=False, ge=0, allow_inf_nan=False)] = _LEAST


class RegistryLogin:
    """Responds to the registry's challenges; several threads may share it.

    ``state`` changes whenever the credentials in use do.
    """

    def __init__(
        self,
        location: OciLocation,
        *,
        credentials: OciCredentials | None,
        access: Access,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.auth = RegistryAuth(url=location.api)
        self.state = 0
        self._location = location
        self._credentials = credentials
        self._access = access
        self._clock = clock
        self._lock = threading.Lock()
        self._realm: Challenge | None = None
        self._actions = {"pull"} if credentials is None else {"pull", "push"}
        self._expires = 0.0
        self._basic = False

    def keep_fresh(self) -> None:
        """Get a new token if the one in use is near its end: an upload must not break off."""
        with self._lock:
            if self._realm is not None and self._clock() >= self._expires:
                self._get_token(self._realm)

    def respond_to(self, headers: Mapping[str, str], *, state: int) -> bool:
        """Respond to a challenge (401); True if the request is worth repeating.

        ``state`` is that of when the refused request was made.
        """
        with self._lock:
            if state != self.state:
                return True  # another thread did it
            for challenge in parse_challenges(headers.get("WWW-Authenticate", "")):
                if challenge.scheme == "bearer":
                    return self._use_bearer(challenge)
                if challenge.scheme == "basic":
                    return self._use_basic()
            return False

    def _use_basic(self) -> bool:
        if self._credentials is None or self._basic:
            return False
        self.auth.use(basic_header(self._credentials.username, self._credentials.password))
        self._basic = True
        self.state += 1
        return True

    def _use_bearer(self, challenge: Challenge) -> bool:
        before = self._actions
        scope = challenge.parameters.get("scope", "")
        self._actions = before | requested_actions(scope, name=self._location.name) & _ACTIONS
        try:
            self._get_token(challenge)
        except RepositoryError:
            more, self._actions = self._actions != before, before
            if not more:
                raise
            return False  # some servers give no token at all for too much: it stays refused
        return True

    def _get_token(self, challenge: Challenge) -> None:
        realm = self._checked_realm(challenge.parameters.get("realm", ""))
        begin = self._clock()
        response = self._request(realm, service=challenge.parameters.get("service", ""))
        if not response.ok:
            known = self._credentials is not None
            # Some say 400 to wrong credentials.
            status = 401 if response.status == 400 else response.status
            raise oci_error(replace(response, status=status), location=self._location, known=known)
        token, lasts = _parsed(response)
        self._access.reporter.mask(token)
        self.auth.use(f"Bearer {token}")
        self._realm = challenge
        self._expires = begin + lasts * _USED_UP
        self.state += 1

    def _request(self, realm: str, *, service: str) -> Response:
        actions = ",".join(sorted(self._actions))
        query = {"service": service, "scope": f"repository:{self._location.name}:{actions}"}
        auth = None
        if self._credentials is not None:
            username, password = self._credentials.username, self._credentials.password
            auth = basic_auth(username, password, url=realm)
            query["account"] = username
        parameters = urlencode({name: value for name, value in query.items() if value})
        session = self._access.open_session(auth)
        with Client(session, reporter=self._access.reporter, error=RepositoryError) as client:
            return client.request(
                "GET",
                f"{realm}{'&' if urlsplit(realm).query else '?'}{parameters}",
                title=f"getting a token from {origin(realm)[1]}",
                expect=ANY_STATUS,
            )

    def _checked_realm(self, realm: str) -> str:
        """Return the token server's URL, if our credentials are safe there."""
        try:
            scheme, host, _ = origin(realm)
        except ConfigurationError:
            scheme, host = "", ""
        registry = origin(self._location.api)[1]
        local = is_this_machine(host) and is_this_machine(registry)
        odd = not realm.isprintable() or "@" in urlsplit(realm).netloc if host else True
        if odd or not (local or (scheme == "https" and not leads_inside(registry, host))):
            raise RepositoryError(
                f"{self._location.host} requires a token from a server that no password can be "
                "sent to safely (it isn't https, or is on this machine)",
                hint="correct the realm (the token server's URL) in the registry's auth settings.",
            )
        return realm.partition("#")[0]


def _parsed(response: Response) -> tuple[str, float]:
    """Return the token and how many seconds it lasts."""
    try:
        parsed = _Token.model_validate_json(response.body)
    except ValidationError:
        parsed = _Token()  # not chained, not shown: it holds the token
    token = parsed.token or parsed.access_token
    if not token or not token.isascii() or not token.isprintable():
        raise response.failure("the response has no token", hint=SET_CREDENTIALS)
    return token, min(max(parsed.expires_in, _LEAST), _MOST)


def credentials_for(location: OciLocation, access: Access) -> OciCredentials | None:
    """Return what is set, else the CI job's own credentials if they are for this very host.

    None for anonymous access.
    """
    secret = access.password or access.token
    if secret:
        return OciCredentials(access.username or _ANY_NAME, secret)
    return _of_the_job(location.host, access.env)


def _of_the_job(host: str, env: Mapping[str, str]) -> OciCredentials | None:
    if host == "ghcr.io" and (token := env.get("GITHUB_TOKEN", "")):
        return OciCredentials(env.get("GITHUB_ACTOR") or _ANY_NAME, token)
    user, password = env.get("CI_REGISTRY_USER", ""), env.get("CI_REGISTRY_PASSWORD", "")
    # GitLab's variable has no scheme, and may have a path.
    if user and password and env.get("CI_REGISTRY", "").partition("/")[0].lower() == host:
        return OciCredentials(user, password)
    return None


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme (in lower case) with its parameters, by name in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> list[Challenge]:
    """Return the challenges up to the first thing that can't be read."""
    found: list[Challenge] = []
    parameters: dict[str, str] = {}
    position = 0
    text = header[:_LONGEST]
    while match := _PART.match(text, position):
        position = match.end()
        name, quoted, plain, scheme = match.groups()
        if scheme is not None:
            parameters = {}
            found.append(Challenge(scheme.lower(), parameters))
        elif found:
            value = plain if quoted is None else _UNQUOTED.sub(r"\1", quoted)
            parameters.setdefault(name.lower(), value)
    return found


def requested_actions(scope: str, *, name: str) -> set[str]:
    """Return the actions that a scope such as ``repository:acme/modules:pull,push`` requests.

    Another repository's aren't counted.
    """
    found: set[str] = set()
    for each in scope.split():
        kind, _, rest = each.partition(":")
        repository, _, actions = rest.rpartition(":")
        if (kind, repository) == ("repository", name):
            found |= set(actions.split(","))
    return found
