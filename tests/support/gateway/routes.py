"""The routes of the simulated gateway: strict about the form of every request."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.gateway import actions
from tests.support.gateway.actions import Document, GatewayRequest
from tests.support.gateway.modl import read_modl
from tests.support.gateway.state import Misuse, Refused, State
from tests.support.serving import Reply, json_reply

API = "/data/api/v1/"
SERVLET = "/system/DeveloperModuleLoadingServlet"
TOKEN = "X-Ignition-API-Token"
PAGE_QUERY = frozenset({"limit", "offset", "sortBy", "search", "filter"})


@dataclass(frozen=True)
class Route:
    """How a request to it has to look, and what it does."""

    does: Callable[[State, GatewayRequest], Document | Reply]
    writes: bool
    query: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    body: str = ""  # the media type of its body, none when empty


@dataclass
class Router:
    """Answers requests; whatever no careful client sends is noted in ``violations``."""

    state: State
    violations: list[str] = field(default_factory=list)

    def answer(self, request: GatewayRequest) -> Reply:
        """Answer a request, in the forms of a report if there is one."""
        reply, answers = self._answer(request), self.state.options.answers
        if answers is None:
            return reply
        is_anonymous = TOKEN not in request.headers
        return answers.adapt(request.method, request.path, reply, is_anonymous=is_anonymous)

    def _answer(self, request: GatewayRequest) -> Reply:
        options = self.state.options
        if options.html:
            return html(200, "Ignition Gateway")
        if request.path == "/StatusPing":
            return self._ping(request)
        if self.state.phase() == "starting":
            return self._error(request, 503, "the gateway is starting")
        if request.path == "/system/gwinfo":
            return self._gwinfo(request)
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

    def violation(self, request: GatewayRequest, what: str) -> None:
        self.violations.append(f"{request.method} {request.path}: {what}")

    def _api(self, request: GatewayRequest) -> Reply:
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
            problem = {"success": False, "message": "", "problem": {"message": reason}}
            return json_reply(200, problem)
        done = route.does(self.state, request)
        return done if isinstance(done, Reply) else json_reply(200, done)

    def _check_form(self, request: GatewayRequest, route: Route) -> None:
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

    def _authorise(self, request: GatewayRequest, *, writes: bool) -> None:
        options = self.state.options
        if "Authorization" in request.headers:
            self.violation(request, "Authorization instead of the gateway's own header")
        if request.headers.get(TOKEN) != options.token:
            raise Refused(401, "Unauthorized")
        if (options.secure_only or options.requires_tls) and not request.is_tls:
            raise Refused(401, "a secure channel is required")
        if not options.can_read:
            raise Refused(403, "Forbidden")
        if writes and not options.can_write:
            raise Refused(options.denies_writes_with, "Forbidden")

    def _error(self, request: GatewayRequest, status: int, message: str) -> Reply:
        document = {"message": message, "url": request.path, "status": str(status)}
        return json_reply(status, document)

    def _ping(self, request: GatewayRequest) -> Reply:
        if request.method != "GET":
            self.violation(request, "wrong method")
            return html(405, "Method not allowed")
        if TOKEN in request.headers:
            self.violation(request, "a token where none is needed")
        if self.state.phase() == "starting":
            return json_reply(200, {"state": "STARTING"})
        if self.state.options.commissioning:
            return json_reply(200, {"state": "RUNNING", "details": "COMMISSIONING"})
        return json_reply(200, {"state": "RUNNING"})

    def _gwinfo(self, request: GatewayRequest) -> Reply:
        if TOKEN in request.headers:
            self.violation(request, "a token where none is needed")
        options = self.state.options
        tls = str(options.requires_tls).lower()
        text = f"ContextStatus=RUNNING;Version={options.version};RequireSsl={tls};"
        return Reply(200, {"Content-Type": "text/plain"}, text.encode())

    def _developer(self, request: GatewayRequest) -> Reply:
        options = self.state.options
        if not options.developer_upload or options.has_api:
            return html(404, "Not found")
        if request.method != "POST":
            self.violation(request, "wrong method")
            return html(405, "Method not allowed")
        if TOKEN in request.headers or "Authorization" in request.headers:
            self.violation(request, "credentials for a servlet that asks for none")
        try:
            data = base64.b64decode(request.file.read_bytes(), validate=True)
        except binascii.Error:
            self.violation(request, "its body isn't Base64")
            return html(500, "Error")
        with tempfile.NamedTemporaryFile(suffix=".modl") as file:
            file.write(data)
            file.flush()
            self.state.load_at_once(read_modl(Path(file.name), file_name=""))
        return Reply(200, {"Content-Type": "text/plain"})


def description(state: State, _: GatewayRequest) -> Document:
    """Return which routes there are, as the API's own description does."""
    if not state.options.described:
        raise Refused(404, "not found")
    paths: dict[str, dict[str, dict[str, str]]] = {
        path: {method.lower(): {} for method in ROUTES[path]} for path in ROUTES
    }
    return {"openapi": "3.1.0", "paths": paths}


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


def html(status: int, title: str) -> Reply:
    """Respond with a page."""
    page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body/></html>"
    return Reply(status, {"Content-Type": "text/html;charset=utf-8"}, page.encode())


ROUTES = _table()
