"""GitLab's REST API: requests to one project, the fields of its responses, its errors explained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.module.findings import legible
from ign_deploy.net.client import MAX_BODY, Client
from ign_deploy.net.response import Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.session import HttpSession
from ign_deploy.report import Reporter
from ign_deploy.repositories.backends.gitlab.location import GitLabProject, TokenKind

_PAGE = 100
_MAX_PAGES = 2000
# GitLab refuses pages by number beyond some 50,000 entries, where it has another way.
_TOO_FAR = frozenset({405})
_KEYSET = {"pagination": "keyset", "order_by": "id", "sort": "asc"}
_POSITION = ("page", "cursor", "id_after")
_NEXT = re.compile(r"<([^<>]*)>\s*;[^,<]*\brel=\"?next\"?")
_MAX_LISTING = 16 << 20

Entry = TypeVar("Entry")
DEVELOPER = 30
MAINTAINER = 40
_TOKENS = (
    "set REPOSITORY_API_TOKEN to a project access token with the scope api and the role Developer, "
    "or run in a GitLab CI job, whose own token is used."
)
_TOO_LARGE = (
    "raise GitLab's limit for generic packages, and that of any proxy in front of it "
    "(client_max_body_size), or make the module smaller."
)
# Words of GitLab's own reason, in lower case.
_CAUSES = {
    "too large": _TOO_LARGE,
    "duplicate package": "allow duplicates (the group's Settings > Packages and registries > "
    "Generic), or have a maintainer delete the abandoned file.",
    "insufficient_scope": "give the token the scope api: read_api can't publish.",
    "package protected": "let this role pass the project's package protection rules, or use a "
    "higher role.",
    "deletion protected": "let this role pass the project's package protection rules, or use a "
    "higher role.",
    "storage limit": "free storage in the project's namespace, or buy more.",
}


class GitLabApi(Client):
    """One project; every path is relative to it, and begins with a slash."""

    def __init__(
        self,
        session: HttpSession,
        caller: Caller,
        *,
        reporter: Reporter,
        retry: RetryPolicy | None = None,
    ) -> None:
        super().__init__(
            session,
            base=caller.project.url,
            reporter=reporter,
            retry=retry,
            error=RepositoryError,
            error_for_response=partial(gitlab_error, caller=caller),
        )
        self.caller = caller

    def find(
        self,
        path: str,
        *,
        title: str,
        limit: int = MAX_BODY,
        query: Mapping[str, str | int] | None = None,
        expect: frozenset[int] = frozenset(),
    ) -> Response | None:
        """Return a successful response, None if what was requested doesn't exist.

        Also one whose status is in ``expect``.

        Raises RepositoryError if it is rejected, also if the project isn't found.
        """
        parameters = f"?{urlencode(query)}" if query else ""
        response = self.request(
            "GET", path + parameters, title=title, limit=limit, expect={404, *expect}
        )
        if is_unknown_project(response):
            raise self.error_for_response(response)
        return None if response.status == 404 else response

    def entries(
        self,
        path: str,
        kind: TypeAdapter[list[Entry]],
        *,
        title: str,
        query: Mapping[str, str | int],
    ) -> list[Entry] | None:
        """Return all entries of a paged list; None when what it belongs to doesn't exist."""
        found: list[Entry] = []
        page: dict[str, str | int] = {**query, "per_page": _PAGE, "page": 1}
        for _ in range(_MAX_PAGES):
            response = self.find(path, limit=_MAX_LISTING, title=title, query=page, expect=_TOO_FAR)
            if response is None:
                return None
            if not response.ok:
                if "keyset" not in gitlab_reason(response).lower() or "pagination" in page:
                    raise self.error_for_response(response)
                # From the start: its order is another.
                found, page = [], {**query, "per_page": _PAGE, **_KEYSET}
                continue
            part = response.parse(kind)
            found += part
            following = following_page(response, page, is_full=len(part) == _PAGE)
            if following is None:
                return found
            page = following
        raise RepositoryError(
            f"{title} failed: the list has more than {_MAX_PAGES * _PAGE} entries",
            hint="use a project that holds nothing but modules.",
        )

    def missing(self, *, title: str) -> IgnDeployError:
        """Return the error for a project of which nothing was found."""
        return self.error_for_response(Response(404, title=title))

    def delete(self, path: str, *, title: str) -> None:
        """Delete; a missing file is not an error. Raises RepositoryError if it isn't allowed."""
        response = self.request("DELETE", path, title=title, expect={404})
        if is_unknown_project(response):
            raise self.error_for_response(response)


def following_page(
    response: Response, page: Mapping[str, str | int], *, is_full: bool
) -> dict[str, str | int] | None:
    """Return the query of the next page, None after the last one.

    GitLab states its number, or links to it (the only way by keyset); only the link's query is
    used, never its address. A proxy may drop both: then a full page means that there may be more.
    """
    number = response.headers.get("X-Next-Page")
    if number is not None:
        return {**page, "page": number.strip()} if number.strip() else None
    if link := _NEXT.search(response.headers.get("Link", "")):
        stated = dict(parse_qsl(urlsplit(link[1]).query))
        following = {name: stated[name] for name in _POSITION if name in stated}
        return {**page, **following} if following else None
    if "page" in page and is_full and "Link" not in response.headers:
        return {**page, "page": int(page["page"]) + 1}
    return None


