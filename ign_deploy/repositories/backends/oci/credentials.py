"""Whose name and password a registry is shown, once it has asked for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.oci.address import Location

# With a token as the password, registries don't look at the name; it must not be empty.
_ANY_NAME = "token"


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and a password or token."""

    username: str
    password: str = field(repr=False)


def login_for(location: Location, access: Access) -> Login | None:
    """Return what is set, else the CI job's own credentials if they are for this very host.

    None for anonymous access.
    """
    secret = access.password or access.token
    if secret:
        return Login(access.username or _ANY_NAME, secret)
    return _of_the_job(location.host, access.env)


def _of_the_job(host: str, env: Mapping[str, str]) -> Login | None:
    if host == "ghcr.io" and (token := env.get("GITHUB_TOKEN", "")):
        return Login(env.get("GITHUB_ACTOR") or _ANY_NAME, token)
    user, password = env.get("CI_REGISTRY_USER", ""), env.get("CI_REGISTRY_PASSWORD", "")
    # GitLab's variable has no scheme, and may have a path.
    if user and password and env.get("CI_REGISTRY", "").partition("/")[0].lower() == host:
        return Login(user, password)
    return None
