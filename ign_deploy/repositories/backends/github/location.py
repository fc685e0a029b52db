"""Where a GitHub repository is: its API, its web pages, and the token for them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import is_this_machine, origin
from ign_deploy.repositories.access import Access, split_store_url

PUBLIC_API = "https://api.github.com"
_OPTIONS = frozenset({"api"})
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_REPOSITORY = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True)
class GitHubLocation:
    """A repository on a GitHub server; ``api`` and ``web`` are URLs without a slash at the end."""

    owner: str
    repository: str
    api: str
    web: str
    token: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """``owner/repository``, as GitHub shows it."""
        return f"{self.owner}/{self.repository}"

    @property
    def url(self) -> str:
        """The repository's address in the API."""
        return f"{self.api}/repos/{self.name}"

    @property
    def graphql(self) -> str:
        """The address of the GraphQL API: of an Enterprise Server, beside that of the REST API."""
        return f"{self.api.removesuffix('/v3')}/graphql"

    def release_page(self, tag: str) -> str:
        """Return the page where a person finds a release."""
        return f"{self.web}/{self.name}/releases/tag/{quote(tag)}"

    def takes_uploads_at(self, url: str) -> bool:
        """Return whether assets, and so the token, may be sent to a URL that GitHub returned.

        Uploads go to the API's own origin (GitHub Enterprise Server) or to its sister ``uploads.``.
        """
        try:
            given, own = origin(url), origin(self.api)
        except ConfigurationError:
            return False
        sister = (own[0], f"uploads.{own[1].removeprefix('api.')}", own[2])
        return "@" not in urlsplit(url).netloc and given in {own, sister}


def find_github_location(url: str, *, access: Access) -> GitHubLocation:
    """Return what ``github://owner/repository[?api=https://ghe.example/api/v3]`` names.

    Without ``api`` it is the server whose job this is (GITHUB_API_URL), else github.com. The job's
    own GITHUB_TOKEN goes to that server only. Raises ConfigurationError.
    """
    parts = split_store_url(url, options=_OPTIONS)
    if not _OWNER.fullmatch(parts.host) or not _REPOSITORY.fullmatch(parts.path):
        raise ConfigurationError(
            "the repository URL does not name a GitHub repository",
            hint="write github://owner/repository; add ?api=https://HOST/api/v3 for GitHub "
            "Enterprise Server.",
        )
    host_api = access.env.get("GITHUB_API_URL", "").strip().rstrip("/") or PUBLIC_API
    api = _checked_api(parts.options.get("api", host_api).rstrip("/"))
    is_job_host = origin(api) == origin(_checked_api(host_api))
    token = access.token or (access.env.get("GITHUB_TOKEN", "").strip() if is_job_host else "")
    return GitHubLocation(parts.host, parts.path, api, _web(api), token)


def _checked_api(api: str) -> str:
    try:
        scheme, host, _ = origin(api)
        parts = urlsplit(api)
        plain = not (parts.query or parts.fragment or "@" in parts.netloc) and api.isprintable()
        usable = plain and (scheme == "https" or is_this_machine(host))
    except ConfigurationError:
        usable = False
    if not usable:
        raise ConfigurationError(
            "the URL of GitHub's API is not a plain https:// URL",
            hint="correct ?api= in the repository URL, or GITHUB_API_URL: https://HOST/api/v3.",
        )
    return api


def _web(api: str) -> str:
    """Return where the pages are: ``api.github.com``, ``api.TENANT.ghe.com``, ``HOST/api/v3``."""
    parts = urlsplit(api)
    host = parts.netloc.removeprefix("api.") if not parts.path else parts.netloc
    return f"{parts.scheme}://{host}"
