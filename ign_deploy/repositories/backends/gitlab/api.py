"""Requests to one project of GitLab's REST API, and its lists page by page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import TypeAdapter

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.net.client import MAX_BODY, Client
from ign_deploy.net.response import Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.session import Session
from ign_deploy.report import Reporter
from ign_deploy.repositories.backends.gitlab.errors import (
    Caller,
    error_for_response,
    is_unknown_project,
)

_PAGE = 100
_MAX_PAGES = 2000
_MAX_LISTING = 16 << 20

Entry = TypeVar("Entry")


class GitLabApi(Client):
    """One project; every path is relative to it, and begins with a slash."""

    def __init__(
        self,
        session: Session,
        caller: Caller,
        *,
        reporter: Reporter,
        retry: RetryPolicy | None = None,
    ) -> None:
        super().__init__(
            session,
            base=caller.project.url,
            reporter=reporter,
            retry=retry,
            error=RepositoryError,
            error_for_response=partial(error_for_response, caller=caller),
        )
        self.caller = caller

    def find(
        self,
        path: str,
        *,
        title: str,
        limit: int = MAX_BODY,
        query: Mapping[str, str | int] | None = None,
    ) -> Response | None:
        """Return a successful response, None if what was requested doesn't exist.

        Raises RepositoryError if it is rejected, also if the project isn't found.
        """
        parameters = f"?{urlencode(query)}" if query else ""
        response = self.request("GET", path + parameters, title=title, limit=limit, expect={404})
        if is_unknown_project(response):
            raise self.error_for_response(response)
        return response if response.ok else None

    def entries(
        self,
        path: str,
        kind: TypeAdapter[list[Entry]],
        *,
        title: str,
        query: Mapping[str, str | int],
    ) -> list[Entry] | None:
        """Return all entries of a paged list; None when what it belongs to doesn't exist."""
        found: list[Entry] = []
        for number in range(1, _MAX_PAGES + 1):
            page = {**query, "per_page": _PAGE, "page": number}
            response = self.find(path, limit=_MAX_LISTING, title=title, query=page)
            if response is None:
                return None
            part = response.parse(kind)
            found += part
            following = response.headers.get("X-Next-Page")
            # A proxy may drop the header: then a full page means that there may be another.
            more = following.strip() != "" if following is not None else len(part) == _PAGE
            if not more:
                return found
        raise RepositoryError(
            f"{title} failed: the list has more than {_MAX_PAGES * _PAGE} entries",
            hint="use a project that holds nothing but modules.",
        )

    def missing(self, *, title: str) -> IgnDeployError:
        """Return the error for a project of which nothing was found."""
        return self.error_for_response(Response(404, title=title))

    def delete(self, path: str, *, title: str) -> None:
        """Delete; a missing file is not an error. Raises RepositoryError if it isn't allowed."""
        response = self.request("DELETE", path, title=title, expect={404})
        if is_unknown_project(response):
            raise self.error_for_response(response)
