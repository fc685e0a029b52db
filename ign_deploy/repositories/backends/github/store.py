"""A GitHub repository as a store: a version is a release, everything small is on a branch."""

from __future__ import annotations

from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.github.api import GitHubApi
from ign_deploy.repositories.backends.github.branch import BranchDocuments
from ign_deploy.repositories.backends.github.claims import GitHubClaims
from ign_deploy.repositories.backends.github.rights import ReadAccess
from ign_deploy.repositories.backends.github.tags import tag_of
from ign_deploy.repositories.backends.github.versions import GitHubVersions
from ign_deploy.repositories.index_guard import NoGuard
from ign_deploy.repositories.publishing import ClaimPublisher
from ign_deploy.repositories.store import Store


def github_store(api: GitHubApi, *, access: Access) -> Store:
    """Return the store that the repository is made of."""
    read_access = ReadAccess(api)
    branch = BranchDocuments(api, require_readable=read_access.require_readable)
    claims = GitHubClaims(api, branch)
    versions = GitHubVersions(api, read_access, drop_drafts=claims.drop_drafts)
    return Store(
        versions=versions,
        publisher=ClaimPublisher(versions, claims, access.wait_policy, access.reporter),
        documents=branch,
        probe=read_access.probe,
        location=lambda key: api.location.release_page(tag_of(key)),
        guard=NoGuard(),
    )
