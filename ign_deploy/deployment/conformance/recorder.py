"""Recording what a gateway is asked and answers, step by step, reduced to what may be published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from ign_deploy.deployment.conformance import PROBE_ID
from ign_deploy.deployment.conformance.redaction import STRING, Redactor
from ign_deploy.deployment.conformance.report import Exchange, RecordedStep
from ign_deploy.errors import IgnDeployError
from ign_deploy.net.errors import TransientFailure, TransientResponse

if TYPE_CHECKING:
    from ign_deploy.deployment.gateway.client import SentRequest
    from ign_deploy.net.response import Response

_ROUTES = ("/modules/", "/restart-tasks/", "/gateway-info")
_HEADERS = ("Location", "Retry-After", "Set-Cookie", "WWW-Authenticate")
_IDENTITY = ("name", "hostname", "redundantPeerAddress")
_MOST_EXCHANGES, _MOST_STATES = 200, 100


@dataclass
class ExchangeRecorder:
    """Gets every request of a gateway client; ``steps`` is what it recorded.

    ``on_step`` is called at the end of each step, so that even a run that is killed leaves a
    report.
    """

    redactor: Redactor
    clock: Callable[[], float]
    on_step: Callable[[], object] = lambda: None
    steps: list[RecordedStep] = field(default_factory=list)
    _exchanges: list[Exchange] = field(default_factory=list)
    _states: list[str] = field(default_factory=list)
    _last: dict[str, str] = field(default_factory=dict)
    _before: float = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Record a step; an error is noted, and raised again."""
        self._exchanges, self._states = [], []
        start = self._before = self.clock()
        problem = "it was interrupted"
        try:
            yield
            problem = ""
        except IgnDeployError as cause:
            problem = self.redactor.text(cause.message)
            raise
        finally:
            self.steps.append(
                RecordedStep(
                    name=name,
                    result="failed" if problem else "done",
                    problem=problem,
                    seconds=round(self.clock() - start, 1),
                    states=tuple(self._states),
                    exchanges=tuple(self._exchanges),
                )
            )
            self.on_step()

    def may_have_done(self, path: str) -> bool:
        """Return whether a change at that path was requested, and not plainly rejected."""
        return any(
            exchange.method == "POST"
            and exchange.path.endswith(path)
            and not 400 <= exchange.status < 500
            for step in self.steps
            for exchange in step.exchanges
        )

    def __call__(self, request: SentRequest, result: Response | IgnDeployError, /) -> None:
        """Record an attempt; one that equals an earlier one of the step is only counted."""
        now = self.clock()
        milliseconds, self._before = round((now - self._before) * 1000), now
        exchange = self._exchange(request, result).model_copy(update={"milliseconds": milliseconds})
        self._note_state(exchange)
        for number, known in enumerate(self._exchanges):
            slowest = max(known.milliseconds, milliseconds)
            update = {"milliseconds": slowest, "times": known.times}
            if exchange.model_copy(update=update) == known.model_copy(update=update):
                update["times"] += 1
                self._exchanges[number] = known.model_copy(update=update)
                return
        if len(self._exchanges) < _MOST_EXCHANGES:
            self._exchanges.append(exchange)

    def _exchange(self, request: SentRequest, result: Response | IgnDeployError) -> Exchange:
        parts = urlsplit(request.path)
        asked = Exchange(
            method=request.method,
            path=parts.path,
            query={name: _known_value(value) for name, value in parse_qsl(parts.query)},
            sends=self._sent(request),
            anonymous=request.is_anonymous,
        )
        if isinstance(result, IgnDeployError):
            return asked.model_copy(update=self._failure(result))
        kind = result.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return asked.model_copy(
            update={
                "status": result.status,
                "type": kind if kind.isascii() and kind.isprintable() else "",
                "headers": {
                    name: _header(name, value)
                    for name in _HEADERS
                    if (value := result.headers.get(name)) is not None
                },
                "body": self._body(parts.path, result),
            }
        )

    def _failure(self, problem: IgnDeployError) -> dict[str, Any]:
        if isinstance(problem, TransientResponse):
            return {"status": problem.status}
        if isinstance(problem, TransientFailure):
            return {"failure": "no response in time" if problem.timed_out else "closed"}
        return {"failure": self.redactor.text(problem.message)}

    def _sent(self, request: SentRequest) -> Any:
        if not len(request.body):
            return None
        kind = request.headers.get("Content-Type", "")
        if isinstance(request.body, bytes) and kind == "application/json":
            return self.redactor.document(json.loads(request.body))
        return kind

    def _body(self, path: str, response: Response) -> Any:
        text = response.body.strip()
        if not text:
            return "<empty>"
        if path.startswith("/system/"):
            shown = text.decode("utf-8", errors="replace")
            pairs = (each.strip().partition("=") for each in shown.split(";"))
            return self.redactor.document({name: value for name, mark, value in pairs if mark})
        try:
            document = response.json()
        except ValueError:
            return "<page>" if text[:1] == b"<" else "<text>"
        if path.endswith("/gateway-info") and isinstance(document, dict):
            # Known from here on, also where an explanation repeats it.
            self.redactor.learn(document.get(name) for name in _IDENTITY)
        if path == "/openapi.json" and isinstance(document, dict):
            return self._description(document)
        return self.redactor.document(document)

    def _description(self, document: dict[str, Any]) -> Any:
        """Return which of the routes are described that we need: all of them are megabytes."""
        paths = document.get("paths")
        known = {
            path: sorted(method.upper() for method in methods)
            for path, methods in (paths.items() if isinstance(paths, dict) else ())
            if any(each in path for each in _ROUTES) and isinstance(methods, dict)
        }
        return [f"{' '.join(methods)} {path}"[:120] for path, methods in sorted(known.items())][:40]

    def _note_state(self, exchange: Exchange) -> None:
        """Note a state of the gateway or of the probe, if it is another than before."""
        if exchange.path == "/StatusPing":
            subject, state = "gateway", _gateway_state(exchange)
        elif exchange.path.endswith(("modules/healthy", "modules/quarantined")):
            subject = exchange.path.rpartition("/")[2]
            if exchange.status != 200 or not isinstance(exchange.body, dict):
                return
            state = _probe_state(exchange.body)
        else:
            return
        line = f"{subject}: {state}"
        if self._last.get(subject) != line and len(self._states) < _MOST_STATES:
            self._last[subject] = line
            self._states.append(line)


def _gateway_state(exchange: Exchange) -> str:
    body = exchange.body if isinstance(exchange.body, dict) else {}
    words = [str(body[name]) for name in ("state", "details") if body.get(name)]
    return " ".join(words) or "down"


def _probe_state(page: dict[str, Any]) -> str:
    items = page.get("items")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and item.get("id") == PROBE_ID:
            parts = [str(item[name]) for name in ("version", "state") if item.get(name)]
            if item.get("shouldUpgrade") is True:
                parts.append("(to be upgraded)")
            return " ".join(parts)
    return "no probe"


def _known_value(value: str) -> str:
    is_known = PROBE_ID in value or value.isdecimal() or value in ("true", "false")
    return value[:80] if is_known else STRING


def _header(name: str, value: str) -> str:
    """Return what of a header may be published: a scheme, a number, or that it is there."""
    first = value.partition(" ")[0]
    if name == "WWW-Authenticate" and first.isascii() and first.isalpha():
        return first[:20]
    return value[:10] if value.isdecimal() else STRING
