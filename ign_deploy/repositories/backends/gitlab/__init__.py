"""Modules in a GitLab project's generic package registry: ``gitlab://host/group/project``."""

from __future__ import annotations

from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access


def open_gitlab(url: str, access: Access) -> Repository:
    """Return the repository in a project; nothing is requested yet. Raises ConfigurationError."""
    from ign_deploy.repositories.backends.gitlab.address import project_at
    from ign_deploy.repositories.backends.gitlab.api import GitLabApi
    from ign_deploy.repositories.backends.gitlab.credentials import credentials_for
    from ign_deploy.repositories.backends.gitlab.errors import Caller
    from ign_deploy.repositories.backends.gitlab.store import gitlab_store
    from ign_deploy.repositories.repository import StoreRepository

    project = project_at(url, env=access.env)
    credentials = credentials_for(project, access)
    own = access.env.get("CI_PROJECT_PATH", "")
    caller = Caller(project, credentials.kind, own if own.isprintable() else "")
    api = GitLabApi(access.open_session(credentials.auth), caller, reporter=access.reporter)
    store = gitlab_store(api, access=access)
    return StoreRepository(store, reporter=access.reporter, cache=access.cache)
