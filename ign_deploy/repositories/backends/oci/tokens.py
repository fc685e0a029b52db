"""Logging in at a registry: HTTP Basic, or a bearer token from the server that it names.

The token server ("realm") may be on another host: Docker Hub's and GitLab's are. Our password
goes there because the registry, whose TLS certificate was checked, says so. That gives nobody
more than they have: the registry could as well have asked for the password itself. But only over
https; and a registry elsewhere can't send us to a server on this machine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated
from urllib.parse import urlencode, urlsplit

import requests
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ign_deploy.errors import ConfigurationError, RepositoryError
from ign_deploy.net.credentials import HostAuth, basic_auth, is_this_machine, origin
from ign_deploy.net.fetching import SmallAnswer, read_small
from ign_deploy.net.proxies import proxies_from
from ign_deploy.net.session import open_session
from ign_deploy.report import Reporter
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.oci.address import Location
from ign_deploy.repositories.backends.oci.challenges import (
    Challenge,
    actions_asked,
    parse_challenges,
)
from ign_deploy.repositories.backends.oci.credentials import Login
from ign_deploy.repositories.backends.oci.errors import SET_CREDENTIALS, refusal

_ACTIONS = frozenset({"pull", "push", "delete"})
_MAX_ANSWER = 1 << 20
# What a token lasts at least, by the specification, and at most, as far as we count on it.
_LEAST, _MOST = 60.0, 3600.0
# A token this near to its end may be over when the request arrives.
_USED_UP = 0.75


class RegistryAuth(HostAuth):
    """Sends what the registry asked for, once it has; to its own origin only."""

    def __init__(self, *, url: str) -> None:
        super().__init__("", url=url)

    def use(self, header: str) -> None:
        """Send this value of ``Authorization`` from now on."""
        if not header.isprintable():
            raise ConfigurationError(
                "the token or password has a line break or a control character",
                hint="store the secret without a newline at its end.",
            )
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header, if there is one and the request goes to the origin."""
        return super().__call__(request) if self._header else request


class _Token(BaseModel):
    """A token server's answer."""

    model_config = ConfigDict(extra="ignore", strict=True)

    token: Annotated[str, Field(max_length=64 << 10)] = ""
    access_token: Annotated[str, Field(max_length=64 << 10)] = ""
    expires_in: Annotated[float, Field(strict=False, ge=0, allow_inf_nan=False)] = _LEAST


class Authorization:
    """Answers the registry's challenges; several threads may share it.

    ``state`` changes whenever the credentials in use do.
    """

    def __init__(
        self,
        location: Location,
        *,
        login: Login | None,
        access: Access,
        reporter: Reporter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.auth = RegistryAuth(url=location.api)
        self.state = 0
        self._place = location
        self._login = login
        self._access = access
        self._reporter = reporter
        self._clock = clock
        self._lock = threading.Lock()
        self._realm: Challenge | None = None
        self._actions = {"pull"} if login is None else {"pull", "push"}
        self._expires = 0.0
        self._basic = False

    @property
    def known(self) -> bool:
        """Whether we have credentials for the registry."""
        return self._login is not None

    def keep_fresh(self) -> None:
        """Get a new token if the one in use is near its end: an upload must not break off."""
        with self._lock:
            if self._realm is not None and self._clock() >= self._expires:
                self._get_token(self._realm)

    def answer(self, headers: Mapping[str, str], *, state: int) -> bool:
        """Answer a challenge (401); True if the request is worth repeating.

        ``state`` is that of when the refused request was made.
        """
        with self._lock:
            if state != self.state:
                return True  # another thread has answered it
            for challenge in parse_challenges(headers.get("WWW-Authenticate", "")):
                if challenge.scheme == "bearer":
                    return self._answer_bearer(challenge)
                if challenge.scheme == "basic":
                    return self._answer_basic()
            return False

    def _answer_basic(self) -> bool:
        if self._login is None or self._basic:
            return False
        from base64 import b64encode

        pair = f"{self._login.username}:{self._login.password}".encode()
        self.auth.use(f"Basic {b64encode(pair).decode()}")
        self._basic = True
        self.state += 1
        return True

    def _answer_bearer(self, challenge: Challenge) -> bool:
        before = self._actions
        scope = challenge.parameters.get("scope", "")
        self._actions = before | actions_asked(scope, name=self._place.name) & _ACTIONS
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
        answer = self._ask(realm, service=challenge.parameters.get("service", ""))
        if answer.status != 200:
            raise refusal(
                401 if answer.status in {400, 401} else answer.status,
                answer.body,
                doing=f"asking {origin(realm)[1]} for a token",
                location=self._place,
                known=self.known,
            )
        token, lasts = _parsed(answer.body, host=origin(realm)[1])
        self._reporter.mask(token)
        self.auth.use(f"Bearer {token}")
        self._realm = challenge
        self._expires = begin + lasts * _USED_UP
        self.state += 1

    def _ask(self, realm: str, *, service: str) -> SmallAnswer:
        actions = ",".join(sorted(self._actions))
        query = {"service": service, "scope": f"repository:{self._place.name}:{actions}"}
        auth = None
        if self._login is not None:
            auth = basic_auth(self._login.username, self._login.password, url=realm)
            query["account"] = self._login.username
        asked = urlencode({name: value for name, value in query.items() if value})
        proxies = partial(proxies_from, self._access.env)
        with open_session(ca=self._access.ca, proxies=proxies, auth=auth) as session:
            return read_small(
                session,
                f"{realm}{'&' if urlsplit(realm).query else '?'}{asked}",
                limit=_MAX_ANSWER,
                title="logging in at the registry",
                reporter=self._reporter,
            )

    def _checked_realm(self, realm: str) -> str:
        """Return the token server's URL, if our credentials are safe there."""
        try:
            scheme, host, _ = origin(realm)
        except ConfigurationError:
            scheme, host = "", ""
        registry = origin(self._place.api)[1]
        local = is_this_machine(host) and is_this_machine(registry)
        odd = not realm.isprintable() or "@" in urlsplit(realm).netloc if host else True
        if odd or not (local or (scheme == "https" and not is_this_machine(host))):
            raise RepositoryError(
                f"{self._place.host} asks for a token from a server that no password can be sent "
                "to safely (it isn't https, or is on this machine)",
                hint="mend the registry's auth settings (the token server's realm).",
            )
        return realm.partition("#")[0]


def _parsed(body: bytes, *, host: str) -> tuple[str, float]:
    """Return the token and how many seconds it lasts."""
    try:
        answer = _Token.model_validate_json(body)
    except ValidationError:
        answer = _Token()  # not chained, not shown: it holds the token
    token = answer.token or answer.access_token
    if not token or not token.isascii() or not token.isprintable():
        raise RepositoryError(
            f"the token server {host} answered without a token", hint=SET_CREDENTIALS
        )
    return token, min(max(answer.expires_in, _LEAST), _MOST)
