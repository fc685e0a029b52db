"""Small answers such as JSON documents: read whole, up to a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from ign_deploy.errors import RepositoryError
from ign_deploy.net.deadline import Deadline, policy_for
from ign_deploy.net.errors import host_of, raise_for_transient
from ign_deploy.net.redirects import follow
from ign_deploy.net.retry import RetryPolicy, retrying
from ign_deploy.net.streams import read_body, refuse_encoded
from ign_deploy.report import Reporter

if TYPE_CHECKING:
    from ign_deploy.net.session import Session

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SmallAnswer:
    """An answer whatever its status (404 too); ``headers`` are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read_small(
    session: Session,
    url: str,
    *,
    limit: int,
    title: str,
    reporter: Reporter,
    headers: Mapping[str, str] = _NO_HEADERS,
    policy: RetryPolicy | None = None,
    method: str = "GET",
    data: bytes = b"",
    cut: bool = False,
) -> SmallAnswer:
    """Ask for at most ``limit`` bytes, with a method that changes nothing; redirects are followed.

    ``data`` is for methods that ask with a body (PROPFIND). Raises RepositoryError when a
    successful answer is longer (with ``cut``, it is cut off) or compressed, NetworkError when
    there is none; a long error page is cut off.
    """
    rules = policy_for(limit, policy)
    deadline = Deadline(rules, url=url)

    def attempt() -> SmallAnswer:
        deadline.check()
        asked = {**headers, "Accept-Encoding": "identity"}
        response = follow(session, method, url, headers=asked, data=data or None)
        refuse_encoded(response, location="its answer")
        body = read_body(response, limit=limit + 1, deadline=deadline)
        text = body[:4096].decode("utf-8", errors="replace")
        raise_for_transient(response, now=datetime.now(UTC), text=text)
        if len(body) > limit and response.status_code < 300 and not cut:
            raise RepositoryError(
                f"the answer of {host_of(response.url)} has more than {limit} bytes",
                hint="check that the URL is the repository's.",
            )
        return SmallAnswer(response.status_code, response.headers, body[:limit])

    return retrying(attempt, title=title, reporter=reporter, policy=rules)
