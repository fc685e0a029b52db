"""Modules in a GitLab project's generic package registry: ``gitlab://host/group/project``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ign_deploy.report import Reporter
from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access

if TYPE_CHECKING:
    from ign_deploy.repositories.backends.gitlab.store import GitLabStore


def open_gitlab(url: str, access: Access, reporter: Reporter) -> Repository:
    """Return the repository in a project; nothing is requested yet. Raises ConfigurationError."""
    from ign_deploy.repositories.repository import StoreRepository

    return StoreRepository(gitlab_store(url, access, reporter), reporter=reporter, access=access)


def gitlab_store(url: str, access: Access, reporter: Reporter) -> GitLabStore:
    """Return the store that the repository is made of. Raises ConfigurationError."""
    from ign_deploy.repositories.backends.gitlab.address import project_at
    from ign_deploy.repositories.backends.gitlab.api import GitLabApi
    from ign_deploy.repositories.backends.gitlab.credentials import credentials_for
    from ign_deploy.repositories.backends.gitlab.errors import Caller
    from ign_deploy.repositories.backends.gitlab.store import GitLabStore

    project = project_at(url, env=access.env)
    credentials = credentials_for(project, access)
    own = access.env.get("CI_PROJECT_PATH", "")
    caller = Caller(project, credentials.kind, own if own.isprintable() else "")
    api = GitLabApi(access.open_session(credentials.auth), caller, reporter=reporter)
    return GitLabStore(api, reporter=reporter, patience=access.patience)
