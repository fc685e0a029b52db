"""A generic repository of an Artifactory: permissions, checksums, deployment by checksum.

As in the product, overwriting needs the right to delete, a wrong checksum gets 409, and
a file is deployed by its checksum alone only if its bytes are stored anywhere (else 404).
"""

from __future__ import annotations

import fnmatch
import time
from dataclasses import dataclass, field

from tests.support.products import Call, Product, checksums
from tests.support.serving import Reply, file_reply, json_reply

CONTEXT = "/artifactory/"
KEPT = ("*/release.json", "*/claim-*.json")


@dataclass(eq=False)
class Artifactory(Product):
    """One repository ``modules`` with one account and its token.

    ``kept`` are the patterns of what the account may not delete or overwrite; ``slow_commit`` is
    the time between the look at the rights and the storing of an upload (seconds). ``blocked`` is
    a pattern of the files that Xray lets no one download; ``blocks_with`` is 404 in a virtual
    repository.
    """

    token: str = "a-token-of-the-test"
    username: str = "publisher"
    password: str = "secret"
    deploys: bool = True
    reads: bool = True
    kept: tuple[str, ...] = KEPT
    slow_commit: float = 0.0
    files: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    corrupts: bool = False
    blocked: str = ""
    blocks_with: int = 403

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def repository(self) -> str:
        """The URL of its repository."""
        return f"{self.url}{CONTEXT}modules"

    def user_of(self, scheme: str, secret: str) -> str | None:
        """See ``Product``."""
        right = {"Bearer": self.token, "Basic": f"{self.username}:{self.password}"}.get(scheme)
        return self.username if secret == right else None

    def answer(self, call: Call) -> Reply:
        """See ``Product``."""
        if not call.path.startswith(CONTEXT):
            return Reply(404)
        location = call.decoded_path.removeprefix(CONTEXT)
        if not call.user:
            return _problem(401, "Authentication is required")
        if location.startswith("api/storage/"):
            return self._storage(call, location.removeprefix("api/storage/"))
        name, _, path = location.partition("/")
        if name != "modules":
            return _problem(404, f"Repository '{name}' doesn't exist")
        if call.method in {"GET", "HEAD"}:
            return self._get(call, path)
        if call.method == "PUT":
            return self._put(call, path)
        return self._delete(path) if call.method == "DELETE" else _problem(405, "no")

    def _may_overwrite(self, path: str) -> bool:
        return not any(fnmatch.fnmatchcase(path, pattern) for pattern in self.kept)

    def _storage(self, call: Call, location: str) -> Reply:
        name, _, path = location.rstrip("/").partition("/")
        if call.method != "GET":
            return _problem(405, "no")
        if name != "modules":
            return _problem(404, "Unable to find item")
        if not self.reads:
            return _problem(403, "Forbidden")
        with self.lock:
            files = dict(self.files)
        about = {"repo": "modules", "path": f"/{path}", "uri": "http://elsewhere.invalid/"}
        if path in files:
            sums = checksums(files[path])
            return json_reply(200, {**about, "size": str(len(files[path])), "checksums": sums})
        prefix = f"{path}/" if path else ""
        rests = [each[len(prefix) :] for each in files if each.startswith(prefix)]
        if path and not rests:
            return _problem(404, "Unable to find item")
        children = {rest.partition("/")[0]: "/" in rest for rest in sorted(rests)}
        listed = [{"uri": f"/{each}", "folder": folder} for each, folder in children.items()]
        return json_reply(200, {**about, "children": listed})

    def _get(self, call: Call, path: str) -> Reply:
        if not self.reads:
            return _problem(403, "Forbidden")
        with self.lock:
            data = self.files.get(path)
        if data is None:
            return _problem(404, "File not found.")
        if fnmatch.fnmatchcase(path, self.blocked):
            return _problem(
                self.blocks_with,
                f"Artifact download request rejected: {path} was not downloaded due to the "
                "download blocking policy configured in Xray for modules.",
            )
        sums = checksums(data)
        headers = {f"X-Checksum-{name.capitalize()}": value for name, value in sums.items()}
        # The product's tag has no quotes.
        return file_reply(call, data, {"ETag": sums["sha1"], **headers})

    def _put(self, call: Call, path: str) -> Reply:
        if not self.deploys:
            return _problem(403, f"Not enough permissions: {call.user} needs DEPLOY permission")
        with self.lock:
            there = path in self.files
        if there and not self._may_overwrite(path):
            return _problem(
                403,
                f"Not enough permissions to delete/overwrite artifact 'modules:{path}' "
                f"(user '{call.user}' needs DELETE permission).",
            )
        sent, stated = call.body, call.headers.get("X-Checksum-Sha256")
        if call.headers.get("X-Checksum-Deploy") == "true":
            with self.lock:
                known = self.blobs.get(stated or "")
            if known is None:
                return _problem(404, "Checksum deploy failed. No existing file with SHA256")
            sent = known
        if self.corrupts:
            sent = sent[:-1] + b"?"
        actual = checksums(sent)
        if stated not in {None, actual["sha256"]}:
            return _problem(409, f"Checksum error: received '{stated}' but actual is '...'")
        time.sleep(self.slow_commit)
        with self.lock:
            self.files[path] = self.blobs[actual["sha256"]] = sent
        return json_reply(201, {"repo": "modules", "path": f"/{path}", "checksums": actual})

    def _delete(self, path: str) -> Reply:
        with self.lock:
            if path not in self.files:
                return _problem(404, "Could not locate artifact")
            if not self._may_overwrite(path):
                return _problem(403, "Not enough permissions to delete/overwrite artifact")
            del self.files[path]
        return Reply(204)


def _problem(status: int, message: str) -> Reply:
    return json_reply(status, {"errors": [{"status": status, "message": message}]})
