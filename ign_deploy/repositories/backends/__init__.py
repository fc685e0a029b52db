"""The kinds of stores: a repository URL's scheme chooses one, which is imported then."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError
from ign_deploy.report import Reporter
from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access

if TYPE_CHECKING:
    from ign_deploy.repositories.store import Store

Opener = Callable[[str, Access], "Store"]


def _open_directory(url: str, access: Access) -> Store:
    from ign_deploy.repositories.backends.directory import open_directory

    return open_directory(url, access)


def _open_github(url: str, access: Access) -> Store:
    from ign_deploy.repositories.backends.github import open_github

    return open_github(url, access)


def _open_gitlab(url: str, access: Access) -> Store:
    from ign_deploy.repositories.backends.gitlab import open_gitlab

    return open_gitlab(url, access)


def _open_http(url: str, access: Access) -> Store:
    from ign_deploy.repositories.backends.http import open_http

    return open_http(url, access)


def _open_oci(url: str, access: Access) -> Store:
    from ign_deploy.repositories.backends.oci import open_oci

    return open_oci(url, access)


def _open_s3(url: str, access: Access) -> Store:
    from ign_deploy.repositories.backends.s3 import open_s3

    return open_s3(url, access)


BACKENDS: Mapping[str, Opener] = {
    "file": _open_directory,
    "github": _open_github,
    "gitlab": _open_gitlab,
    "https": _open_http,
    "http": _open_http,
    "nexus+https": _open_http,
    "nexus+http": _open_http,
    "artifactory+https": _open_http,
    "artifactory+http": _open_http,
    "oci": _open_oci,
    "s3": _open_s3,
}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SUPPORTED = (
    "supported are a folder (path or file:), https:, nexus+https:, artifactory+https:, github:, "
    "gitlab:, oci: and s3:"
)


def open_repository(
    url: str, *, access: Access | None = None, reporter: Reporter | None = None
) -> Repository:
    """Return the repository at ``url``: a path, or a URL whose scheme chooses the kind of store.

    Nothing is read or created yet. Raises ConfigurationError for a URL without a backend; the
    message shows only the scheme, because URLs can contain credentials.
    """
    if url != url.strip():
        # As a path, " https://…" would create a folder, and its name would be shown.
        raise ConfigurationError(
            "the repository URL begins or ends with spaces or line breaks",
            hint="remove them from --repository-url.",
        )
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else "file"
    opener = BACKENDS.get(scheme)
    if opener is None:
        raise ConfigurationError(
            f'unsupported repository type "{scheme}:"; {_SUPPORTED}',
            hint="correct --repository-url; write ./ before a path that contains a colon.",
        )
    from ign_deploy.repositories.repository import StoreRepository

    access = Access() if access is None else access
    access = access if reporter is None else replace(access, reporter=reporter)
    cache = None if scheme == "file" else access.cache  # a folder's files are here already
    return StoreRepository(
        opener(url, access),
        reporter=access.reporter,
        cache=cache,
        wait_policy=access.wait_policy,
    )
