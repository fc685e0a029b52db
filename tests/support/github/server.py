"""The simulated GitHub server: HTTP, tokens, faults on demand, and a host of its own for files.

Every request and answer is compared with GitHub's description, and what GitHub demands beyond it
(the version's header, no credentials at the host of the files) is looked at too; what is wrong
fails the test when the server is stopped.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.support.github.routes import Call, Reply, file_reply, find_route
from tests.support.github.simulator import ROLES, Fault, Simulator
from tests.support.github.state import Refused, SimulatedRepository


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, simulator: Simulator, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.simulator = simulator

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Ignore connections that were broken on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Write no log."""

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def hang_up(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.rfile.close()
        self.connection.close()


class _ApiHandler(_Handler):
    def _serve(self) -> None:
        simulator = self.server.simulator
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        uploads = parts.path.startswith("/api/uploads/")
        path = parts.path.removeprefix("/api/uploads")
        fault = simulator.next_fault(f"{self.command} {path}")
        if fault is not None and fault.kind == "broken":
            self.hang_up()
            return
        self._check_request(path, parts.query, body, uploads=uploads)
        if fault is not None and fault.kind == "answer":
            reply = _reply_of(fault)
        else:
            kind = "" if fault is None else fault.kind
            reply = self._reply(path, parts.query, body, uploads=uploads, kind=kind)
        if fault is not None and fault.kind == "lost":
            self.hang_up()
            return
        if fault is not None and fault.kind == "after":
            reply = _reply_of(fault)
        self._send(path, parts.query, reply)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - its parent's names

    def _check_request(self, path: str, query: str, body: bytes, *, uploads: bool) -> None:
        simulator = self.server.simulator
        line = f"{self.command} {path}"
        for name in ("X-GitHub-Api-Version", "Accept", "User-Agent"):
            if not self.headers.get(name) or self.headers[name] == "*/*":
                simulator.violate(f"{line}: no {name}")
        content_type = self.headers.get("Content-Type", "")
        if uploads and "Content-Length" not in self.headers:
            simulator.violate(f"{line}: an upload without its length")
        for problem in simulator.checker.request_problems(
            self.command, path, query=query, body=body, content_type=content_type
        ):
            simulator.violate(problem)

    def _reply(self, path: str, query: str, body: bytes, *, uploads: bool, kind: str) -> Reply:
        simulator = self.server.simulator
        repository = simulator.repository
        try:
            role = self._role()
            prefix = f"/repos/{repository.full_name}"
            if path.lower()[: len(prefix)] != prefix.lower():
                raise Refused(404, "Not Found")
            found = find_route(self.command, path[len(prefix) :], uploads=uploads)
            if found is None:
                raise Refused(404, "Not Found")
            self._require_rights(role)
            route, groups = found
            # A proxy's address, where one is before us.
            base = f"http://{self.headers['Host']}"
            headers = dict(self.headers.items())
            call = Call(base, simulator.downloads, repository, role, query, headers, body, groups)
            if kind == "starter":
                half = body[: len(body) // 2]
                repository.add_asset(int(groups[0]), call.argument("name"), half, state="starter")
                return Reply(502, {"message": "Server Error"})
            return route(call)
        except Refused as problem:
            document: dict[str, Any] = {
                "message": problem.message,
                "documentation_url": "https://docs.github.test/rest",
                "status": str(problem.status),
            }
            if problem.errors is not None:
                document["errors"] = problem.errors
            return Reply(problem.status, document)

    def _role(self) -> str:
        given = self.headers.get("Authorization")
        if given is None:
            return "nobody"
        role = ROLES.get(given.removeprefix("Bearer "))
        if role is None or not given.startswith("Bearer "):
            raise Refused(401, "Bad credentials")
        return role

    def _require_rights(self, role: str) -> None:
        repository = self.server.simulator.repository
        if role == "nobody" and repository.private:
            raise Refused(404, "Not Found")
        if self.command == "GET":
            return
        if role == "nobody":
            raise Refused(401, "Requires authentication")
        if role == "job-reader":
            raise Refused(403, "Resource not accessible by integration")
        if role == "reader":
            raise Refused(403, "Resource not accessible by personal access token")
        if repository.archived:
            raise Refused(403, "Repository was archived so is read-only.")

    def _send(self, path: str, query: str, reply: Reply) -> None:
        simulator = self.server.simulator
        body = json.dumps(reply.document).encode() if reply.document is not None else b""
        if reply.raw is not None:
            body = reply.raw
        for problem in simulator.checker.response_problems(
            self.command, path, query=query, status=reply.status, body=body,
            content_type=reply.content_type,
        ):  # fmt: skip
            simulator.violate(problem)
        headers = {"X-GitHub-Media-Type": "github.v3", **reply.headers}
        if body:
            headers["Content-Type"] = reply.content_type
        self.answer(reply.status, body, headers)


def _reply_of(fault: Fault) -> Reply:
    document = fault.document
    if fault.status >= 400:
        document = {"documentation_url": "https://docs.github.test/rest", **document}
    return Reply(fault.status, document, headers=dict(fault.headers))


class _DownloadHandler(_Handler):
    """The host that keeps the files: it takes signed addresses, and refuses any credentials."""

    def do_GET(self) -> None:  # its parent's name
        simulator = self.server.simulator
        if "Authorization" in self.headers:
            simulator.violate(f"GET {self.path}: credentials sent to the host of the files")
            self.answer(400, b"Only one auth mechanism allowed", {})
            return
        path, _, query = self.path.partition("?")
        number = path.strip("/")
        if not query.startswith("sig=") or not number.isdigit():
            self.answer(403, b"", {})
            return
        fault = simulator.next_fault(f"DOWNLOAD {number}")
        try:
            asset = simulator.repository.asset(int(number))[1]
        except Refused:
            self.answer(404, b"", {})
            return
        if fault is not None and fault.kind == "answer":
            self.answer(fault.status, b"", fault.headers)
            return
        reply = file_reply(asset, dict(self.headers.items()))
        content = reply.raw or b""
        headers = {**reply.headers, "Content-Type": reply.content_type}
        if fault is not None and fault.kind == "broken":
            self.send_response(reply.status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        self.answer(reply.status, content, headers)


@contextmanager
def github_simulator(full_name: str = "acme/modules", **switches: Any) -> Iterator[Simulator]:
    """Run a server with one repository on two ports; ``switches`` are its fields.

    Raises AssertionError at the end when a request or an answer wasn't as GitHub has it.
    """
    simulator = Simulator(SimulatedRepository(full_name, **switches))
    servers = [_Server(simulator, _ApiHandler), _Server(simulator, _DownloadHandler)]
    simulator.base, simulator.downloads = (server.address for server in servers)
    threads = [
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        for server in servers
    ]
    for thread in threads:
        thread.start()
    try:
        yield simulator
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()
    assert not simulator.violations, "\n".join(dict.fromkeys(simulator.violations))[:8000]
