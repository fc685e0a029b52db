"""One call that isn't worth waiting for: few quick attempts, a bounded answer, a clear refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ign_deploy.errors import NetworkError
from ign_deploy.net.errors import raise_for_transient
from ign_deploy.net.proxies import Proxies
from ign_deploy.net.response import read_body
from ign_deploy.net.retry import QUICK, Deadline, RetryPolicy, retrying
from ign_deploy.report import SilentReporter

if TYPE_CHECKING:
    from ign_deploy.net.session import Session

__all__ = ["POLICY", "Proxies", "call"]
POLICY = QUICK
_TIMEOUT = (5.0, 10.0)
_LONGEST = 4 << 20
"""Bytes of an answer that are read: a list of deployments with their payloads is far smaller."""
NO_HINTS: Mapping[int, str] = {}


def call(
    session: Session,
    method: str,
    url: str,
    *,
    host: str,
    body: bytes | None = None,
    headers: Callable[[], Mapping[str, str]] = dict,
    hints: Mapping[int, str] = NO_HINTS,
    policy: RetryPolicy = POLICY,
) -> bytes:
    """Make the call and return the answer's body; every attempt gets new ``headers``.

    ``hints`` say by status what to do about a refusal. Raises NetworkError, which names only
    ``host``, for every answer but 2xx.
    """
    deadline = Deadline(policy, url=url)

    def attempt() -> tuple[int, bytes]:
        response = session.request(
            method,
            url,
            data=body,
            headers={"Accept-Encoding": "identity", **headers()},
            timeout=_TIMEOUT,
            stream=True,
        )
        answer = read_body(response, limit=_LONGEST, deadline=deadline)
        text = answer[:4096].decode("utf-8", errors="replace")
        raise_for_transient(response, now=datetime.now(UTC), text=text)
        return response.status_code, answer

    status, answer = retrying(attempt, title=host, reporter=SilentReporter(), policy=policy)
    if 200 <= status < 300:
        return answer
    if 300 <= status < 400:
        raise NetworkError(
            f"{host} answered {status}: it is elsewhere", hint="give the URL it redirects to."
        )
    raise NetworkError(
        f"{host} answered {status}",
        hint=hints.get(status, "check the URL, and what the service expects."),
    )
