"""The deployments of GitHub and GitLab: stateful, and as strict as theirs."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.http_server import Answer, Request, ScriptedServer

SHA = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "t0ken-of-the-job"
_GITHUB_STATES = {
    "error", "failure", "inactive", "in_progress", "queued", "pending", "success"
}  # fmt: skip
_GITLAB_MOVES = {
    "running": {"success", "failed", "canceled"},
    "success": set[str](),
    "failed": set[str](),
    "canceled": set[str](),
}


def _answer(status: int, document: Any) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(document).encode())


class GithubDeployments(ScriptedServer):
    """``/repos/org/pump/deployments``; ``may_write`` is what the token is allowed to."""

    def __init__(self, *, may_write: bool = True) -> None:
        super().__init__([Answer(500)])
        self.may_write = may_write
        self.deployments: list[dict[str, Any]] = []
        self.statuses: dict[int, list[dict[str, Any]]] = {}

    def next_answer(self, request: Request) -> Answer:
        """Answer as the API does."""
        super().next_answer(request)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _answer(401, {"message": "Bad credentials"})
        parts = urlsplit(request.path)
        match = re.fullmatch(r"/repos/org/pump/deployments(?:/(\d+)/statuses)?", parts.path)
        if match is None:
            return _answer(404, {"message": "Not Found"})
        if request.method == "GET":
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            return _answer(200, [each for each in self.deployments if self._fits(each, query)])
        if not self.may_write:
            return _answer(403, {"message": "Resource not accessible by integration"})
        document = json.loads(request.body)
        if match[1] is not None:
            return self._add_status(int(match[1]), document)
        return self._create(document)

    def _fits(self, deployment: dict[str, Any], query: dict[str, str]) -> bool:
        return all(
            deployment[name] == query[name] for name in ("sha", "environment") if name in query
        )

    def _create(self, document: dict[str, Any]) -> Answer:
        if document["ref"] != SHA or document["required_contexts"] != []:
            return _answer(409, {"message": "Conflict"})
        if len(document["description"]) > 140:
            return _answer(422, {"message": "Validation Failed"})
        number = 100 + len(self.deployments)
        self.deployments.append({"id": number, "sha": SHA, "url": "…", **document})
        self.statuses[number] = []
        return _answer(201, self.deployments[-1])

    def _add_status(self, number: int, document: dict[str, Any]) -> Answer:
        if number not in self.statuses:
            return _answer(404, {"message": "Not Found"})
        if document["state"] not in _GITHUB_STATES or len(document["description"]) > 140:
            return _answer(422, {"message": "Validation Failed"})
        self.statuses[number].append(document)
        return _answer(201, {"id": 1, **document})


class GitlabDeployments(ScriptedServer):
    """``/api/v4/projects/7/deployments``; takes the token in ``header``."""

    def __init__(self, *, header: str = "PRIVATE-TOKEN") -> None:
        super().__init__([Answer(500)])
        self.header = header
        self.deployments: dict[int, dict[str, Any]] = {}
        self.history: list[str] = []

    def next_answer(self, request: Request) -> Answer:
        """Answer as the API does."""
        super().next_answer(request)
        if request.headers.get(self.header) != TOKEN:
            return _answer(401, {"message": "401 Unauthorized"})
        match = re.fullmatch(r"/api/v4/projects/7/deployments(?:/(\d+))?", request.path)
        if match is None:
            return _answer(404, {"message": "404 Project Not Found"})
        document = json.loads(request.body)
        if document["status"] not in _GITLAB_MOVES:
            return _answer(400, {"error": "status does not have a valid value"})
        if request.method == "POST" and match[1] is None:
            number = 1 + len(self.deployments)
            self.deployments[number] = {"id": number, "iid": number, **document}
        else:
            number = int(match[1])
            if document["status"] not in _GITLAB_MOVES[self.deployments[number]["status"]]:
                return _answer(400, {"message": {"status": ["cannot transition"]}})
            self.deployments[number]["status"] = document["status"]
        self.history.append(document["status"])
        return _answer(201 if request.method == "POST" else 200, self.deployments[number])
