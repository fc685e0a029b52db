"""Requests to GitHub's REST API: with its version, our token, and the server's own time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import BinaryIO
from urllib.parse import quote

from ign_deploy.errors import RepositoryError
from ign_deploy.net.credentials import origin, token_auth
from ign_deploy.net.download import receive
from ign_deploy.net.fetching import SmallAnswer, read_small
from ign_deploy.net.proxies import proxies_from
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.sending import Sent, Source, send_bytes, send_file
from ign_deploy.net.session import Session, open_session
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.github.location import Location
from ign_deploy.repositories.backends.github.schema import is_empty, refusal
from ign_deploy.repositories.record import ReleaseFile

VERSION = "2022-11-28"
JSON = "application/vnd.github+json"
RAW = "application/vnd.github.raw+json"
BINARY = "application/octet-stream"
MAX_ANSWER = 64 << 20
_PAGE = 100
_MOST_PAGES = 1000


class Api:
    """One repository in GitHub's API; several threads may share it.

    Paths are relative to the repository and quoted already (``quoted``). ``policy`` is for all
    requests, None for the usual one. Refusals (4xx) are returned, for the caller to judge.
    """

    def __init__(
        self,
        location: Location,
        *,
        access: Access,
        reporter: Reporter,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.location = location
        self.policy = policy
        self._access = access
        self._reporter = reporter
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, str, int], Session] = {}
        self._time: tuple[datetime, float] | None = None

    def get(self, path: str, *, accept: str = JSON, limit: int = MAX_ANSWER) -> SmallAnswer:
        """Ask for a small answer, whatever its status; redirects are followed."""
        answer = read_small(
            self._session(self.location.api),
            self._url(path),
            limit=limit,
            title=f"asking {self.location.name} on GitHub",
            reporter=self._reporter,
            headers={"Accept": accept},
            policy=self.policy,
        )
        self._keep_time(answer.headers)
        return answer

    def pages(self, path: str) -> Iterator[bytes]:
        """Yield the pages of a listing; none in a repository without a commit.

        Only whether there is a next page is taken from the answer, never its address. Raises
        RepositoryError for a refusal.
        """
        for number in range(1, _MOST_PAGES + 1):
            answer = self.get(f"{path}?per_page={_PAGE}&page={number}")
            if is_empty(answer.status, answer.body):
                return
            if answer.status != 200:
                raise refusal(answer.status, answer.body, doing=f"listing {path}")
            yield answer.body
            if 'rel="next"' not in answer.headers.get("Link", ""):
                return
        raise RepositoryError(
            f"{self.location.name} has more than {_MOST_PAGES * _PAGE} {path}",
            hint="use another repository for the modules.",
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        document: object = None,
        title: str,
        settle: Callable[[], bool] | None = None,
    ) -> Sent:
        """Send a JSON document, or none; ``settle`` is as in ``net.upload``."""
        data = b"" if document is None else json.dumps(document).encode()
        sent = send_bytes(
            self._session(self.location.api),
            method,
            self._url(path),
            data=data,
            title=title,
            reporter=self._reporter,
            headers={"Accept": JSON, "Content-Type": "application/json"},
            policy=self.policy,
            settle=settle,
        )
        self._keep_time(sent.headers)
        return sent

    def upload(
        self,
        url: str,
        *,
        source: Source | bytes,
        title: str,
        progress: Progress,
        settle: Callable[[], bool],
    ) -> Sent:
        """Send a file or bytes to an address for uploads, which GitHub gave.

        Raises RepositoryError when the token must not go there.
        """
        if not self.location.takes_uploads_at(url):
            raise RepositoryError(
                f"GitHub wants uploads at {origin(url)[1]}, which doesn't belong to its API at "
                f"{origin(self.location.api)[1]}",
                hint="check the address of the API: the token isn't sent anywhere else.",
            )
        session = self._session(url)
        headers = {"Accept": JSON, "Content-Type": BINARY}
        if isinstance(source, bytes):
            sent = send_bytes(
                session, "POST", url, data=source, title=title, reporter=self._reporter,
                headers=headers, policy=self.policy, settle=settle,
            )  # fmt: skip
        else:
            sent = send_file(
                session, "POST", url, source=source, title=title, reporter=self._reporter,
                progress=progress, headers=headers, policy=self.policy, settle=settle,
            )  # fmt: skip
        self._keep_time(sent.headers)
        return sent

    def download(self, path: str, *, to: BinaryIO, file: ReleaseFile, progress: Progress) -> None:
        """Copy an asset, compared with its record; see ``net.download``."""
        receive(
            self._session(self.location.api),
            self._url(path),
            to=to,
            size=file.size,
            sha256=file.sha256,
            name=file.name,
            reporter=self._reporter,
            progress=progress,
            headers={"Accept": BINARY},
            policy=self.policy,
            error=RepositoryError,
        )

    def now(self) -> datetime:
        """Return GitHub's time: that of its last answer, and what has passed since."""
        if self._time is None:
            return datetime.now(UTC)
        reported, at = self._time
        return reported + timedelta(seconds=time.monotonic() - at)

    def _url(self, path: str) -> str:
        return f"{self.location.url}/{path}" if path else self.location.url

    def _session(self, url: str) -> Session:
        """Return the session for a URL's origin, the only one to get the token from it."""
        with self._lock:
            if (session := self._sessions.get(origin(url))) is None:
                token = self.location.token
                session = self._sessions[origin(url)] = open_session(
                    ca=self._access.ca,
                    proxies=partial(proxies_from, self._access.env),
                    auth=token_auth(token, url=url) if token else None,
                    headers={"X-GitHub-Api-Version": VERSION},
                )
        return session

    def _keep_time(self, headers: Mapping[str, str]) -> None:
        with suppress(ValueError, TypeError, IndexError, OverflowError):
            reported = parsedate_to_datetime(headers.get("Date", ""))
            if reported.tzinfo is not None:
                self._time = (reported.astimezone(UTC), time.monotonic())


def quoted(text: str, *, safe: str = "") -> str:
    """Return a text as part of a path."""
    return quote(text, safe=safe)
