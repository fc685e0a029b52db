"""The simulated GitLab's endpoints: parameters checked by name and grammar, answers as JSON.

After lib/api/generic_packages.rb, project_packages.rb and package_files.rb of GitLab 18.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from urllib.parse import unquote, urlencode

from tests.support.gitlab_packages.registry import (
    DuplicateFile,
    File,
    Package,
    Project,
    RaceLost,
    Registry,
)
from tests.support.gitlab_packages.rights import (
    MAINTAINER,
    Refused,
    Token,
    forbidden,
    not_found,
    require,
    role_in,
)
from tests.support.serving import Reply, Request, json_reply

_NAME = re.compile(r"[A-Za-z0-9._\-+]+")
_VERSION = re.compile(r"(?!.*\.\.)[A-Za-z0-9_+.-]+")
_FILE = re.compile(r"(?!~)[A-Za-z0-9._\-+~]+(?<!~)")
_PAGING = {"page", "per_page", "pagination", "cursor"}
CREATED = "2026-01-31T12:00:00.000Z"


@dataclass(frozen=True)
class Call:
    """A request as the endpoints see it; path parameters are decoded."""

    project: Project
    token: Token | None
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = b""


Found = Reply | File
"""An answer; a file is sent as it is, with ranges."""


class Endpoints:
    """Finds the endpoint of a request and calls it."""

    def __init__(self, registry: Registry, projects: Mapping[str, Project]) -> None:
        self._registry = registry
        self._projects = projects
        number = r"(\d+)"
        self._routes: list[tuple[str, str, Callable[[Call], Found], tuple[str, ...]]] = [
            ("GET", r"", self._project, ()),
            ("GET", r"/packages", self._packages, ()),
            ("GET", rf"/packages/{number}/package_files", self._package_files, ("package",)),
            (
                "GET",
                rf"/packages/{number}/package_files/{number}/download",
                self._by_number,
                ("package", "file"),
            ),
            (
                "DELETE",
                rf"/packages/{number}/package_files/{number}",
                self._delete_file,
                ("package", "file"),
            ),
            ("PUT", r"/packages/generic/([^/]+)/([^/]+)/([^/]+)", self._upload, _GENERIC),
            ("GET", r"/packages/generic/([^/]+)/([^/]+)/([^/]+)", self._download, _GENERIC),
        ]

    def answer(self, request: Request, path: str, token: Token | None) -> Found:
        """Answer a request for ``/projects/…``; raises Refused."""
        match = re.fullmatch(r"/projects/([^/]+)(/.*)?", path)
        if match is None:
            raise Refused(404, error="404 Not Found")
        project = self._projects.get(unquote(match[1]))
        if project is None:
            raise not_found("Project")
        if project.moved_to:
            if request.method != "GET":
                raise Refused(405, message="Non GET methods are not allowed for moved projects")
            project = self._projects[project.moved_to]
        for verb, pattern, endpoint, names in self._routes:
            found = re.fullmatch(pattern, match[2] or "")
            if verb == request.method and found is not None:
                values = dict(zip(names, map(unquote, found.groups()), strict=True))
                return endpoint(Call(project, token, values, request.query, request.body))
        raise Refused(404, error="404 Not Found")

    def _project(self, call: Call) -> Reply:
        _known(call, set())
        require_visible(call)
        role = role_in(call.project, call.token)
        member = role and call.token is not None and not call.token.admin
        access = {"access_level": role, "notification_level": 3} if member else None
        document = {
            "id": call.project.number,
            "path_with_namespace": call.project.path,
            "packages_enabled": call.project.registry,
            "package_registry_access_level": "enabled" if call.project.registry else "disabled",
            "permissions": {"project_access": access, "group_access": None},
        }
        return json_reply(200, document)

    def _packages(self, call: Call) -> Reply:
        known = {"package_type", "package_name", "order_by", "sort", "status"} | _PAGING
        # Grape leaves out what it doesn't declare.
        _known(call, known | {"package_version"})
        require(call.project, call.token, right="read")
        found = self._registry.listed(call.project.path)
        wanted = call.query.get("package_name", "").lower()
        found = [each for each in found if wanted in each.name.lower()]
        if self._registry.switches.version_filter and "package_version" in call.query:
            found = [each for each in found if each.version == call.query["package_version"]]
        destroy = role_in(call.project, call.token) >= MAINTAINER
        return self._paged(call, [_package(each, destroy=destroy) for each in found])

    def _package_files(self, call: Call) -> Reply:
        _known(call, {"order_by", "sort"} | _PAGING)
        require(call.project, call.token, right="read")
        package = self._package_of(call)
        return self._paged(call, [_file(each) for each in self._registry.files(package)])

    def _by_number(self, call: Call) -> File:
        if not self._registry.switches.download_by_number:
            raise Refused(404, error="404 Not Found")
        require(call.project, call.token, right="read")
        return self._file_of(call)

    def _delete_file(self, call: Call) -> Reply:
        require(call.project, call.token, right="destroy")
        self._file_of(call).deleted = True
        return Reply(204)

    def _upload(self, call: Call) -> Reply:
        _known(call, {"select", "status"})
        package, version, name = _generic(call)
        # Workhorse asks for these rights before it takes the body.
        require(call.project, call.token, right="create", deploy_tokens=True)
        if re.fullmatch(call.project.protected, package):
            raise forbidden("Package protected.")
        if call.project.storage_full:
            raise forbidden("Your action has been rejected because the namespace storage limit")
        if len(call.body) > self._registry.switches.max_file_size:
            raise Refused(400, message="400 Bad request - File is too large")
        try:
            file = self._registry.upload(call.project, (package, version), name, call.body)
        except DuplicateFile:
            raise Refused(
                400, message="400 Bad request - Duplicate package is not allowed"
            ) from None
        except RaceLost:
            raise Refused(500, message="500 Internal Server Error") from None
        if "select" not in call.query:
            return json_reply(201, {"message": "201 Created"})
        stored = {"file_store": 1, "file": {"url": "/6b/86/x"}, "status": "default"}
        return json_reply(200, {**_file(file), **stored, "updated_at": CREATED})

    def _download(self, call: Call) -> File:
        package, version, name = _generic(call)
        require(call.project, call.token, right="read", deploy_tokens=True)
        file = self._registry.by_name(call.project.path, (package, version), name)
        if file is None:
            raise not_found()
        return file

    def _package_of(self, call: Call) -> Package:
        number = int(call.parameters["package"])
        package = self._registry.package(call.project.path, number)
        if package is None:
            raise not_found()
        return package

    def _file_of(self, call: Call) -> File:
        number = int(call.parameters["file"])
        files = self._registry.files(self._package_of(call), lag=0.0)
        found = next((each for each in files if each.id == number), None)
        if found is None:
            raise not_found()
        return found

    def _paged(self, call: Call, entries: list[Any]) -> Reply:
        page, size = int(call.query.get("page", 1)), int(call.query.get("per_page", 20))
        if page < 1 or not 1 <= size <= 100:
            raise Refused(400, error="page or per_page does not have a valid value")
        if call.query.get("pagination") == "keyset" and self._registry.switches.keyset:
            return self._by_keyset(call, entries, size)
        start = (page - 1) * min(size, self._registry.switches.page_size)
        end = start + min(size, self._registry.switches.page_size)
        if self._registry.switches.keyset and start > self._registry.switches.largest_offset:
            limit = self._registry.switches.largest_offset
            raise Refused(
                405,
                error=f"Offset pagination has a maximum allowed offset of {limit} for requests "
                "that return objects of type Packages::Package. Remaining records can be "
                "retrieved using keyset pagination.",
            )
        headers = {"X-Page": str(page), "X-Per-Page": str(size), "X-Total": str(len(entries))}
        if self._registry.switches.next_page_header:
            headers["X-Next-Page"] = str(page + 1) if end < len(entries) else ""
        return json_reply(200, entries[start:end], headers)

    def _by_keyset(self, call: Call, entries: list[Any], size: int) -> Reply:
        """Respond with the entries after a cursor: the only link to the next ones is a header's."""
        if (call.query.get("order_by"), call.query.get("sort")) != ("id", "asc"):
            raise Refused(405, error="Keyset pagination is not yet available for this order")
        cursor = int(call.query.get("cursor", 0))
        left = sorted((each for each in entries if each["id"] > cursor), key=itemgetter("id"))
        page = left[: min(size, self._registry.switches.page_size)]
        headers = {}
        if len(page) < len(left):
            query = urlencode({**call.query, "cursor": page[-1]["id"]})
            # Under the address that GitLab takes for its own.
            headers["Link"] = f'<https://gitlab.internal/api/v4/x?{query}>; rel="next"'
        return json_reply(200, page, headers)


