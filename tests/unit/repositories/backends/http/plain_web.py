"""A web server as poor as one likes: read-only, without collections, without listings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.products import checksums
from tests.support.serving import HttpServer, Reply, Request, file_reply, json_reply

PLAIN = frozenset({"GET", "HEAD", "PUT", "DELETE"})
CLAIM = "modules/com.acme.thing/1.0.0/claim-0.json"


@dataclass(eq=False)
class PlainWeb(HttpServer):
    """Files by path (without a slash before); anybody may ask.

    ``known`` are the methods it knows, others get ``unknown``; ``statuses`` answer a method,
    whatever it is for. ``lists`` gives folders as JSON, as nginx does. ``digests`` are stated
    with files.
    """

    known: frozenset[str] = frozenset({"GET", "HEAD"})
    unknown: int = 405
    statuses: Mapping[str, int] = field(default_factory=dict)
    lists: bool = False
    digests: bool = False
    corrupts: bool = False
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    def respond(self, request: Request) -> Reply:
        """Do what it can."""
        if request.method in self.statuses:
            return Reply(self.statuses[request.method])
        if request.method not in self.known:
            return Reply(self.unknown)
        path = request.decoded_path.removeprefix("/")
        if request.method == "PUT":
            with self.lock:
                self.files[path] = request.body[:-1] + b"?" if self.corrupts else request.body
            return Reply(201)
        if request.method == "DELETE":
            with self.lock:
                return Reply(404 if self.files.pop(path, None) is None else 204)
        return self._get(request, path)

    def _get(self, request: Request, path: str) -> Reply:
        with self.lock:
            files = dict(self.files)
        if path in files:
            sums = checksums(files[path])
            headers = {"ETag": f'"{sums["md5"]}"'}
            if self.digests:
                headers["X-Checksum-Sha256"] = sums["sha256"]
            return file_reply(request, files[path], headers)
        rests = [each[len(path) :] for each in files if each.startswith(path)]
        if not path.endswith("/") and path:
            return Reply(404)
        if not self.lists:
            return Reply(403)
        if not rests and path.count("/") > 1:
            return Reply(404)
        found = {rest.partition("/")[0]: "directory" if "/" in rest else "file" for rest in rests}
        return json_reply(200, [{"name": name, "type": kind} for name, kind in found.items()])
