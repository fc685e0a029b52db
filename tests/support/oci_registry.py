"""A small OCI registry in memory, strict, with the habits that the CNCF registry lacks.

Pages of tags, immutable tags, relative places for uploads, and blobs that are kept on another
host.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_PATH = re.compile(r"/v2/([a-z0-9/-]+)/(manifests|blobs|tags)/(.*)")


@dataclass
class Registry:
    """What it holds, and its habits.

    ``immutable`` tags can't be moved; ``password`` is wanted from any user, though not by the
    storage; ``page`` is the size of a page of tags; ``storage`` is the
    URL of another host, to which uploads and downloads of blobs are sent; ``asked`` holds method,
    path and ``Authorization`` of each request, by the host that it came to; ``hook`` is called
    with method and path before a request is done.
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
    uploads: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)
    hook: Callable[[str, str], None] | None = None
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, manifest: bytes) -> str:
        """Keep a manifest; return its digest."""
        digest = _digest(manifest)
        self.manifests[digest] = manifest
        return digest


Answer = tuple[int, dict[str, str], bytes]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: Registry

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        host = self.headers.get("Host", "")
        if self.registry.hook is not None:
            self.registry.hook(self.command, self.path)
        with self.registry.lock:
            self.registry.asked.append(
                (host, self.command, self.path, self.headers.get("Authorization", ""))
            )
            status, headers, answer = self._answer(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - its parent's names

    def _answer(self, body: bytes) -> Answer:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if not self._is_known():
            return 401, {"WWW-Authenticate": 'Basic realm="test"'}, b""
        if parts.path == "/v2/":
            return 200, {}, b"{}"
        match = _PATH.fullmatch(parts.path)
        if match is None:
            return _error(404, "UNSUPPORTED")
        name, kind, rest = match.groups()
        if kind == "tags":
            return self._tags(name, query)
        if kind == "manifests":
            return self._manifest(rest, body)
        if rest.startswith("uploads/"):
            return self._upload(name, rest.removeprefix("uploads/"), query, body)
        return self._blob(rest, parts.path)

    def _is_known(self) -> bool:
        registry = self.registry
        if not registry.password or f"http://{self.headers.get('Host')}" == registry.storage:
            return True
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        return base64.b64decode(given).decode().partition(":")[2] == registry.password

    def _tags(self, name: str, query: Mapping[str, str]) -> Answer:
        registry = self.registry
        tags = sorted(tag for tag in registry.tags if tag > query.get("last", ""))
        headers = {}
        if registry.link:
            headers["Link"] = registry.link
        elif registry.page and len(tags) > registry.page:
            tags = tags[: registry.page]
            headers["Link"] = f'</v2/{name}/tags/list?n=9&last={tags[-1]}>; rel="next"'
        return 200, headers, json.dumps({"name": name, "tags": tags}).encode()

    def _manifest(self, reference: str, body: bytes) -> Answer:
        registry = self.registry
        if self.command == "PUT":
            return self._put_manifest(reference, body)
        digest = registry.tags.get(reference, reference)
        if digest not in registry.manifests:
            return _error(404, "MANIFEST_UNKNOWN")
        if self.command == "DELETE":
            if not registry.deletes:
                return _error(405, "UNSUPPORTED")
            del registry.manifests[digest]
            registry.tags = {tag: at for tag, at in registry.tags.items() if at != digest}
            return 202, {}, b""
        if MANIFEST not in self.headers.get("Accept", ""):
            return _error(404, "MANIFEST_UNKNOWN")
        return 200, {"Docker-Content-Digest": digest}, registry.manifests[digest]

    def _put_manifest(self, reference: str, body: bytes) -> Answer:
        registry = self.registry
        document = json.loads(body)
        for each in [document["config"], *document["layers"]]:
            if len(registry.blobs.get(each["digest"], b"")) != each["size"]:
                return _error(400, "MANIFEST_BLOB_UNKNOWN")
        if document["mediaType"] != self.headers.get("Content-Type"):
            return _error(400, "MANIFEST_INVALID")
        if (
            registry.immutable
            and reference in registry.tags
            and re.match(registry.immutable, reference)
        ):
            return _error(400, "TAG_IMMUTABLE")
        digest = registry.put(body)
        registry.tags[reference] = digest
        return 201, {"Docker-Content-Digest": digest}, b""

    def _upload(self, name: str, session: str, query: Mapping[str, str], body: bytes) -> Answer:
        registry = self.registry
        if self.command == "POST":
            number = secrets.token_hex(8)
            registry.uploads.add(number)
            return 202, {"Location": f"{registry.storage}/v2/{name}/blobs/uploads/{number}"}, b""
        if session not in registry.uploads:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        registry.uploads.remove(session)
        if self.command == "DELETE":
            return 204, {}, b""
        if _digest(body) != query.get("digest"):
            return _error(400, "DIGEST_INVALID")
        registry.blobs[_digest(body)] = body
        return 201, {"Docker-Content-Digest": _digest(body)}, b""

    def _blob(self, digest: str, path: str) -> Answer:
        registry = self.registry
        if digest not in registry.blobs:
            return _error(404, "BLOB_UNKNOWN")
        data = registry.blobs[digest]
        if self.command == "HEAD":
            return 200, {"Content-Length": str(len(data))}, b""
        if registry.storage and f"http://{self.headers.get('Host')}" != registry.storage:
            return 307, {"Location": registry.storage + path}, b""
        return 200, {}, data

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Write no log."""


def _error(status: int, code: str) -> Answer:
    return status, {}, json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@contextmanager
def oci_registry(registry: Registry, *, has_storage: bool = False) -> Iterator[Registry]:
    """Run the registry; with ``has_storage`` its blobs are on another host (another port)."""

    class Handler(_Handler):
        pass

    Handler.registry = registry
    with ExitStack() as stack:
        registry.url = stack.enter_context(_listening(Handler))
        if has_storage:
            registry.storage = stack.enter_context(_listening(Handler))
        yield registry


@contextmanager
def _listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    listener = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_address[1]}"
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
