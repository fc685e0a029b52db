"""The one request stack: every request to a repository, a gateway or a service is made here."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Callable, Container, Mapping, Sized
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self
from urllib.parse import urlsplit

from ign_deploy.errors import IgnDeployError, NetworkError
from ign_deploy.net.credentials import HostAuth, NoAuth
from ign_deploy.net.errors import (
    RateLimited,
    TransientFailure,
    TransientResponse,
    parse_date,
    raise_for_transient,
)
from ign_deploy.net.proxies import Proxies
from ign_deploy.net.response import (
    NO_HEADERS,
    NO_HINTS,
    Response,
    error_for_response,
    read_body,
    require_plain,
)
from ign_deploy.net.retry import QUICK, Deadline, RetryPolicy, retrying
from ign_deploy.net.session import open_http_session, redirect_target
from ign_deploy.report import Progress, Reporter, SilentReporter

if TYPE_CHECKING:
    from ign_deploy.net.download import RecordedFile
    from ign_deploy.net.session import HttpSession
    from ign_deploy.net.upload import UploadSource

MAX_BODY = 1 << 20
"""Bytes of a response that are read unless the request says otherwise."""
_SAFE = frozenset({"GET", "HEAD", "PROPFIND"})
_SERVICE_TIMEOUT = (5.0, 10.0)


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """How to reach services that a run reports to: quickly, since its end waits for them."""

    ca: Path | None = None
    proxies: Proxies | None = field(default=None, repr=False)
    retry: RetryPolicy = QUICK

    def client(
        self,
        *,
        base: str = "",
        auth: HostAuth | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        hints: Mapping[int, str] = NO_HINTS,
    ) -> Client:
        """Return a client for one service; a redirect is an error, so nothing goes elsewhere."""
        return Client(
            open_http_session(ca=self.ca, proxies=self.proxies, auth=auth),
            base=base,
            headers=headers,
            retry=self.retry,
            timeout=_SERVICE_TIMEOUT,
            redirects=False,
            error_for_response=partial(error_for_response, hints=hints),
        )


DEFAULT_SERVICE = ServiceOptions()


class Client:
    """Requests to one server; several threads may share it.

    Paths are relative to ``base``; a whole URL is used as it is. ``headers`` go with every
    request. ``error`` is raised for a response that can't be used, and ``error_for_response``
    makes the error for one that isn't a success. Safe methods follow redirects unless
    ``redirects`` is False; nothing that was sent is ever redirected. ``timeout`` is for connecting
    and for silence, in seconds; ``retry`` is for all requests, None for a policy by size.
    """

    def __init__(
        self,
        session: HttpSession,
        *,
        base: str = "",
        headers: Mapping[str, str] = NO_HEADERS,
        reporter: Reporter | None = None,
        retry: RetryPolicy | None = None,
        timeout: tuple[float, float] | None = None,
        redirects: bool = True,
        error: type[IgnDeployError] = NetworkError,
        error_for_response: Callable[[Response], IgnDeployError] = error_for_response,
    ) -> None:
        self.session = session
        self.base = base
        self.reporter: Reporter = reporter or SilentReporter()
        self.retry = retry
        self.error = error
        self.error_for_response = error_for_response
        self._headers = headers
        self._timeout = timeout
        self._redirects = redirects
        self._time: tuple[datetime, float] | None = None

    def request(
        self,
        method: str,
        path: str = "",
        *,
        title: str,
        body: bytes = b"",
        json: object = None,
        headers: Mapping[str, str] = NO_HEADERS,
        limit: int = MAX_BODY,
        truncate: bool = False,
        expect: Container[int] = (),
        confirm: Callable[[], bool] | None = None,
        retry: RetryPolicy | None = None,
    ) -> Response:
        """Make a request, again while that may help; return a success, or a status in ``expect``.

        ``title`` says what is done (``reading x``). At most ``limit`` bytes of the response are
        read: a longer one is an error unless ``truncate``, or unless the method changes something.
        After each failed attempt ``confirm`` says whether the server did it nevertheless (an
        acknowledgement that got lost); errors of it are raised. Raises ``error`` or what
        ``error_for_response`` returns, and NetworkError when there is no response.
        """
        if json is not None:
            body = json_format.dumps(json).encode()
            headers = {"Content-Type": "application/json", **headers}
        rules = retry or self.retry or RetryPolicy.for_size(max(limit, len(body)))
        deadline = Deadline(rules, url=self.url(path))

        def attempt() -> Response:
            return self.attempt(
                method, path, title=title, body=body, headers=headers, limit=limit,
                truncate=truncate, deadline=deadline,
            )  # fmt: skip

        return self.repeat(attempt, title=title, expect=expect, confirm=confirm, retry=rules)

    def upload(
        self,
        method: str,
        path: str,
        *,
        source: UploadSource,
        title: str,
        progress: Progress,
        headers: Mapping[str, str] = NO_HEADERS,
        expect: Container[int] = (),
        confirm: Callable[[], bool] | None = None,
        retry: RetryPolicy | None = None,
    ) -> Response:
        """Send a file in constant memory, from its start at each attempt.

        The last piece leaves only when size and digest are right, so a server never gets a whole
        file that isn't ``source``. The rest is as for ``request``; also raises ``error`` for a file
        that changed or can't be read.
        """
        from ign_deploy.net.upload import send_file

        rules = retry or self.retry or RetryPolicy.for_size(source.size)
        deadline = Deadline(rules, url=self.url(path))
        headers = {"Content-Type": "application/octet-stream", **headers}

        def send(body: Any) -> Response:
            return self.attempt(
                method, path, title=title, body=body, headers=headers, deadline=deadline
            )

        def attempt() -> Response:
            return send_file(
                send, source=source, progress=progress, deadline=deadline, error=self.error
            )

        response = self.repeat(attempt, title=title, expect=expect, confirm=confirm, retry=rules)
        if response.confirmed:
            progress(source.size)
        return response

    def download(
        self,
        path: str,
        file: RecordedFile,
        *,
        to: BinaryIO,
        progress: Progress,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        """Copy a file, compared with its record; see ``net.download.receive``."""
        from ign_deploy.net.download import receive

        receive(
            self.session, self.url(path), file, to=to, reporter=self.reporter, progress=progress,
            headers={**self._headers, **headers}, policy=self.retry, error=self.error,
            error_for_response=self.error_for_response,
        )  # fmt: skip

    def repeat(
        self,
        attempt: Callable[[], Response],
        *,
        title: str,
        expect: Container[int] = (),
        confirm: Callable[[], bool] | None = None,
        retry: RetryPolicy | None = None,
    ) -> Response:
        """Make attempts while that may help, then judge the response; see ``request``."""

        def confirmed_attempt() -> Response:
            try:
                return attempt()
            except RateLimited:
                raise  # nothing was done, and to ask about it would count too
            except (TransientResponse, TransientFailure):
                if confirm is not None and confirm():
                    return Response(0, confirmed=True, title=title, error=self.error)
                raise

        def repeated() -> Response:
            return retrying(
                confirmed_attempt, title=title, reporter=self.reporter, policy=retry or self.retry
            )

        response = self._authorized(repeated)
        if response.ok or response.status in expect:
            return response
        raise self.error_for_response(response)

    def attempt(
        self,
        method: str,
        path: str = "",
        *,
        title: str,
        body: Sized = b"",
        headers: Mapping[str, str] = NO_HEADERS,
        limit: int = MAX_BODY,
        truncate: bool = False,
        anonymous: bool = False,
        timeout: tuple[float, float] | None = None,
        deadline: Deadline | None = None,
    ) -> Response:
        """Make one attempt; return its response whatever its status, unless it is transient.

        ``anonymous`` sends no credentials. Raises ``error`` for a response that can't be used,
        TransientResponse, TransientFailure, or NetworkError for what won't pass.
        """
        url = self.url(path)
        deadline = deadline or Deadline(RetryPolicy.for_size(max(limit, len(body))), url=url)
        deadline.check()
        options: dict[str, Any] = {
            "headers": {"Accept-Encoding": "identity", **self._headers, **headers},
            "data": body or None,
        }
        if anonymous:
            options["auth"] = NoAuth()
        is_safe = method in _SAFE
        if timeout or self._timeout:
            options["timeout"] = timeout or self._timeout
        elif body and not is_safe:
            # While a body is sent, the time-out for connecting is in force, not that for reading.
            options["timeout"] = (self.session.stall, self.session.stall)
        if is_safe and self._redirects:
            raw = self.session.follow(method, url, deadline=deadline, **options)
        else:
            raw = self.session.request(method, url, **options)
        require_plain(raw, title=title, error=self.error)
        content = read_body(raw, limit=limit + 1, deadline=deadline)
        beginning = content[:4096].decode("utf-8", errors="replace")
        raise_for_transient(raw, now=datetime.now(UTC), text=beginning)
        self._note_time(raw.headers)
        response = Response(
            raw.status_code, raw.headers, content[:limit], url=raw.url, method=method,
            title=title, error=self.error,
        )  # fmt: skip
        if (target := redirect_target(raw)) is not None:
            raise _redirected(response, target)
        if len(content) > limit and response.ok and is_safe and not truncate:
            raise response.failure(
                f"{response.host} sent more than {limit} bytes", hint="check the URL."
            )
        return response

    def url(self, path: str) -> str:
        """Return the URL of a path, without credentials."""
        return path if "://" in path else self.base + path

    def now(self) -> datetime:
        """Return the server's time: that of its last response, and what has passed since."""
        if self._time is None:
            return datetime.now(UTC)
        stated, at = self._time
        return stated + timedelta(seconds=time.monotonic() - at)

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _authorized(self, action: Callable[[], Response]) -> Response:
        """Make a request; a subclass may log in for it."""
        return action()

    def _note_time(self, headers: Mapping[str, str]) -> None:
        if (stated := parse_date(headers.get("Date", ""))) is not None:
            self._time = (stated.astimezone(UTC), time.monotonic())


def _redirected(response: Response, target: str) -> IgnDeployError:
    """Return the error for a redirect that isn't followed; its path and query may be secret."""
    scheme, netloc = urlsplit(target)[:2]
    there = f"{scheme}://{netloc.rpartition('@')[2]}"
    return response.failure(
        f"{response.host} redirects to {there}, which isn't followed",
        hint=f"set the URL to {there} if it may receive what is sent, credentials included.",
    )
