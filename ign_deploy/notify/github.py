"""GitHub's deployments: the environment's page and the commit show what happened."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ign_deploy.net.client import DEFAULT_SERVICE, Client, ServiceOptions
from ign_deploy.net.credentials import require_web_address, token_auth
from ign_deploy.notify.notice import Notice, is_good, is_open, title

_API = "https://api.github.com"
_KEY = "ign-deploy"
_MOST_DESCRIPTION = 140
_MAX_LISTING = 4 << 20
_HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
}
_PERMISSION = (
    "give the job `permissions: deployments: write`; a pull request from a fork can't have it."
)
_HINTS = {
    401: "GITHUB_TOKEN has expired: pass this job's token.",
    403: _PERMISSION,
    404: _PERMISSION,
    409: "the commit can't be deployed: check the repository's rules for the environment.",
    422: "check the environment's name, and that the commit is in the repository.",
}


class _Deployment(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: int
    payload: Any = None


_DEPLOYMENT = TypeAdapter(_Deployment)
_DEPLOYMENTS = TypeAdapter(list[_Deployment])


@dataclass(frozen=True, slots=True)
class GithubStatuses:
    """Records notices as deployment statuses; created by ``github_statuses``."""

    api: str
    host: str
    repository: str
    commit: str
    token: str = field(repr=False)
    service: ServiceOptions = DEFAULT_SERVICE
    _known: dict[str, int] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"GitHub's deployments at {self.host}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The token."""
        return (self.token,)

    def send(self, notice: Notice) -> None:
        """Add a status to the notice's deployment, which is created if necessary.

        A release, or a notice without an environment, isn't a deployment, so nothing is done.
        Raises NetworkError when GitHub refuses.
        """
        if notice.event == "release" or not notice.environment:
            return
        auth = token_auth(self.token, url=self.api)
        base = f"{self.api}/repos/{self.repository}/deployments"
        with (
            self._lock,
            self.service.client(base=base, auth=auth, headers=_HEADERS, hints=_HINTS) as client,
        ):
            number = self._deployment(client, notice)
            status: dict[str, Any] = {
                "state": github_state(notice),
                "description": title(notice)[:_MOST_DESCRIPTION],
                "auto_inactive": True,
            }
            if notice.run_url:
                status["log_url"] = notice.run_url
            client.request(
                "POST", f"/{number}/statuses", title="adding a deployment status", json=status
            )

    def _deployment(self, client: Client, notice: Notice) -> int:
        """Return the deployment's number; a job that was killed and runs again finds its own."""
        key = notice.deployment_id
        if key and key not in self._known and (found := self._find(client, notice)) is not None:
            self._known[key] = found
        if not key or key not in self._known:
            number = self._create(client, notice)
            if not key:
                return number
            self._known[key] = number
        return self._known[key]

    def _find(self, client: Client, notice: Notice) -> int | None:
        query = f"sha={self.commit}&environment={quote(notice.environment, safe='')}&per_page=50"
        found = client.request(
            "GET", f"?{query}", title="listing the deployments", limit=_MAX_LISTING
        )
        wanted = {_KEY: notice.deployment_id}
        return next((each.id for each in found.parse(_DEPLOYMENTS) if each.payload == wanted), None)

    def _create(self, client: Client, notice: Notice) -> int:
        wanted: dict[str, Any] = {
            "ref": self.commit,
            "environment": notice.environment,
            "task": "deploy:rollback" if notice.event == "rollback" else "deploy",
            "description": title(notice)[:_MOST_DESCRIPTION],
            "payload": {_KEY: notice.deployment_id},
            # The commit is already deployed, so there is nothing to merge or wait for.
            "auto_merge": False,
            "required_contexts": [],
        }
        created = client.request("POST", title="creating a deployment", json=wanted)
        return created.parse(_DEPLOYMENT).id


def github_state(notice: Notice) -> str:
    """Return GitHub's state for a result."""
    if notice.result == "removed":
        return "inactive"
    if is_open(notice):
        return "in_progress"
    if notice.result == "rollback-failed":
        return "error"
    return "success" if is_good(notice) else "failure"


def github_statuses(
    env: Mapping[str, str],
    *,
    token: str = "",
    service: ServiceOptions = DEFAULT_SERVICE,
) -> GithubStatuses | None:
    """Return the channel to the repository of the current job, None if ``env`` has none.

    Needs GITHUB_REPOSITORY, GITHUB_SHA and a token (``token``, else GITHUB_TOKEN). Raises
    ConfigurationError for a GITHUB_API_URL that must not receive a token.
    """
    repository, commit = env.get("GITHUB_REPOSITORY", ""), env.get("GITHUB_SHA", "")
    chosen = token or env.get("GITHUB_TOKEN", "")
    named = re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", repository, re.ASCII)
    if not (named and chosen and re.fullmatch(r"[0-9a-f]{40,64}", commit)):
        return None
    api = (env.get("GITHUB_API_URL") or _API).rstrip("/")
    host = require_web_address(api, what="GitHub's API (GITHUB_API_URL)")
    return GithubStatuses(api, host, repository, commit, chosen, service)
