"""GitLab's deployments: the environment's page shows what happened."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.client import DEFAULT_SERVICE, ServiceOptions
from ign_deploy.net.credentials import HostAuth, require_web_address
from ign_deploy.notify.notice import Notice, is_good, is_open

_PERMISSION = (
    "use a project access token with the scope `api` and the role Developer (Maintainer for a "
    "protected environment)."
)
_HINTS = {
    400: "check the environment's name, and that the commit is in the project.",
    401: _PERMISSION,
    403: _PERMISSION,
    404: _PERMISSION,
}


class _Deployment(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: int
    status: str = ""


_DEPLOYMENT = TypeAdapter(_Deployment)


@dataclass(frozen=True, slots=True)
class GitlabStatuses:
    """Records notices as deployments; created by ``gitlab_statuses``."""

    api: str
    host: str
    project: str
    commit: str
    ref: str
    is_tag: bool
    header: str
    token: str = field(repr=False)
    service: ServiceOptions = DEFAULT_SERVICE
    _known: dict[str, _Deployment] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"GitLab's deployments at {self.host}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The token."""
        return (self.token,)

    def send(self, notice: Notice) -> None:
        """Create the notice's deployment, or update an earlier one.

        A release, or a notice without an environment, isn't a deployment, so nothing is done.
        Raises NetworkError when GitLab refuses.
        """
        if notice.event == "release" or not notice.environment:
            return
        status = gitlab_status(notice)
        auth = HostAuth(self.token, url=self.api, name=self.header)
        base = f"{self.api}/projects/{quote(self.project, safe='')}/deployments"
        with self._lock, self.service.client(base=base, auth=auth, hints=_HINTS) as client:
            known = self._known.get(notice.deployment_id)
            if known is not None and known.status == status:
                return  # GitLab refuses an unchanged status
            if known is not None:
                method, path, document = "PUT", f"/{known.id}", {"status": status}
            else:
                method, path, document = "POST", "", self._deployment_fields(notice, status)
            title = "recording the deployment"
            response = client.request(method, path, title=title, json=document)
            deployment = response.parse(_DEPLOYMENT).model_copy(update={"status": status})
            if notice.deployment_id:
                self._known[notice.deployment_id] = deployment

    def _deployment_fields(self, notice: Notice, status: str) -> dict[str, Any]:
        return {
            "environment": notice.environment,
            "sha": self.commit,
            "ref": self.ref,
            "tag": self.is_tag,
            "status": status,
        }


def gitlab_status(notice: Notice) -> str:
    """Return GitLab's status for a result; GitLab has no ``inactive``."""
    if notice.result == "removed":
        return "canceled"
    if is_open(notice):
        return "running"
    return "success" if is_good(notice) else "failed"


def gitlab_statuses(
    env: Mapping[str, str],
    *,
    token: str = "",
    service: ServiceOptions = DEFAULT_SERVICE,
) -> GitlabStatuses | None:
    """Return the channel to the project whose job runs, None where ``env`` knows none.

    Needs CI_API_V4_URL, CI_PROJECT_ID, CI_COMMIT_SHA, CI_COMMIT_REF_NAME and a token: ``token``,
    else GITLAB_TOKEN, else the job's own, which must be allowed to make deployments. Raises
    ConfigurationError for a URL to which no token may go.
    """
    api, project = env.get("CI_API_V4_URL", "").rstrip("/"), env.get("CI_PROJECT_ID", "")
    commit, ref = env.get("CI_COMMIT_SHA", ""), env.get("CI_COMMIT_REF_NAME", "")
    own = token or env.get("GITLAB_TOKEN", "")
    chosen, header = (own, "PRIVATE-TOKEN") if own else (env.get("CI_JOB_TOKEN", ""), "JOB-TOKEN")
    if not (api and project and ref and chosen and re.fullmatch(r"[0-9a-f]{40,64}", commit)):
        return None
    host = require_web_address(api, what="GitLab's API (CI_API_V4_URL)")
    if not chosen.isprintable() or not chosen.isascii():
        raise ConfigurationError(
            "the GitLab token contains a line break or a control character",
            hint="store the token without a newline at its end.",
        )
    is_tag = bool(env.get("CI_COMMIT_TAG"))
    return GitlabStatuses(api, host, project, commit, ref, is_tag, header, chosen, service)
