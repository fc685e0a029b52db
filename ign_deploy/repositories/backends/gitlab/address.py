"""Which GitLab project a URL means, and where its API is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import is_this_machine
from ign_deploy.repositories.access import split_store_url

_API = "/api/v4"
_SEGMENT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}")


@dataclass(frozen=True, slots=True)
class Project:
    """A project: its path with all groups, and the address of its GitLab's API (``…/api/v4``)."""

    path: str
    api: str

    @property
    def url(self) -> str:
        """The project in the API: its path is one segment there."""
        return f"{self.api}/projects/{quote(self.path, safe='')}"

    @property
    def web(self) -> str:
        """The project as a person sees it."""
        return f"{self.api.removesuffix(_API)}/{self.path}"

    @property
    def host(self) -> str:
        """The name of the host."""
        return urlsplit(self.api).hostname or ""


def project_at(url: str, *, env: Mapping[str, str]) -> Project:
    """Return the project of ``gitlab://host[:port]/group/…/project``.

    The API is that of ``CI_API_V4_URL`` where this names the same host: that knows a GitLab below
    a path, and its port. Else it is at ``https://host/api/v4``, on this machine with plain http.
    Raises ConfigurationError.
    """
    parts = split_store_url(url)
    segments = parts.path.split("/")
    if len(segments) < 2 or not all(_is_segment(each) for each in segments):
        raise ConfigurationError(
            "the gitlab: URL doesn't name a project by its groups and its name",
            hint="write gitlab://host/group/project, as in the project's address in the browser.",
        )
    location = urlsplit(f"//{parts.host}")
    host, port = location.hostname or "", location.port
    scheme = "http" if is_this_machine(host) else "https"
    own = _api_of_this_job(env, host=host, port=port)
    return Project(path=parts.path, api=own or f"{scheme}://{parts.host}{_API}")


def _is_segment(text: str) -> bool:
    return _SEGMENT.fullmatch(text) is not None and not text.endswith((".", ".git", ".atom"))


def _api_of_this_job(env: Mapping[str, str], *, host: str, port: int | None) -> str | None:
    url = env.get("CI_API_V4_URL", "").strip().rstrip("/")
    try:
        parts = urlsplit(url)
        name, own_port = parts.hostname, parts.port
    except ValueError:
        return None
    same = name == host and port in {None, own_port}
    plain = parts.scheme in {"http", "https"} and not parts.query and "@" not in parts.netloc
    return url if same and plain and parts.path.endswith(_API) and url.isprintable() else None
