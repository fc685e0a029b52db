"""Requests to a registry: its challenges answered, its refusals explained, its time kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from types import MappingProxyType
from typing import BinaryIO, TypeVar
from urllib.parse import urljoin, urlsplit

from ign_deploy.errors import ConfigurationError, RepositoryError
from ign_deploy.net.credentials import is_this_machine, origin
from ign_deploy.net.download import receive
from ign_deploy.net.fetching import SmallAnswer, read_small
from ign_deploy.net.proxies import proxies_from
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.sending import Sent, Source, send_bytes, send_file
from ign_deploy.net.session import open_session
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.oci.address import Location
from ign_deploy.repositories.backends.oci.credentials import login_for
from ign_deploy.repositories.backends.oci.errors import refusal
from ign_deploy.repositories.backends.oci.tokens import Authorization
from ign_deploy.repositories.record import ReleaseFile

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
Answered = TypeVar("Answered", SmallAnswer, Sent)


class Client:
    """One repository of a registry; refusals (4xx) are returned, for the caller to judge."""

    def __init__(
        self,
        location: Location,
        *,
        access: Access,
        reporter: Reporter,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.location = location
        self.reporter = reporter
        self._policy = policy
        self._time: tuple[datetime, float] | None = None
        self._authorization = Authorization(
            location, login=login_for(location, access), access=access, reporter=reporter
        )
        self._session = open_session(
            ca=access.ca, proxies=partial(proxies_from, access.env), auth=self._authorization.auth
        )

    def ask(
        self,
        method: str,
        url: str,
        *,
        limit: int,
        doing: str,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> SmallAnswer:
        """Ask with a method that changes nothing; redirects are followed without credentials."""
        return self._authorized(
            lambda: read_small(
                self._session,
                url,
                limit=limit,
                title=doing,
                reporter=self.reporter,
                headers=headers,
                policy=self._policy,
                method=method,
            )
        )

    def change(
        self,
        method: str,
        url: str,
        *,
        doing: str,
        data: bytes = b"",
        headers: Mapping[str, str] = _NO_HEADERS,
        policy: RetryPolicy | None = None,
    ) -> Sent:
        """Send a small body, or none, with a method that may be repeated."""
        return self._authorized(
            lambda: send_bytes(
                self._session,
                method,
                url,
                data=data,
                title=doing,
                reporter=self.reporter,
                headers=headers,
                policy=policy or self._policy,
            )
        )

    def upload(
        self, url: str, source: Source, *, doing: str, progress: Progress, policy: RetryPolicy
    ) -> Sent:
        """Send a file; see ``net.upload``."""
        return self._authorized(
            lambda: send_file(
                self._session,
                "PUT",
                url,
                source=source,
                title=doing,
                reporter=self.reporter,
                progress=progress,
                headers={"Content-Type": "application/octet-stream"},
                policy=policy,
            )
        )

    def download(
        self, url: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        """Copy a blob, compared with its record; where it is redirected to gets no credentials."""
        self._authorization.keep_fresh()
        receive(
            self._session,
            url,
            expected,
            to=to,
            reporter=self.reporter,
            progress=progress,
            policy=self._policy,
            error=RepositoryError,
        )

    def refused(self, answer: SmallAnswer | Sent, *, doing: str) -> RepositoryError:
        """Return the error for a refusal."""
        return refusal(
            answer.status,
            answer.body,
            doing=doing,
            location=self.location,
            known=self._authorization.known,
        )

    def now(self) -> datetime:
        """Return the registry's time: that of its last answer, and what has passed since."""
        if self._time is None:
            return datetime.now(UTC)
        reported, at = self._time
        return reported + timedelta(seconds=time.monotonic() - at)

    def _authorized(self, action: Callable[[], Answered]) -> Answered:
        self._authorization.keep_fresh()
        state = self._authorization.state
        answer = action()
        if answer.status == 401 and self._authorization.answer(answer.headers, state=state):
            answer = action()
        self._keep_time(answer.headers)
        return answer

    def _keep_time(self, headers: Mapping[str, str]) -> None:
        with suppress(ValueError, TypeError, IndexError, OverflowError):
            reported = parsedate_to_datetime(headers.get("Date", ""))
            if reported.tzinfo is not None:
                self._time = (reported.astimezone(UTC), time.monotonic())


def upload_address(header: str, *, base: str, location: Location) -> str:
    """Return where an upload goes on: a foreign ``Location``, relative or on another host.

    Raises RepositoryError for a place that is less safe than the registry.
    """
    try:
        target = urljoin(base, header.strip())
        scheme, host, _ = origin(target)
        has_login = "@" in urlsplit(target).netloc
    except (ValueError, ConfigurationError):
        raise _unusable(location, "nowhere that can be reached") from None
    old, registry, _ = origin(base)
    if has_login or not header.strip() or not target.isprintable():
        raise _unusable(location, "nowhere that can be reached")
    if (old, scheme) == ("https", "http") and not is_this_machine(registry):
        raise _unusable(location, f"http://{host}, where anyone on the way can change it")
    return target


def _unusable(location: Location, where: str) -> RepositoryError:
    return RepositoryError(
        f"{location.host} sends uploads to {where}",
        hint="tell the registry that it is reached over https: let the proxy before it set "
        "X-Forwarded-Proto, or set the registry's own address.",
    )
