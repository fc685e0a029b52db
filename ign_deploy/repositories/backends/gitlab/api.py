"""Requests to one project of GitLab's REST API, and the judging of their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlencode

from pydantic import TypeAdapter

from ign_deploy.errors import RepositoryError
from ign_deploy.net.download import receive
from ign_deploy.net.fetching import SmallAnswer, read_small
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.sending import Sent, Source, send_bytes, send_file
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories.backends.gitlab.errors import Caller, is_unknown_project, refusal
from ign_deploy.repositories.backends.gitlab.schema import Answer, parse
from ign_deploy.repositories.record import ReleaseFile

if TYPE_CHECKING:
    from pathlib import Path

    from ign_deploy.net.session import Session

_PAGE = 100
_MAX_PAGES = 2000
_MAX_ANSWER = 16 << 20
_UPLOAD = {"Content-Type": "application/octet-stream"}
_SELECT = "?select=package_file"


class GitLabApi:
    """One project; every path is relative to it, and begins with a slash."""

    def __init__(
        self,
        session: Session,
        caller: Caller,
        *,
        reporter: Reporter,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.caller = caller
        self._session = session
        self._reporter = reporter
        self._policy = policy
        self._date = ""

    def now(self) -> datetime:
        """Return GitLab's time as of its last answer; ours before any."""
        try:
            moment = parsedate_to_datetime(self._date)
        except (ValueError, TypeError, IndexError, OverflowError):
            return datetime.now(UTC)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    def find(
        self, path: str, *, limit: int, title: str, query: Mapping[str, str | int] | None = None
    ) -> SmallAnswer | None:
        """Return a successful answer of at most ``limit`` bytes, None if what it is of isn't there.

        Raises RepositoryError for a refusal, also when it is the project that isn't found.
        """
        asked = f"?{urlencode(query)}" if query else ""
        answer = read_small(
            self._session,
            f"{self.caller.project.url}{path}{asked}",
            limit=limit,
            title=title,
            reporter=self._reporter,
            policy=self._policy,
        )
        self._note(answer.headers)
        if answer.status == 404 and not is_unknown_project(404, answer.body):
            return None
        if answer.status != 200:
            raise self.refused(answer.status, answer.body, title=title)
        return answer

    def entries(
        self,
        path: str,
        adapter: TypeAdapter[list[Answer]],
        *,
        title: str,
        query: Mapping[str, str | int],
    ) -> list[Answer] | None:
        """Return all entries of a paged list; None when what it is of isn't there."""
        found: list[Answer] = []
        number = 1
        for _ in range(_MAX_PAGES):
            asked = {**query, "per_page": _PAGE, "page": number}
            answer = self.find(path, limit=_MAX_ANSWER, title=title, query=asked)
            if answer is None:
                return None
            part = parse(adapter, answer.body, title=title)
            found += part
            following = answer.headers.get("X-Next-Page")
            # A proxy may drop the header: then a full page means that there may be another.
            more = following.strip() != "" if following is not None else len(part) == _PAGE
            if not more:
                return found
            number += 1
        raise RepositoryError(
            f"{title}: the list has more than {_MAX_PAGES * _PAGE} entries",
            hint="use a project that holds nothing but modules.",
        )

    def upload(
        self, path: str, data: bytes, *, title: str, settle: Callable[[], bool] | None = None
    ) -> Sent:
        """Upload a small file; the answer may be a refusal. See ``send_bytes`` for ``settle``."""
        return self._noted(
            send_bytes(
                self._session,
                "PUT",
                f"{self.caller.project.url}{path}{_SELECT}",
                data=data,
                title=title,
                reporter=self._reporter,
                headers=_UPLOAD,
                policy=self._policy,
                settle=settle,
            )
        )

    def upload_file(
        self,
        path: str,
        source: Path,
        *,
        expected: ReleaseFile,
        title: str,
        progress: Progress,
        settle: Callable[[], bool],
    ) -> Sent:
        """Upload a file, compared with its record while it is sent."""
        return self._noted(
            send_file(
                self._session,
                "PUT",
                f"{self.caller.project.url}{path}{_SELECT}",
                source=Source(source, expected.size, expected.sha256),
                title=title,
                reporter=self._reporter,
                progress=progress,
                headers=_UPLOAD,
                policy=self._policy,
                settle=settle,
            )
        )

    def download(
        self, path: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        """Download a file, compared with its record; where it is redirected to gets no token."""
        receive(
            self._session,
            f"{self.caller.project.url}{path}",
            to=to,
            size=expected.size,
            sha256=expected.sha256,
            name=expected.name,
            reporter=self._reporter,
            progress=progress,
            policy=self._policy,
            error=RepositoryError,
        )

    def delete(self, path: str, *, title: str) -> None:
        """Delete; what is gone already is no error. Raises RepositoryError if it isn't allowed."""
        sent = self._noted(
            send_bytes(
                self._session,
                "DELETE",
                f"{self.caller.project.url}{path}",
                data=b"",
                title=title,
                reporter=self._reporter,
                policy=self._policy,
            )
        )
        gone = sent.status == 404 and not is_unknown_project(404, sent.body)
        if not sent.accepted and not gone:
            raise self.refused(sent.status, sent.body, title=title)

    def refused(self, status: int, body: bytes, *, title: str) -> RepositoryError:
        """Return the error for a refusal."""
        return refusal(status, body, title=title, caller=self.caller)

    def _noted(self, sent: Sent) -> Sent:
        self._note(sent.headers)
        return sent

    def _note(self, headers: Mapping[str, str]) -> None:
        self._date = headers.get("Date", self._date)
