"""GitHub's REST API: requests, the fields of its responses, and its errors explained."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ign_deploy.errors import RepositoryError
from ign_deploy.net.client import Client
from ign_deploy.net.credentials import HostAuth, origin, token_auth
from ign_deploy.net.response import Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.upload import UploadSource
from ign_deploy.report import Progress
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.github.location import GitHubLocation

RAW = {"Accept": "application/vnd.github.raw+json"}
BINARY = {"Accept": "application/octet-stream"}
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_MAX_LISTING = 64 << 20
_PAGE = 100
_MOST_PAGES = 1000

Entry = TypeVar("Entry")
UPLOADED = "uploaded"
MAX_RELEASE = 64 << 20
"""Bytes: a release may have a thousand files."""
PERMISSIONS = (
    "give the job `permissions: contents: write`, or the token read and write access to the "
    "repository's contents."
)
TOKEN = "set REPOSITORY_API_TOKEN to a valid token, or pass the job's GITHUB_TOKEN."  # noqa: S105
BRANCH = "ign-deploy"
"""Where all small files are."""
# Of rulesets, of classic branch protection, and of a branch that may not be created.
_RULE_TEXTS = (
    b"rule violation",
    b"protected branch",
    b"must be made through a pull request",
    b"reference update failed",
)
_LONGEST_REASON = 300


class GitHubApi(Client):
    """One repository in GitHub's API, with our token; paths are relative to it and ``encoded``.

    ``is_job_elsewhere``: this is a job of another repository, whose commits aren't in this one.
    """

    def __init__(
        self,
        location: GitHubLocation,
        *,
        access: Access,
        retry: RetryPolicy | None = None,
    ) -> None:
        super().__init__(
            access.open_session(_auth(location, location.api)),
            base=location.url,
            headers=_HEADERS,
            reporter=access.reporter,
            retry=retry,
            error=RepositoryError,
            error_for_response=github_error,
        )
        self.location = location
        own = access.env.get("GITHUB_REPOSITORY", "").lower()
        self.is_job_elsewhere = own not in {"", location.name.lower()}
        self._access = access
        self._lock = threading.Lock()
        self._uploads: dict[tuple[str, str, int], Client] = {}

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        return path if "://" in path else f"{self.base}/{path}".rstrip("/")

    def now(self) -> datetime:
        """See ``Client.now``; uploads show it, too, even after the machine was suspended."""
        with self._lock:
            uploads = [client.now() for client in self._uploads.values()]
        return max([super().now(), *uploads])

    def entries(self, path: str, kind: TypeAdapter[list[Entry]], *, title: str) -> Iterator[Entry]:
        """Yield the entries of a listing; none in a repository without a commit.

        Only whether there is a next page is taken from a response, never its address. Raises
        RepositoryError if it is rejected.
        """
        for number in range(1, _MOST_PAGES + 1):
            response = self.request(
                "GET", f"{path}?per_page={_PAGE}&page={number}", title=title, limit=_MAX_LISTING,
                expect={409},
            )  # fmt: skip
            if is_empty(response):
                return
            if not response.ok:
                raise github_error(response)
            yield from response.parse(kind)
            if 'rel="next"' not in response.headers.get("Link", ""):
                return
        raise RepositoryError(
            f"{title} failed: {self.location.name} has more than {_MOST_PAGES * _PAGE} entries",
            hint="use another repository for the modules.",
        )

    def upload_asset(
        self,
        url: str,
        *,
        source: UploadSource | bytes,
        title: str,
        progress: Progress,
        confirm: Callable[[], bool],
    ) -> Response:
        """Send a file or bytes to a URL for uploads that GitHub returned; the status may be 422.

        Raises RepositoryError when the token must not go there.
        """
        client = self._client_for_uploads(url)
        if isinstance(source, bytes):
            return client.request(
                "POST", url, title=title, body=source, confirm=confirm, expect={422},
                headers={"Content-Type": "application/octet-stream"},
            )  # fmt: skip
        return client.upload(
            "POST", url, source=source, title=title, progress=progress, confirm=confirm,
            expect={422},
        )  # fmt: skip

    def _client_for_uploads(self, url: str) -> Client:
        """Return the client for a URL's origin, the only one to get the token from it."""
        if not self.location.takes_uploads_at(url):
            raise RepositoryError(
                f"GitHub requires uploads to {origin(url)[1]}, which doesn't belong to its API at "
                f"{origin(self.location.api)[1]}",
                hint="check the URL of the API: the token isn't sent anywhere else.",
            )
        with self._lock:
            if (client := self._uploads.get(origin(url))) is None:
                client = self._uploads[origin(url)] = Client(
                    self._access.open_session(_auth(self.location, url)),
                    headers=_HEADERS,
                    reporter=self.reporter,
                    retry=self.retry,
                    error=RepositoryError,
                    error_for_response=github_error,
                )
        return client


