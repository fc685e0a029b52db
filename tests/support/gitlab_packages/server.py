"""The simulated GitLab on loopback: faults on demand, and an object storage beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.support.gitlab_packages.registry import File, Project, Registry, Switches
from tests.support.gitlab_packages.rights import MAINTAINER, Refused, Token, authenticate
from tests.support.gitlab_packages.routes import Endpoints
from tests.support.serving import (
    HttpServer,
    Reply,
    Request,
    file_reply,
    json_reply,
    serving,
)

_SECRET_HEADERS = {"private-token", "job-token", "deploy-token", "authorization", "cookie"}


class GitLab(HttpServer):
    """A GitLab at ``http://127.0.0.1:port``, below ``root`` (such as ``/gitlab``) if given."""

    methods = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})

    def __init__(self, *, root: str = "", switches: Switches | None = None) -> None:
        super().__init__()
        self.root = root
        self.switches = Switches() if switches is None else switches
        self.registry = Registry(self.switches)
        self.projects: dict[str, Project] = {}
        self.tokens: dict[str, Token] = {}
        self.endpoints = Endpoints(self.registry, self.projects)
        self.storage = Storage()

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    @property
    def api(self) -> str:
        """The address of the API."""
        return f"{self.url}{self.root}/api/v4"

    def add_project(self, path: str, **fields: Any) -> Project:
        """Make a project."""
        self.projects[path] = Project(path, len(self.projects) + 1, **fields)
        return self.projects[path]

    def add_token(self, secret: str, kind: str = "access", **fields: Any) -> str:
        """Make a token with the role Maintainer in all projects there are, by default."""
        fields.setdefault("roles", dict.fromkeys(self.projects, MAINTAINER))
        self.tokens[secret] = Token(kind, **fields)
        return secret

    def files(self, path: str) -> dict[tuple[str, str, str], list[bytes]]:
        """Return all files of a project by package, version and name, oldest first."""
        found: dict[tuple[str, str, str], list[tuple[int, bytes]]] = {}
        for package, version, file in self.registry.content(path):
            found.setdefault((package, version, file.name), []).append((file.id, file.data))
        return {key: [data for _, data in sorted(files)] for key, files in found.items()}

    def respond(self, request: Request) -> Reply:
        """Do what an endpoint does, if the token may."""
        prefix = f"{self.root}/api/v4"
        try:
            if not request.path.startswith(f"{prefix}/projects/"):
                raise Refused(404, error="404 Not Found")
            token = authenticate(request.headers, self.tokens)
            reply = self.endpoints.answer(request, request.path.removeprefix(prefix), token)
        except Refused as refused:
            return json_reply(refused.status, refused.body)
        if isinstance(reply, Reply):
            return reply
        if self.switches.redirect_downloads:
            return Reply(302, {"Location": self.storage.address_of(reply)})
        return stored_reply(request, reply)


class Storage(HttpServer):
    """The object storage: serves by a secret address, and takes no token.

    ``leaks`` are the secret headers that it was sent.
    """

    methods = frozenset({"GET"})

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, File] = {}
        self.leaks: list[str] = []

    def address_of(self, file: File) -> str:
        """Return where a file can be had."""
        target = f"/bucket/{file.id}?signature=s3cret"
        self.objects[target] = file
        return self.url + target

    def respond(self, request: Request) -> Reply:
        """Serve a file."""
        leaks = [name for name in request.headers if name.lower() in _SECRET_HEADERS]
        self.leaks.extend(leaks)
        file = self.objects.get(request.target)
        if leaks or file is None:
            return Reply(400, body=b"<Error/>")
        return stored_reply(request, file)


def stored_reply(request: Request, file: File) -> Reply:
    """Respond with a file."""
    headers = {"ETag": f'"{file.sha256}"', "Content-Type": "application/octet-stream"}
    return file_reply(request, file.data, {**headers, "X-Checksum-SHA256": file.sha256})


@contextmanager
def gitlab(*, root: str = "", switches: Switches | None = None) -> Iterator[GitLab]:
    """Run a GitLab without projects and tokens."""
    server = GitLab(root=root, switches=switches)
    with serving(server, server.storage):
        yield server
