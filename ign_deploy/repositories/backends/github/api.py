"""Requests to GitHub's REST API: with its version, our token, and listings page by page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter

from ign_deploy.errors import RepositoryError
from ign_deploy.net.client import Client
from ign_deploy.net.credentials import HostAuth, origin, token_auth
from ign_deploy.net.response import Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.upload import Source
from ign_deploy.report import Progress
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.github.errors import error_for_response, is_empty
from ign_deploy.repositories.backends.github.location import Location

RAW = {"Accept": "application/vnd.github.raw+json"}
BINARY = {"Accept": "application/octet-stream"}
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_MAX_LISTING = 64 << 20
_PAGE = 100
_MOST_PAGES = 1000

Entry = TypeVar("Entry")


class GitHubApi(Client):
    """One repository in GitHub's API; paths are relative to it and ``encoded``."""

    def __init__(
        self,
        location: Location,
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
            error_for_response=error_for_response,
        )
        self.location = location
        self._access = access
        self._lock = threading.Lock()
        self._uploads: dict[tuple[str, str, int], Client] = {}

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        return path if "://" in path else f"{self.base}/{path}".rstrip("/")

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
                raise error_for_response(response)
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
        source: Source | bytes,
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
                    error_for_response=error_for_response,
                )
        return client


def _auth(location: Location, url: str) -> HostAuth | None:
    return token_auth(location.token, url=url) if location.token else None


def encoded(text: str, *, safe: str = "") -> str:
    """Return a text as part of a path."""
    return quote(text, safe=safe)