Id = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Package(_Part):
    """A generic package: one version of what has its name."""

    id: Id
    name: str
    version: str | None = None
    package_type: str
    status: str = "default"


class PackageFile(_Part):
    """A file of a package. ``file_sha256`` is None where GitLab doesn't state it."""

    id: Id
    package_id: Id
    file_name: str
    size: Annotated[int, Field(ge=0)] | None = None
    file_sha256: str | None = None


class Level(_Part):
    """A role, by its number: 20 Reporter, 30 Developer, 40 Maintainer, 50 Owner."""

    access_level: int = 0


class Permissions(_Part):
    """The token's roles; both None for a user who isn't a member (administrators too)."""

    project_access: Level | None = None
    group_access: Level | None = None


class ProjectState(_Part):
    """What a project says of itself to a member's token."""

    packages_enabled: bool | None = None
    package_registry_access_level: str | None = None
    permissions: Permissions | None = None

    @property
    def registry_is_off(self) -> bool:
        """Whether the project has no package registry."""
        return self.packages_enabled is False or self.package_registry_access_level == "disabled"

    @property
    def role(self) -> int | None:
        """The token's highest role in the project, None when GitLab states none."""
        if self.permissions is None:
            return None
        levels = (self.permissions.project_access, self.permissions.group_access)
        return max((each.access_level for each in levels if each is not None), default=None)


PACKAGES = TypeAdapter(list[Package])
PACKAGE_FILES = TypeAdapter(list[PackageFile])
PACKAGE_FILE = TypeAdapter(PackageFile)
PROJECT = TypeAdapter(ProjectState)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes the requests: the project, the token's kind, and the CI job's own project."""

    project: GitLabProject
    kind: TokenKind
    own_project: str = ""


def gitlab_error(response: Response, *, caller: Caller) -> RepositoryError:
    """Return the error for a response that isn't a success."""
    reason = gitlab_reason(response)
    return RepositoryError(
        f"{response.title} failed: GitLab returned {response.status}"
        f"{f' ({reason})' if reason else ''} for the project {caller.project.path}",
        hint=_hint(response.status, reason.lower(), caller=caller),
    )


def is_duplicate(response: Response) -> bool:
    """Return whether the project forbids a second file of that name, and there is one."""
    return response.status in {400, 403} and "duplicate package" in gitlab_reason(response).lower()


def is_unknown_project(response: Response) -> bool:
    """Return whether it isn't the file but the project that wasn't found."""
    return response.status == 404 and "project not found" in gitlab_reason(response).lower()


def gitlab_reason(response: Response) -> str:
    """Return GitLab's own words, harmless and short; empty if there are none."""
    fields = response.fields()
    found = [fields.get(name) for name in ("message", "error", "error_description")]
    text = ", ".join(each for each in found if isinstance(each, str))
    return legible(text[:200])


def _hint(status: int, reason: str, *, caller: Caller) -> str:
    if status == 413:
        reason = "too large"
    if known := next((hint for words, hint in _CAUSES.items() if words in reason), ""):
        return known
    if status == 401:
        return _wrong_token(caller.kind)
    if status == 403:
        return _forbidden(caller)
    if status == 404:
        return _not_found(caller)
    if status == 405:
        return "if the project was moved or renamed, use its current path in the URL."
    return "check GitLab's log (production_json.log, api_json.log)."


def _wrong_token(kind: TokenKind) -> str:
    if kind is TokenKind.NONE:
        return _TOKENS
    if kind is TokenKind.JOB:
        return (
            "use the token while its job runs: it expires with the job; before GitLab 15.3 a job's "
            "token can't list packages."
        )
    if kind is TokenKind.DEPLOY:
        return f"the token is wrong or expired, or can't list packages: {_TOKENS}"
    return "create a new token and set REPOSITORY_API_TOKEN: this one is wrong, expired or revoked."


def _forbidden(caller: Caller) -> str:
    if caller.kind is TokenKind.JOB:
        return (
            f"{_allowlist(caller)}; the user who started the job needs the role Developer there "
            "(to delete: Maintainer)."
        )
    if caller.kind is TokenKind.DEPLOY:
        return f"a deploy token can't do that: {_TOKENS}"
    return f"give the token's user the role Developer (to delete: Maintainer); {_TOKENS}"


def _not_found(caller: Caller) -> str:
    if caller.kind is TokenKind.JOB:
        return f"check the path; {_allowlist(caller)}."
    if caller.kind is TokenKind.DEPLOY:
        return f"check the path; a deploy token can't list packages: {_TOKENS}"
    if caller.kind is TokenKind.NONE:
        return f"check the path; GitLab hides private projects: {_TOKENS}"
    return "check the path; GitLab hides projects that the token's user isn't a member of."


def _allowlist(caller: Caller) -> str:
    own = caller.own_project or "the job's project"
    return (
        f"add {own} to the job token allowlist of {caller.project.path} "
        "(Settings > CI/CD > Job token permissions)"
    )
