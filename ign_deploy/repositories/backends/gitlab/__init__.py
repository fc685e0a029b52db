"""Modules in a GitLab project's generic package registry: ``gitlab://host/group/project``."""

from __future__ import annotations

from dataclasses import dataclass

from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.gitlab.api import (
    DEVELOPER,
    MAINTAINER,
    PACKAGES,
    PROJECT,
    Caller,
    GitLabApi,
    ProjectState,
)
from ign_deploy.repositories.backends.gitlab.documents import GitLabDocuments
from ign_deploy.repositories.backends.gitlab.location import (
    TokenKind,
    find_gitlab_project,
    token_for,
)
from ign_deploy.repositories.backends.gitlab.packages import PackageLocation, Packages
from ign_deploy.repositories.backends.gitlab.versions import GitLabClaims, GitLabVersions
from ign_deploy.repositories.index_guard import ListingGuard
from ign_deploy.repositories.publishing import ClaimPublisher
from ign_deploy.repositories.store import Key, Store

_MAX_PROJECT = 4 << 20
_TITLE = "checking the project"
_KEEPS_OLD = (
    "GitLab lets only maintainers delete packages: the claims and older indexes that this token's "
    "publications replace stay in the package registry."
)
_ROLE_UNKNOWN = (
    "GitLab states no role of this token in the project; whether it may publish shows when it does."
)


def open_gitlab(url: str, access: Access) -> Store:
    """Return the store in a project; nothing is requested yet. Raises ConfigurationError."""
    project = find_gitlab_project(url, env=access.env)
    credentials = token_for(project, access)
    own = access.env.get("CI_PROJECT_PATH", "")
    caller = Caller(project, credentials.kind, own if own.isprintable() else "")
    api = GitLabApi(access.open_session(credentials.auth), caller, reporter=access.reporter)
    packages = Packages(api)
    versions = GitLabVersions(packages)
    claims = GitLabClaims(packages, reporter=access.reporter, wait_policy=access.wait_policy)
    documents = GitLabDocuments(packages, reporter=access.reporter)

    def location(key: Key) -> str:
        number = packages.known_id(PackageLocation(*key))
        page = f"{api.caller.project.web}/-/packages"
        return page if number is None else f"{page}/{number}"

    return Store(
        versions=versions,
        publisher=ClaimPublisher(versions, claims, access.wait_policy, access.reporter),
        documents=documents,
        address=f"{project.web}/-/packages",
        exists=_Probe(api).exists,
        probe=_Probe(api),
        location=location,
        guard=ListingGuard(versions.listing, may_have_lost=documents.take_overlap),
        now=api.now,
        compares=lambda: False,
    )


@dataclass(frozen=True, slots=True)
class _Probe:
    """See ``Store.probe``: one request."""

    _api: GitLabApi

    def exists(self) -> bool:
        """See ``Store.exists``: the probe writes nothing, and raises without a project."""
        self()
        return True

    def __call__(self) -> Capabilities:
        if self._api.caller.kind is TokenKind.ACCESS:
            found = self._api.find("", limit=_MAX_PROJECT, title=_TITLE)
            if found is None:
                raise self._api.missing(title=_TITLE)
            return self._capable(*_rights(found.parse(PROJECT)))
        # A job's token may not look at the project itself.
        query: dict[str, str | int] = {"package_type": "generic", "per_page": 1}
        found = self._api.find("/packages", limit=_MAX_PROJECT, title=_TITLE, query=query)
        if found is None:
            raise self._api.missing(title=_TITLE)
        found.parse(PACKAGES)
        obstacle = "no token is set" if self._api.caller.kind is TokenKind.NONE else ""
        return self._capable(obstacle, ())

    def _capable(self, obstacle: str, remarks: tuple[str, ...]) -> Capabilities:
        return Capabilities(
            location=f"{self._api.caller.project.web}/-/packages",
            writable=not obstacle,
            obstacle=obstacle,
            create_once=True,
            compare_and_swap=False,
            server_digest=True,
            resume=True,
            remarks=remarks,
        )


def _rights(state: ProjectState) -> tuple[str, tuple[str, ...]]:
    """Return what keeps the token from publishing, empty for nothing, and remarks."""
    if state.registry_is_off:
        return (
            "the project's package registry is switched off (Settings > General > Visibility)",
            (),
        )
    if state.role is None:
        return "", (_ROLE_UNKNOWN,)
    if state.role < DEVELOPER:
        return f"the token's role has the level {state.role}, publishing needs Developer (30)", ()
    return "", () if state.role >= MAINTAINER else (_KEEPS_OLD,)
