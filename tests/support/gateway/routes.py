"""The routes of the simulated gateway: strict about the form of every request."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.gateway import actions
from tests.support.gateway.modl import read_modl
from tests.support.gateway.state import Misuse, Refused, State
from tests.support.gateway.wire import Request, Response, as_json, html

API = "/data/api/v1/"
SERVLET = "/system/DeveloperModuleLoadingServlet"
TOKEN = "X-Ignition-API-Token"
PAGE_QUERY = frozenset({"limit", "offset", "sortBy", "search", "filter"})


@dataclass(frozen=True)
class Route:
    """How a request to it has to look, and what it does."""

    does: Callable[[State, Request], Response]
    writes: bool
    query: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    body: str = ""  # the media type of its body, none when empty


@dataclass
class Router:
    """Answers requests; whatever no careful client sends is noted in ``violations``."""

    state: State
    folder: Path
    violations: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        options = self.state.options
        if options.html:
            return html(200, "Ignition Gateway")
        if request.path == "/StatusPing":
            return self._ping(request)
        if self.state.phase() == "starting":
            return self._error(request, 503, "the gateway is starting")
        if request.path == SERVLET:
            return self._developer(request)
        if not options.has_api:
            return html(404, "Not found")
        try:
            return self._api(request)
        except Misuse as misuse:
            self.violation(request, misuse.what)
            return self._error(request, misuse.status, misuse.message)
        except Refused as refused:
            return self._error(request, refused.status, refused.message)

    def violation(self, request: Request, what: str) -> None:
        self.violations.append(f"{request.method} {request.path}: {what}")

    def _api(self, request: Request) -> Response:
        routes = ROUTES.get(request.path)
        if routes is None:
            self.violation(request, "there is no such route")
            raise Refused(404, "not found")
        route = routes.get(request.method)
        if route is None:
            self.violation(request, "wrong method")
            raise Refused(405, "method not allowed")
        self._check_form(request, route)
        self._authorise(request, writes=route.writes)
        name = request.path.removeprefix(API)
        reason = self.state.options.refuse.get(name)
        if reason is not None and (route.writes or name == "gateway-info"):
            return as_json({"success": False, "message": "", "problem": {"message": reason}})
        return route.does(self.state, request)

    def _check_form(self, request: Request, route: Route) -> None:
        given = set(request.query)
        if given - route.query:
            self.violation(request, f"unknown in its query: {sorted(given - route.query)}")
        if route.needs - given:
            self.violation(request, f"missing in its query: {sorted(route.needs - given)}")
            raise Refused(400, f"{sorted(route.needs - given)[0]} is missing")
        kind = request.headers.get("Content-Type", "").partition(";")[0]
        if route.body and kind not in ("", route.body):
            self.violation(request, f"a body of the type {kind}, expected {route.body}")
            raise Refused(415, "unsupported media type")
        if not route.body and request.size:
            self.violation(request, "a body where none belongs")
        if "chunked" in request.headers.get("Transfer-Encoding", ""):
            self.violation(request, "a body without its length")

    def _authorise(self, request: Request, *, writes: bool) -> None:
        options = self.state.options
        if "Authorization" in request.headers:
            self.violation(request, "Authorization instead of the gateway's own header")
        if request.headers.get(TOKEN) != options.token:
            raise Refused(401, "Unauthorized")
        if options.secure_only and not request.is_tls:
            raise Refused(401, "a secure channel is required")
        if not options.can_read or (writes and not options.can_write):
            raise Refused(403, "Forbidden")

    def _error(self, request: Request, status: int, message: str) -> Response:
        document = {"message": message, "url": request.path, "status": str(status)}
        return as_json(document, status=status)

    def _ping(self, request: Request) -> Response:
        if request.method != "GET":
            self.violation(request, "wrong method")
            return html(405, "Method not allowed")
        if TOKEN in request.headers:
            self.violation(request, "a token where none is needed")
        if self.state.phase() == "starting":
            return as_json({"state": "STARTING"})
        if self.state.options.commissioning:
            return as_json({"state": "RUNNING", "details": "COMMISSIONING"})
        return as_json({"state": "RUNNING"})

    def _developer(self, request: Request) -> Response:
        options = self.state.options
        if not options.developer_upload or options.has_api:
            return html(404, "Not found")
        if request.method != "POST":
            self.violation(request, "wrong method")
            return html(405, "Method not allowed")
        if TOKEN in request.headers or "Authorization" in request.headers:
            self.violation(request, "credentials for a servlet that asks for none")
        try:
            data = base64.b64decode(request.body.read_bytes(), validate=True)
        except binascii.Error:
            self.violation(request, "its body isn't Base64")
            return html(500, "Error")
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".modl") as file:
            file.write(data)
            file.flush()
            self.state.load_at_once(read_modl(Path(file.name), file_name=""))
        return Response(200, b"", "text/plain")


def description(state: State, _: Request) -> Response:
    """Return which routes there are, as the API's own description does."""
    if not state.options.described:
        raise Refused(404, "not found")
    paths: dict[str, dict[str, dict[str, str]]] = {
        path: {method.lower(): {} for method in ROUTES[path]} for path in ROUTES
    }
    return as_json({"openapi": "3.1.0", "paths": paths})


_ID = frozenset({"moduleId"})
_JSON = "application/json"
_CONFIRM = frozenset({"confirm"})
_FILE = frozenset({"fileName"})


def _table() -> dict[str, dict[str, Route]]:
    routes = {
        "gateway-info": {"GET": Route(actions.info, writes=False)},
        "modules/upload": {
            "POST": Route(
                actions.upload,
                writes=True,
                query=_FILE,
                needs=_FILE,
                body="application/octet-stream",
            )
        },
        "modules/certificate": {
            "GET": Route(actions.certificate, writes=False, query=_ID, needs=_ID),
            "POST": Route(actions.accept_certificate, writes=True, query=_ID, needs=_ID),
        },
        "modules/eula": {
            "GET": Route(actions.eula, writes=False, query=_ID, needs=_ID),
            "POST": Route(actions.accept_eula, writes=True, query=_ID, needs=_ID),
        },
        "modules/install": {"POST": Route(actions.install, writes=True, query=_ID, needs=_ID)},
        "modules/healthy": {"GET": Route(actions.healthy, writes=False, query=PAGE_QUERY)},
        "modules/quarantined": {"GET": Route(actions.quarantined, writes=False, query=PAGE_QUERY)},
        "modules/toggle-state": {"PUT": Route(actions.toggle, writes=True, body=_JSON)},
        "modules/uninstall": {
            "DELETE": Route(actions.uninstall, writes=True, query=_ID, body=_JSON)
        },
        "restart-tasks/pending": {"GET": Route(actions.pending, writes=False)},
        "restart-tasks/restart": {"POST": Route(actions.restart, writes=True, query=_CONFIRM)},
    }
    table = {API + name: methods for name, methods in routes.items()}
    table["/openapi.json"] = {"GET": Route(description, writes=False)}
    return table


ROUTES = _table()
