"""The deployments of GitHub and GitLab: stateful, and as strict as theirs."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.serving import HttpServer, Reply, Request, json_reply

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


class GithubDeployments(HttpServer):
    """``/repos/org/pump/deployments``; ``may_write`` is what the token is allowed to."""

    def __init__(self, *, may_write: bool = True) -> None:
        super().__init__()
        self.may_write = may_write
        self.deployments: list[dict[str, Any]] = []
        self.statuses: dict[int, list[dict[str, Any]]] = {}

    def respond(self, request: Request) -> Reply:
        """Respond as the API does."""
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return json_reply(401, {"message": "Bad credentials"})
        match = re.fullmatch(r"/repos/org/pump/deployments(?:/(\d+)/statuses)?", request.path)
        if match is None:
            return json_reply(404, {"message": "Not Found"})
        if request.method == "GET":
            found = [each for each in self.deployments if self._fits(each, request.query)]
            return json_reply(200, found)
        if not self.may_write:
            return json_reply(403, {"message": "Resource not accessible by integration"})
        document = json.loads(request.body)
        if match[1] is not None:
            return self._add_status(int(match[1]), document)
        return self._create(document)

    def _fits(self, deployment: dict[str, Any], query: dict[str, str]) -> bool:
        return all(
            deployment[name] == query[name] for name in ("sha", "environment") if name in query
        )

    def _create(self, document: dict[str, Any]) -> Reply:
        if document["ref"] != SHA or document["required_contexts"] != []:
            return json_reply(409, {"message": "Conflict"})
        if len(document["description"]) > 140:
            return json_reply(422, {"message": "Validation Failed"})
        number = 100 + len(self.deployments)
        self.deployments.append({"id": number, "sha": SHA, "url": "…", **document})
        self.statuses[number] = []
        return json_reply(201, self.deployments[-1])

    def _add_status(self, number: int, document: dict[str, Any]) -> Reply:
        if number not in self.statuses:
            return json_reply(404, {"message": "Not Found"})
        if document["state"] not in _GITHUB_STATES or len(document["description"]) > 140:
            return json_reply(422, {"message": "Validation Failed"})
        self.statuses[number].append(document)
        return json_reply(201, {"id": 1, **document})


class GitlabDeployments(HttpServer):
    """``/api/v4/projects/7/deployments``; takes the token in ``header``."""

    def __init__(self, *, header: str = "PRIVATE-TOKEN") -> None:
        super().__init__()
        self.header = header
        self.deployments: dict[int, dict[str, Any]] = {}
        self.history: list[str] = []

    def respond(self, request: Request) -> Reply:
        """Respond as the API does."""
        if request.headers.get(self.header) != TOKEN:
            return json_reply(401, {"message": "401 Unauthorized"})
        match = re.fullmatch(r"/api/v4/projects/7/deployments(?:/(\d+))?", request.path)
        if match is None:
            return json_reply(404, {"message": "404 Project Not Found"})
        document = json.loads(request.body)
        if document["status"] not in _GITLAB_MOVES:
            return json_reply(400, {"error": "status does not have a valid value"})
        if request.method == "POST" and match[1] is None:
            number = 1 + len(self.deployments)
            self.deployments[number] = {"id": number, "iid": number, **document}
        else:
            number = int(match[1])
            if document["status"] not in _GITLAB_MOVES[self.deployments[number]["status"]]:
                return json_reply(400, {"message": {"status": ["cannot transition"]}})
            self.deployments[number]["status"] = document["status"]
        self.history.append(document["status"])
        return json_reply(201 if request.method == "POST" else 200, self.deployments[number])
