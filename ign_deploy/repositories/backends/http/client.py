"""Requests to a web server: one session for several threads, our credentials, the server's time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from ign_deploy.errors import RepositoryError
from ign_deploy.net.download import receive
from ign_deploy.net.fetching import SmallAnswer, read_small
from ign_deploy.net.proxies import proxies_from
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.sending import Sent, Source, send_bytes, send_file
from ign_deploy.net.session import open_session
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.http.location import Location
from ign_deploy.repositories.record import ReleaseFile

MAX_LISTING = 32 << 20
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
# A cache on the way must not tell how it was before another job's write.
_FRESH = MappingProxyType({"Cache-Control": "no-cache"})


class Client:
    """One server; refusals (4xx) are returned, for the caller to judge.

    ``patience`` is how others are waited for; ``policy`` is for all requests, None for the usual
    one.
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
        self.patience = access.patience
        self._policy = policy
        self._reporter = reporter
        self._time: tuple[datetime, float] | None = None
        self._session = open_session(
            ca=access.ca, proxies=partial(proxies_from, access.env), auth=location.auth
        )

    def ask(
        self,
        method: str,
        url: str,
        *,
        limit: int = MAX_LISTING,
        headers: Mapping[str, str] = _NO_HEADERS,
        data: bytes = b"",
        cut: bool = False,
    ) -> SmallAnswer:
        """Ask with a method that changes nothing; redirects are followed.

        What is longer than ``limit`` is refused, or with ``cut`` cut off.
        """
        answer = read_small(
            self._session,
            url,
            limit=limit,
            title="asking the repository",
            reporter=self._reporter,
            headers={**_FRESH, **headers},
            policy=self._policy,
            method=method,
            data=data,
            cut=cut,
        )
        self._keep_time(answer.headers)
        return answer

    def change(
        self,
        method: str,
        url: str,
        *,
        data: bytes = b"",
        headers: Mapping[str, str] = _NO_HEADERS,
        settle: Callable[[], bool] | None = None,
    ) -> Sent:
        """Send a small body, or none, with a method that may be repeated."""
        sent = send_bytes(
            self._session,
            method,
            url,
            data=data,
            title="writing to the repository",
            reporter=self._reporter,
            headers=headers,
            policy=self._policy,
            settle=settle,
        )
        self._keep_time(sent.headers)
        return sent

    def upload(
        self,
        url: str,
        source: Path,
        *,
        expected: ReleaseFile,
        progress: Progress,
        headers: Mapping[str, str] = _NO_HEADERS,
        settle: Callable[[], bool],
    ) -> Sent:
        """Send a file with PUT; see ``net.upload``."""
        sent = send_file(
            self._session,
            "PUT",
            url,
            source=Source(source, expected.size, expected.sha256),
            title=f"uploading {expected.name}",
            reporter=self._reporter,
            progress=progress,
            headers={"Content-Type": "application/octet-stream", **headers},
            policy=self._policy,
            settle=settle,
        )
        self._keep_time(sent.headers)
        return sent

    def download(
        self, url: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        """Copy a file, compared with its record; see ``net.download``."""
        receive(
            self._session,
            url,
            to=to,
            size=expected.size,
            sha256=expected.sha256,
            name=expected.name,
            reporter=self._reporter,
            progress=progress,
            policy=self._policy,
            error=RepositoryError,
        )

    def now(self) -> datetime:
        """Return the server's time: that of its last answer, and what has passed since."""
        if self._time is None:
            return datetime.now(UTC)
        reported, at = self._time
        return reported + timedelta(seconds=time.monotonic() - at)

    def _keep_time(self, headers: Mapping[str, str]) -> None:
        with suppress(ValueError, TypeError, IndexError, OverflowError):
            reported = parsedate_to_datetime(headers.get("Date", ""))
            if reported.tzinfo is not None:
                self._time = (reported.astimezone(UTC), time.monotonic())
