"""The simulated GitHub server: HTTP, tokens, faults on demand, and a host of its own for files.

Every request and answer is compared with GitHub's description, and what GitHub demands beyond it
(the version's header, no credentials at the host of the files) is looked at too; what is wrong
fails the test when the server is stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.github import graphql
from tests.support.github.checking import Checker
from tests.support.github.limits import Limit
from tests.support.github.routes import Call, Route, asset_reply, find_route
from tests.support.github.state import Refused, SimulatedRepository, not_found
from tests.support.serving import Fault, HttpServer, Reply, Request, json_reply, serving

WRITER = "ghp_writer"
READER = "ghp_reader"
JOB = "ghs_job"
JOB_READER = "ghs_job_reader"
# A job's token is an installation's; a reader's owner may write, but not with that token.
ROLES = {WRITER: "write", READER: "reader", JOB: "job", JOB_READER: "job-reader"}
_UPLOADS = "/api/uploads"
_DOCUMENTED = {"documentation_url": "https://docs.github.test/rest"}


class GitHub(HttpServer):
    """The API of a GitHub with one repository; ``violations`` are what the real one wouldn't take.

    ``limit`` is the rate limit in force, by the server's clock. It knows one more kind of fault:
    ``starter``, an upload ends with a 502 and half a file.
    """

    methods = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE"})

    def __init__(self, repository: SimulatedRepository) -> None:
        super().__init__()
        self.repository = repository
        self.limit: Limit | None = None
        self.violations: list[str] = []
        self.checker = Checker()
        self.files = _Files(self)

    @property
    def repository_url(self) -> str:
        """The repository URL of ign-deploy for it."""
        return f"github://{self.repository.full_name}?api={self.url}"

    @property
    def seen(self) -> list[str]:
        """``METHOD path`` of every request."""
        return [f"{each.method} {each.path}" for each in self.requests]

    def violate(self, text: str) -> None:
        """Note what GitHub wouldn't take."""
        with self.lock:
            self.violations.append(text)

    def take(self, request: Request) -> Reply:
        """Compare the request and its answer with the description."""
        self._check_request(request)
        response = super().take(request)
        if not response.reset:
            self._check_response(request, response)
        return response

    def fail(self, request: Request, fault: Fault) -> Reply:
        """See ``HttpServer``; an upload may also end with half a file."""
        if fault.status >= 400:
            fault.document = {**_DOCUMENTED, **fault.document}
        if fault.kind != "starter":
            return super().fail(request, fault)
        half = request.body[: len(request.body) // 2]
        _, (release,) = self._route(request)
        self.repository.add_asset(int(release), request.query["name"], half, state="starter")
        return fault.response

    def respond(self, request: Request) -> Reply:
        """Do what a repository's route does, if the token may."""
        now = time.time() if self.date is None else self.date
        if self.limit is not None and (refusal := self.limit.refuse(now)) is not None:
            return refusal
        try:
            role = self._role(request)
            if (request.method, request.path) == ("POST", graphql.PATH):
                return self._query(request, role)
            if (moved := self._redirect(request)) is not None:
                return moved
            route, parts = self._route(request)
            self._require_rights(request, role)
            # A proxy's address, where one is before us.
            base = f"http://{request.headers['Host']}"
            return route(Call(base, self.files.url, self.repository, role, request, parts))
        except Refused as problem:
            document: dict[str, Any] = {
                **_DOCUMENTED,
                "message": problem.message,
                "status": str(problem.status),
            }
            if problem.errors is not None:
                document["errors"] = problem.errors
            return json_reply(problem.status, document)

    def _query(self, request: Request, role: str) -> Reply:
        """Answer a query, which needs a token, but no right to write."""
        if not self.repository.graphql:
            raise not_found()
        if role == "nobody":
            raise Refused(401, "This endpoint requires you to be authenticated.")
        try:
            return graphql.answer(request.body, self.repository)
        except graphql.InvalidQuery as problem:
            self.violate(f"POST {request.path}: {problem}")
            return json_reply(200, {"errors": [{"message": str(problem)}]})

    def _check_request(self, request: Request) -> None:
        path = request.path.removeprefix(_UPLOADS)
        for name in ("X-GitHub-Api-Version", "Accept", "User-Agent"):
            if request.headers.get(name) in {None, "", "*/*"}:
                self.violate(f"{request.method} {path}: no {name}")
        if path == graphql.PATH:
            return  # described by a schema, see there
        for problem in self.checker.request_problems(request, path):
            self.violate(problem)

    def _redirect(self, request: Request) -> Reply | None:
        """Return where a request under a former name is to be made, with the method for writes."""
        former = f"/repos/{self.repository.former_name}"
        if not self.repository.former_name or not f"{request.path}/".startswith(f"{former}/"):
            return None
        to = f"{self.url}/repos/{self.repository.full_name}{request.target[len(former) :]}"
        status = 301 if request.method == "GET" else 307
        return json_reply(status, {"message": "Moved Permanently", "url": to}, {"Location": to})

    def _check_response(self, request: Request, response: Reply) -> None:
        if response.status in {301, 307}:
            return  # not everywhere described
        path = request.path.removeprefix(_UPLOADS)
        for problem in self.checker.response_problems(request, path, response):
            self.violate(problem)

    def _route(self, request: Request) -> tuple[Route, tuple[str, ...]]:
        path = request.path.removeprefix(_UPLOADS)
        prefix = f"/repos/{self.repository.full_name}"
        if path.lower()[: len(prefix)] != prefix.lower():
            raise not_found()
        uploads = path != request.path
        return find_route(request.method, path[len(prefix) :], uploads=uploads)

    def _role(self, request: Request) -> str:
        scheme, token = request.credentials
        if not scheme:
            return "nobody"
        if scheme != "Bearer" or token not in ROLES:
            raise Refused(401, "Bad credentials")
        return ROLES[token]

    def _require_rights(self, request: Request, role: str) -> None:
        if role == "nobody" and self.repository.private:
            raise not_found()
        if request.method == "GET":
            return
        if role == "nobody":
            raise Refused(401, "Requires authentication")
        if role == "job-reader":
            raise Refused(403, "Resource not accessible by integration")
        if role == "reader":
            raise Refused(403, "Resource not accessible by personal access token")
        if self.repository.archived:
            raise Refused(403, "Repository was archived so is read-only.")


class _Files(HttpServer):
    """The host that keeps the files: it takes signed addresses, and refuses any credentials."""

    methods = frozenset({"GET"})

    def __init__(self, github: GitHub) -> None:
        super().__init__()
        self._github = github

    def respond(self, request: Request) -> Reply:
        if "Authorization" in request.headers:
            self._github.violate(f"GET {request.path}: credentials sent to the host of the files")
            return Reply(400, body=b"Only one auth mechanism allowed")
        number = request.path.strip("/")
        if "sig" not in request.query or not number.isdigit():
            return Reply(403)
        try:
            asset = self._github.repository.asset(int(number))[1]
        except Refused:
            return Reply(404)
        return asset_reply(request, asset)


@contextmanager
def github_simulator(full_name: str = "acme/modules", **switches: Any) -> Iterator[GitHub]:
    """Run a server with one repository on two ports; ``switches`` are its fields.

    Raises AssertionError at the end when a request or an answer wasn't as GitHub has it.
    """
    simulator = GitHub(SimulatedRepository(full_name, **switches))
    with serving(simulator, simulator.files):
        yield simulator
    assert not simulator.violations, "\n".join(dict.fromkeys(simulator.violations))[:8000]
