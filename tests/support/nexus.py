"""Raw repositories of a Nexus: deployment policies, a search that lags behind, privileges.

As in the product, a PUT of a path that is taken is answered 400 where redeploys are switched off,
unknown repositories are 404 to everything but the search, and pages are small. As since 3.88, a
search may not begin with a wildcard, and the groups of raw files begin with a slash.
"""

from __future__ import annotations

import fnmatch
import posixpath
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.support.products import Call, Product, checksums
from tests.support.serving import Reply, file_reply, json_reply

_API = "/service/rest/v1/"
ALL = frozenset({"browse", "read", "add", "edit", "delete"})


class Policy(StrEnum):
    """The deployment policies, as the product shows them."""

    ALLOW = "Allow redeploy"
    ONCE = "Disable redeploy"
    READ_ONLY = "Read-only"


@dataclass
class _Asset:
    data: bytes
    number: int
    visible_at: float


@dataclass(eq=False)
class Nexus(Product):
    """One raw repository ``modules`` with one account.

    ``lag`` is how long the search doesn't know of a change (seconds), ``page`` how many entries
    an answer has.
    """

    policy: Policy = Policy.ONCE
    username: str = "publisher"
    password: str = "a pässword: with a colon"
    privileges: frozenset[str] = ALL
    lag: float = 0.0
    page: int = 10
    format: str = "raw"
    assets: dict[str, _Asset] = field(default_factory=dict)
    gone: dict[str, tuple[_Asset, float]] = field(default_factory=dict)
    _count: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def repository(self) -> str:
        """The URL of its repository."""
        return f"{self.url}/repository/modules"

    def user_of(self, scheme: str, secret: str) -> str | None:
        """See ``Product``; there are no bearer tokens."""
        right = scheme == "Basic" and secret == f"{self.username}:{self.password}"
        return self.username if right else None

    def answer(self, call: Call) -> Reply:
        """See ``Product``."""
        if call.path.startswith("/repository/"):
            name, _, path = call.decoded_path.removeprefix("/repository/").partition("/")
            return self._content(call, name, path)
        if call.path == f"{_API}components":
            return self._components(call)
        if call.path == f"{_API}search/assets":
            return self._search(call)
        return Reply(404)

    def _may(self, call: Call, privilege: str) -> bool:
        return bool(call.user) and privilege in self.privileges

    def _refused(self, call: Call) -> Reply:
        return Reply(403 if call.user else 401)

    def _content(self, call: Call, name: str, path: str) -> Reply:
        if name != "modules":
            return Reply(404, body=b"Repository not found")
        if call.method in {"GET", "HEAD"}:
            return self._get(call, path)
        if call.method == "PUT":
            return self._put(call, path)
        return self._delete(call, path) if call.method == "DELETE" else Reply(405)

    def _get(self, call: Call, path: str) -> Reply:
        if not self._may(call, "read"):
            return self._refused(call)
        with self.lock:
            asset = self.assets.get(path)
        if asset is None:
            return Reply(404)
        return file_reply(
            call, asset.data, {"ETag": f'"{{SHA1{{{checksums(asset.data)["sha1"]}}}}}"'}
        )

    def _put(self, call: Call, path: str) -> Reply:
        if not self._may(call, "edit"):
            return self._refused(call)
        if not path or path.endswith("/") or posixpath.normpath(path) != path:
            return Reply(400, body=b"Invalid path")
        with self.lock:
            if self.policy is Policy.READ_ONLY:
                return Reply(400, body=b"Repository is read only: modules")
            if path in self.assets and self.policy is Policy.ONCE:
                return Reply(400, body=b"Repository does not allow updating assets: modules")
            self._count += 1
            visible = time.monotonic() + self.lag
            self.assets[path] = _Asset(call.body, self._count, visible)
        return Reply(201)

    def _delete(self, call: Call, path: str) -> Reply:
        if not self._may(call, "delete"):
            return self._refused(call)
        with self.lock:
            asset = self.assets.pop(path, None)
            if asset is None:
                return Reply(404)
            self.gone[path] = (asset, time.monotonic() + self.lag)
        return Reply(204)

    def _components(self, call: Call) -> Reply:
        if call.query.get("repository") != "modules":
            return Reply(404)
        if not self._may(call, "browse"):
            return self._refused(call)
        with self.lock:
            found = sorted(self.assets)
        return self._paged(call, [{"name": path, "format": self.format} for path in found])

    def _search(self, call: Call) -> Reply:
        if not self._may(call, "browse"):
            return self._refused(call)
        if call.query.get("repository") != "modules":
            return json_reply(200, {"items": [], "continuationToken": None})
        group = call.query.get("group", "/*")
        if group[:1] in {"*", "?"}:  # since 3.88
            return Reply(400, body=b"Leading wildcards are not supported in searches")
        items = [
            {
                "path": path,
                "format": self.format,
                "repository": "modules",
                "checksum": checksums(asset.data),
                "contentType": "application/octet-stream",
                "fileSize": len(asset.data),
            }
            for path, asset in sorted(self._indexed().items())
            if fnmatch.fnmatchcase(f"/{posixpath.dirname(path)}", group)
        ]
        return self._paged(call, items)

    def _indexed(self) -> dict[str, _Asset]:
        """Return what the search knows: new files late, deleted ones too long."""
        now = time.monotonic()
        with self.lock:
            stale = {path: asset for path, (asset, until) in self.gone.items() if until > now}
            fresh = {path: asset for path, asset in self.assets.items() if asset.visible_at <= now}
        return stale | fresh

    def _paged(self, call: Call, items: list[dict[str, Any]]) -> Reply:
        start = 0
        if token := call.query.get("continuationToken"):
            if not token.startswith("after-"):
                return Reply(406)
            start = int(token.removeprefix("after-"))
        end = start + self.page
        following = f"after-{end}" if end < len(items) else None
        return json_reply(200, {"items": items[start:end], "continuationToken": following})
