"""The simulated GitLab on loopback: threads, faults on demand, and an object storage beside it."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.gitlab_packages.registry import File, Project, Registry, Switches
from tests.support.gitlab_packages.rights import DEVELOPER, MAINTAINER, Refused, Token, authenticate
from tests.support.gitlab_packages.routes import Endpoints, Reply, as_json

_SECRET_HEADERS = {"private-token", "job-token", "deploy-token", "authorization", "cookie"}
_RANGE = re.compile(r"bytes=(\d+)-")


@dataclass
class Fault:
    """What goes wrong with the next ``times`` requests that match.

    ``status`` and ``body`` answer instead; ``lost`` does what was asked, then resets the
    connection; ``after`` does it, then answers with the status. ``cut`` resets a download after so
    many bytes.
    """

    method: str
    path: str
    times: int = 1
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    lost: bool = False
    after: bool = False
    cut: int | None = None


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Ignore connections that were broken on purpose."""


class GitLab(_Server):
    """A GitLab at ``http://127.0.0.1:port``, below ``root`` (such as ``/gitlab``) if given.

    ``leaks`` are the secret headers that the object storage was sent.
    """

    def __init__(self, *, root: str = "", switches: Switches | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.switches = Switches() if switches is None else switches
        self.registry = Registry(self.switches)
        self.projects: dict[str, Project] = {}
        self.tokens: dict[str, Token] = {}
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.leaks: list[str] = []
        self.endpoints = Endpoints(self.registry, self.projects)
        self.storage = _Storage(self)
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def api(self) -> str:
        """The address of the API."""
        return f"http://{self.host}{self.root}/api/v4"

    def add_project(self, path: str, **fields: Any) -> Project:
        """Make a project."""
        self.projects[path] = Project(path, len(self.projects) + 1, **fields)
        return self.projects[path]

    def add_token(self, secret: str, kind: str = "access", **fields: Any) -> str:
        """Make a token with the role Maintainer in all projects there are, unless told else."""
        fields.setdefault("roles", dict.fromkeys(self.projects, MAINTAINER))
        self.tokens[secret] = Token(kind, **fields)
        return secret

    def files(self, path: str) -> dict[tuple[str, str, str], list[bytes]]:
        """Return all files of a project by package, version and name, oldest first."""
        found: dict[tuple[str, str, str], list[tuple[int, bytes]]] = {}
        for package, version, file in self.registry.content(path):
            found.setdefault((package, version, file.name), []).append((file.id, file.data))
        return {key: [data for _, data in sorted(files)] for key, files in found.items()}

    def asked(self, method: str, pattern: str = "") -> list[Seen]:
        """Return the requests of a method whose path has a match of the pattern."""
        return [
            each for each in self.seen if each.method == method and re.search(pattern, each.path)
        ]

    def note(self, method: str, path: str, headers: Mapping[str, str]) -> Fault | None:
        """Remember a request; return what is to go wrong with it."""
        with self._lock:
            self.seen.append(Seen(method, path, headers))
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None


class _Storage(_Server):
    """The object storage: serves by a secret address, and takes nobody's token."""

    def __init__(self, gitlab: GitLab) -> None:
        super().__init__(("127.0.0.1", 0), _StorageHandler)
        self.gitlab = gitlab
        self.objects: dict[str, File] = {}

    def address_of(self, file: File) -> str:
        """Return where a file can be had."""
        self.objects[f"/bucket/{file.id}?signature=s3cret"] = file
        return f"http://127.0.0.1:{self.server_address[1]}/bucket/{file.id}?signature=s3cret"


class _Sender(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    date: float | None = None
    disable_nagle_algorithm = True  # head and body are sent apart: 40 ms each time

    def send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, file: File, headers: Mapping[str, str], *, cut: int | None) -> None:
        tag = f'"{file.sha256}"'
        status, start, sent = 200, 0, dict(headers)
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        if asked is not None and self.headers.get("If-Range") in {None, tag}:
            status, start = 206, int(asked[1])
            sent["Content-Range"] = f"bytes {start}-{len(file.data) - 1}/{len(file.data)}"
        sent |= {"ETag": tag, "Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        body = file.data[start:]
        if cut is None:
            self.send(status, body, sent)
            return
        self.send_response(status)
        for name, value in {**sent, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut])
        self.wfile.flush()
        self.reset()

    def reset(self) -> None:
        # Lingering zero seconds makes close() send a reset.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.rfile.close()
        self.connection.close()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the time of GitLab's clock."""
        return super().date_time_string(self.date if timestamp is None else timestamp)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Write no log."""


class _Handler(_Sender):
    server: GitLab

    def _serve(self) -> None:
        headers = dict(self.headers.items())
        self.date = self.server.switches.date
        fault = self.server.note(self.command, self.path, headers)
        body = self._body()
        if body is None:
            return
        if fault is not None and fault.status and not fault.after:
            self.send(fault.status, fault.body, fault.headers)
            return
        try:
            reply = self._reply(headers, body)
        except Refused as refused:
            reply = Reply(refused.status, refused.body)
        if fault is not None and fault.lost:
            self.reset()
            return
        if fault is not None and fault.after:
            self.send(fault.status, fault.body, fault.headers)
            return
        self._answer(reply, cut=None if fault is None else fault.cut)

    def _body(self) -> bytes | None:
        """Read the body; None, and the end of the connection, if it doesn't come whole."""
        if self.command == "PUT" and "Content-Length" not in self.headers:
            self.send(411, b"{}", {"Connection": "close"})
            self.close_connection = True
            return None
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) == length:
            return body
        self.close_connection = True
        return None

    def _reply(self, headers: Mapping[str, str], body: bytes) -> Reply:
        prefix = f"{self.server.root}/api/v4"
        if not self.path.startswith(f"{prefix}/projects/"):
            raise Refused(404, error="404 Not Found")
        token = authenticate(headers, self.server.tokens)
        target = self.path.removeprefix(prefix)
        return self.server.endpoints.answer(self.command, target, token, body)

    def _answer(self, reply: Reply, *, cut: int | None) -> None:
        if reply.file is None:
            kind = {"Content-Type": "application/json"}
            body = b"" if reply.status == 204 else as_json(reply.document)
            self.send(reply.status, body, reply.headers | kind)
        elif self.server.switches.redirect_downloads:
            self.send(302, b"", {"Location": self.server.storage.address_of(reply.file)})
        else:
            self.send_file(reply.file, reply.headers, cut=cut)

    do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = _serve  # noqa: N815 - its parent's names


class _StorageHandler(_Sender):
    server: _Storage

    def do_GET(self) -> None:
        secrets = [name for name in self.headers if name.lower() in _SECRET_HEADERS]
        self.server.gitlab.leaks.extend(secrets)
        file = self.server.objects.get(self.path)
        if secrets or file is None:
            self.send(400, b"<Error/>", {})
            return
        fault = self.server.gitlab.note("STORAGE", self.path, dict(self.headers.items()))
        self.send_file(file, {}, cut=None if fault is None else fault.cut)


@contextmanager
def gitlab(*, root: str = "", switches: Switches | None = None) -> Iterator[GitLab]:
    """Run a GitLab without projects and tokens."""
    server = GitLab(root=root, switches=switches)
    running: list[threading.Thread] = []
    for each in (server, server.storage):
        thread = threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append(thread)
    try:
        yield server
    finally:
        for each in (server, server.storage):
            each.shutdown()
            each.server_close()
        for thread in running:
            thread.join()


__all__ = ["DEVELOPER", "MAINTAINER", "Fault", "GitLab", "gitlab"]
