"""Modules as releases of a GitHub repository: ``github://owner/repository``.

A version is a release with the tag ``modl/<id>/<version>``; its record is the file
``release.json`` of that release. Other releases of the repository are left alone.
"""

from __future__ import annotations

from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access


def open_github(url: str, access: Access) -> Repository:
    """Return the repository at ``github://owner/repository``; nothing is requested yet.

    Raises ConfigurationError for what isn't such a URL.
    """
    from ign_deploy.repositories.backends.github.api import GitHubApi
    from ign_deploy.repositories.backends.github.location import find_location
    from ign_deploy.repositories.backends.github.store import github_store
    from ign_deploy.repositories.repository import StoreRepository

    location = find_location(url, access=access)
    if location.token:
        access.reporter.mask(location.token)
    api = GitHubApi(location, access=access)
    store = github_store(api, access=access)
    return StoreRepository(store, reporter=access.reporter, cache=access.cache)
