"""A web server as poor as one likes: read-only, without collections, without listings."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.product_server import Call, Reply, checksums, file_reply, json_reply


@dataclass
class PlainWeb:
    """Files by path (without a slash before); anybody may ask.

    ``methods`` are those it knows, others get ``unknown``; ``statuses`` answer a method whatever is
    asked. ``lists`` gives folders as JSON, as nginx does. ``digests`` are stated with files.
    """

    methods: frozenset[str] = frozenset({"GET", "HEAD"})
    unknown: int = 405
    statuses: Mapping[str, int] = field(default_factory=dict)
    lists: bool = False
    digests: bool = False
    corrupts: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def user_of(self, kind: str, secret: str) -> str | None:
        """See ``Product``."""
        return f"{kind} {secret}"

    def respond(self, call: Call) -> Reply:
        """See ``Product``."""
        if call.method in self.statuses:
            return Reply(self.statuses[call.method])
        if call.method not in self.methods:
            return Reply(self.unknown)
        path = call.path.removeprefix("/")
        if call.method == "PUT":
            with self.lock:
                self.files[path] = call.body[:-1] + b"?" if self.corrupts else call.body
            return Reply(201)
        if call.method == "DELETE":
            with self.lock:
                return Reply(404 if self.files.pop(path, None) is None else 204)
        return self._get(call, path)

    def _get(self, call: Call, path: str) -> Reply:
        with self.lock:
            files = dict(self.files)
        if path in files:
            sums = checksums(files[path])
            headers = {"ETag": f'"{sums["md5"]}"'}
            if self.digests:
                headers["X-Checksum-Sha256"] = sums["sha256"]
            return file_reply(call, files[path], headers)
        rests = [each[len(path) :] for each in files if each.startswith(path)]
        if not path.endswith("/") and path:
            return Reply(404)
        if not self.lists:
            return Reply(403)
        if not rests and path.count("/") > 1:
            return Reply(404)
        found = {rest.partition("/")[0]: "directory" if "/" in rest else "file" for rest in rests}
        return json_reply(200, [{"name": name, "type": kind} for name, kind in found.items()])
