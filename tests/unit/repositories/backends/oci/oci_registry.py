"""A small OCI registry in memory, strict, with the habits that the CNCF registry lacks.

Pages of tags, immutable tags, relative upload locations, and blobs that are kept on another
host.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.serving import HttpServer, Reply, Request, json_reply, serving

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_PATH = re.compile(r"/v2/([a-z0-9/-]+)/(manifests|blobs|tags)/(.*)")


@dataclass
class Registry:
    """What it holds, and its habits.

    ``immutable`` tags can't be moved; ``password`` is wanted from any user, though not by the
    storage; ``page`` is the size of a page of tags; ``storage`` is the
    URL of another host, to which uploads and downloads of blobs are sent; ``asked`` holds method,
    path and ``Authorization`` of each request, by the host that it came to; ``hook`` is called
    with method and path before a request is done. Of the next uploads only as many bytes as
    ``breaks`` says arrive; the registry ``forgets`` their sessions then. It ``patches``, or takes
    uploads in one request only. ``sent`` are the method and Content-Range of each upload.
    """

    immutable: str = ""
    password: str = ""
    page: int = 0
    storage: str = ""
    deletes: bool = True
    link: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    breaks: list[int] = field(default_factory=list)
    forgets: bool = False
    patches: bool = True
    sent: list[tuple[str, str]] = field(default_factory=list)
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)
    hook: Callable[[str, str], None] | None = None
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, manifest: bytes) -> str:
        """Keep a manifest; return its digest."""
        digest = _digest(manifest)
        self.manifests[digest] = manifest
        return digest


class _Host(HttpServer):
    """A host that the registry is reached at."""

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.registry = registry

    def respond(self, request: Request) -> Reply:
        registry = self.registry
        if registry.hook is not None:
            registry.hook(request.method, request.target)
        with registry.lock:
            registry.asked.append(
                (
                    urlsplit(self.url).netloc,
                    request.method,
                    request.target,
                    request.headers.get("Authorization", ""),
                )
            )
            return self._answer(request)

    def _answer(self, request: Request) -> Reply:
        if not self._is_known(request):
            return Reply(401, {"WWW-Authenticate": 'Basic realm="test"'})
        if request.path == "/v2/":
            return Reply(200, body=b"{}")
        match = _PATH.fullmatch(request.path)
        if match is None:
            return _error(404, "UNSUPPORTED")
        name, kind, rest = match.groups()
        if kind == "tags":
            return self._tags(request, name)
        if kind == "manifests":
            return self._manifest(request, rest)
        if rest.startswith("uploads/"):
            return self._upload(request, name, rest.removeprefix("uploads/"))
        return self._blob(request, rest)

    def _is_known(self, request: Request) -> bool:
        registry = self.registry
        if not registry.password or self.url == registry.storage:
            return True
        return request.credentials[1].partition(":")[2] == registry.password

    def _tags(self, request: Request, name: str) -> Reply:
        registry = self.registry
        tags = sorted(tag for tag in registry.tags if tag > request.query.get("last", ""))
        headers = {}
        if registry.link:
            headers["Link"] = registry.link
        elif registry.page and len(tags) > registry.page:
            tags = tags[: registry.page]
            headers["Link"] = f'</v2/{name}/tags/list?n=9&last={tags[-1]}>; rel="next"'
        return json_reply(200, {"name": name, "tags": tags}, headers)

    def _manifest(self, request: Request, reference: str) -> Reply:
        registry = self.registry
        if request.method == "PUT":
            return self._put_manifest(request, reference)
        digest = registry.tags.get(reference, reference)
        if digest not in registry.manifests:
            return _error(404, "MANIFEST_UNKNOWN")
        if request.method == "DELETE":
            if not registry.deletes:
                return _error(405, "UNSUPPORTED")
            del registry.manifests[digest]
            registry.tags = {tag: at for tag, at in registry.tags.items() if at != digest}
            return Reply(202)
        if MANIFEST not in request.headers.get("Accept", ""):
            return _error(404, "MANIFEST_UNKNOWN")
        return Reply(200, {"Docker-Content-Digest": digest}, registry.manifests[digest])

    def _put_manifest(self, request: Request, reference: str) -> Reply:
        registry = self.registry
        document = json.loads(request.body)
        for each in [document["config"], *document["layers"]]:
            if len(registry.blobs.get(each["digest"], b"")) != each["size"]:
                return _error(400, "MANIFEST_BLOB_UNKNOWN")
        if document["mediaType"] != request.headers.get("Content-Type"):
            return _error(400, "MANIFEST_INVALID")
        if (
            registry.immutable
            and reference in registry.tags
            and re.match(registry.immutable, reference)
        ):
            return _error(400, "TAG_IMMUTABLE")
        digest = registry.put(request.body)
        registry.tags[reference] = digest
        return Reply(201, {"Docker-Content-Digest": digest})

    def _upload(self, request: Request, name: str, session: str) -> Reply:
        registry = self.registry
        if request.method == "POST":
            number = secrets.token_hex(8)
            registry.uploads[number] = b""
            location = f"{registry.storage}/v2/{name}/blobs/uploads/{number}"
            return Reply(202, {"Location": location})
        if session not in registry.uploads:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        location = f"{registry.storage}/v2/{name}/blobs/uploads/{session}"
        if request.method == "GET":
            end = max(0, len(registry.uploads[session]) - 1)
            return Reply(204, {"Location": location, "Range": f"0-{end}"})
        if request.method == "PATCH" and not registry.patches:
            return _error(405, "UNSUPPORTED")
        data = registry.uploads.pop(session)
        if request.method == "DELETE":
            return Reply(204)
        if request.body:
            registry.sent.append((request.method, request.headers.get("Content-Range", "")))
        if request.body and registry.breaks:
            if not registry.forgets:
                registry.uploads[session] = data + request.body[: registry.breaks.pop(0)]
            else:
                registry.breaks.pop(0)
            return Reply(503)
        data += request.body
        if request.method == "PATCH":
            registry.uploads[session] = data
            return Reply(202, {"Location": location, "Range": f"0-{len(data) - 1}"})
        digest = _digest(data)
        if digest != request.query.get("digest"):
            return _error(400, "DIGEST_INVALID")
        registry.blobs[digest] = data
        return Reply(201, {"Docker-Content-Digest": digest})

    def _blob(self, request: Request, digest: str) -> Reply:
        registry = self.registry
        if digest not in registry.blobs:
            return _error(404, "BLOB_UNKNOWN")
        elsewhere = registry.storage not in {"", self.url}
        if request.method != "HEAD" and elsewhere:
            return Reply(307, {"Location": registry.storage + request.path})
        return Reply(200, body=registry.blobs[digest])


def _error(status: int, code: str) -> Reply:
    return json_reply(status, {"errors": [{"code": code, "message": code.lower()}]})


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@contextmanager
def oci_registry(registry: Registry, *, has_storage: bool = False) -> Iterator[Registry]:
    """Run the registry; with ``has_storage`` its blobs are on another host (another port)."""
    host, storage = _Host(registry), _Host(registry)
    registry.url = host.url
    registry.storage = storage.url if has_storage else ""
    with serving(host, storage):
        yield registry