def _auth(location: GitHubLocation, url: str) -> HostAuth | None:
    return token_auth(location.token, url=url) if location.token else None


def encoded(text: str, *, safe: str = "") -> str:
    """Return a text as part of a path."""
    return quote(text, safe=safe)


_Id = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Asset(_Part):
    """A file of a release; ``state`` is ``uploaded``, else it isn't whole (``starter``).

    ``digest`` is ``sha256:…``; older servers don't state it.
    """

    id: _Id
    name: str
    state: str
    size: int
    digest: str | None = None

    def holds(self, *, size: int, sha256: str) -> bool:
        """Return whether it is whole, and what a record says, as far as the server states it."""
        same = self.digest in {None, f"sha256:{sha256}"}
        return self.state == UPLOADED and self.size == size and same


class GitHubRelease(_Part):
    """A release, a draft or published."""

    id: _Id
    draft: bool
    tag_name: str
    upload_url: str
    body: str | None = None
    immutable: bool = False
    assets: tuple[Asset, ...] = Field(default=(), strict=False)


class GitHubRepository(_Part):
    """A repository."""

    full_name: str
    archived: bool = False


class GitRef(_Part):
    """A Git reference, such as ``refs/tags/v1``."""

    ref: str


class GitObject(_Part):
    """Any Git object that was made."""

    sha: str


class TreeEntry(_Part):
    """What is in a folder; ``type`` is ``file``, ``dir``, … (in a tree ``blob``, ``tree``)."""

    name: str = ""
    path: str
    type: str
    sha: str


class GitTree(_Part):
    """A folder as Git keeps it; the server may leave some of it out (``truncated``)."""

    tree: tuple[TreeEntry, ...] = Field(strict=False)
    truncated: bool = False


RELEASE = TypeAdapter(GitHubRelease)
RELEASES = TypeAdapter(list[GitHubRelease])
ASSET = TypeAdapter(Asset)
ASSETS = TypeAdapter(list[Asset])
REPOSITORY = TypeAdapter(GitHubRepository)
REFS = TypeAdapter(list[GitRef])
SHA = TypeAdapter(GitObject)
ENTRIES = TypeAdapter(list[TreeEntry])
TREE = TypeAdapter(GitTree)


def github_error(response: Response) -> RepositoryError:
    """Return the error for a response that isn't a success."""
    reason = github_reason(response)
    status = response.status
    message = f"{response.title} failed: GitHub returned {status}" + (
        f": {reason}" if reason else ""
    )
    if status == 401:
        return RepositoryError(f"{message}; the token is wrong or expired", hint=TOKEN)
    if is_rule(response):
        return _rule_error(response, message)
    if status in {403, 404}:
        return RepositoryError(f"{message}; the token may lack a permission", hint=PERMISSIONS)
    return RepositoryError(message, hint="see GitHub's reason above, and its status page.")


def is_rule(response: Response) -> bool:
    """Return whether a rejection is due to the repository's own rules (rulesets, protection)."""
    body = response.body.lower()
    return not response.ok and any(words in body for words in _RULE_TEXTS)


def _rule_error(response: Response, message: str) -> RepositoryError:
    """Return the error for a rule; releases make tags, everything else is on our branch."""
    settings = "in the repository's Settings, under Rules and under Branches"
    if "/releases" in response.url:
        return RepositoryError(
            f"{message}; a rule of the repository protects the tags modl/**",
            hint=f"{settings}, exempt the tags modl/** from the rules, or put the publishing "
            "account on their bypass list.",
        )
    return RepositoryError(
        f"{message}; a rule of the repository protects the branch {BRANCH}",
        hint=f"{settings}, allow the publishing account to create the branch {BRANCH} and to push "
        "to it without a pull request: exempt the branch, or put the account on the bypass list.",
    )


def is_empty(response: Response) -> bool:
    """Return whether a rejection is due to the repository having no commit yet."""
    return response.status == 409 and "repository is empty" in github_reason(response).lower()


def empty_repository(name: str) -> RepositoryError:
    """Return the error for a repository without a commit: a release needs one to be tagged."""
    return RepositoryError(
        f"{name} on GitHub has no commit yet, so it can't have releases",
        hint="push a first commit (such as a README), then run again.",
    )


def github_reason(response: Response) -> str:
    """Return GitHub's own explanation as one printable line; empty without one."""
    fields = response.fields()
    errors = fields.get("errors")
    parts = [fields.get("message")]
    for each in errors[:5] if isinstance(errors, list) else ():
        if isinstance(each, dict):
            parts += [each.get("message") or f"{each.get('field')} {each.get('code')}"]
    text = "; ".join(part for part in parts if isinstance(part, str))
    line = "".join(char if char.isprintable() else " " for char in text)
    return line[:_LONGEST_REASON].strip()


def blob_hash(data: bytes) -> str:
    """Return the hash that Git gives a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