_GENERIC = ("package", "version", "name")


def require_visible(call: Call) -> None:
    """Raise Refused unless the token may look at the project (no job token may)."""
    if call.token is not None and call.token.kind == "job":
        raise Refused(401, message="401 Unauthorized")
    deploy = call.token is not None and call.token.kind == "deploy"
    role = 0 if deploy else role_in(call.project, call.token)
    if not role and not call.project.public:
        raise not_found("Project")
    if call.token is not None and not call.token.scopes & {"api", "read_api"}:
        raise Refused(403, error="insufficient_scope", error_description="higher privileges")


def _known(call: Call, names: set[str]) -> None:
    if unknown := set(call.query) - names:
        raise Refused(400, error=f"the simulator knows no parameter {sorted(unknown)}")


def _generic(call: Call) -> tuple[str, str, str]:
    package, version, name = (call.parameters[each] for each in _GENERIC)
    for title, value, grammar in (
        ("package_name", package, _NAME),
        ("package_version", version, _VERSION),
        ("file_name", name, _FILE),
    ):
        if grammar.fullmatch(value) is None or len(value) > 255 * 4:
            raise Refused(400, error=f"{title} is invalid")
    return package, version, name


def _package(package: Package, *, destroy: bool) -> dict[str, Any]:
    links = {"web_path": f"/{package.project}/-/packages/{package.id}"}
    if destroy:
        links["delete_api_path"] = f"/api/v4/projects/1/packages/{package.id}"
    return {
        "id": package.id,
        "name": package.name,
        "version": package.version,
        "package_type": "generic",
        "status": package.status,
        "_links": links,
        "created_at": CREATED,
        "tags": [],
    }


def _file(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "package_id": file.package_id,
        "created_at": CREATED,
        "file_name": file.name,
        "size": len(file.data),
        "file_md5": None,
        "file_sha1": None,
        "file_sha256": file.sha256,
    }
