"""The forms of answers, as a conformance report has them, put on those of the simulated gateway."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Self

from ign_deploy.deployment.conformance.redaction import BOOLEAN, MIXED, NUMBER, kind_of, merged
from ign_deploy.deployment.conformance.report import ConformanceReport, Exchange
from tests.support.serving import Reply

PAGE = b"<!DOCTYPE html><html><body>Ignition</body></html>"


@dataclass(frozen=True)
class Answers:
    """Every exchange of a report."""

    exchanges: tuple[Exchange, ...]

    @classmethod
    def of(cls, report: ConformanceReport) -> Self:
        return cls(tuple(each for step in report.steps for each in step.exchanges))

    def to(self, method: str, path: str) -> list[Exchange]:
        """Return those of a method to a path with that end."""
        return [
            each for each in self.exchanges if each.method == method and each.path.endswith(path)
        ]

    def adapt(self, method: str, path: str, reply: Reply, *, is_anonymous: bool) -> Reply:
        """Return the reply in the form of the recorded answers of its kind to that request."""
        known = [
            each
            for each in self.to(method, path)
            if each.path == path
            and each.anonymous == is_anonymous
            and each.status // 100 == reply.status // 100
        ]
        if not known:
            return reply
        form = merged(each.body for each in known)
        if path.startswith("/system/"):
            body = "".join(f"{name}={value};" for name, value in form.items()).encode()
        else:
            body = _body(reply.body, form)
        headers = {**reply.headers, "Content-Type": known[0].type}
        return replace(reply, status=known[0].status, headers=headers, body=body)


def _body(body: bytes, form: Any) -> bytes:
    marks = {"<empty>": b"", "<page>": PAGE, "<text>": b"text"}
    if isinstance(form, str) and form in marks:
        return marks[form]
    try:
        document = json.loads(body)
    except ValueError:
        if not isinstance(form, dict | list):
            return body
        document = {}
    if isinstance(document, dict) and "openapi" in document:
        return body
    return json.dumps(_formed(document, form)).encode()


def _formed(value: Any, form: Any) -> Any:
    """Return the value with the fields and types of the form; a null has none."""
    if isinstance(form, dict) and value is not None:
        known = value if isinstance(value, dict) else {}
        return {
            name: _formed(known[name], each) if name in known else _sample(each)
            for name, each in form.items()
        }
    if isinstance(form, list) and isinstance(value, list):
        return [_formed(each, merged(form)) for each in value] if form else value
    if form is None or value is None or kind_of(form) in (kind_of(value), MIXED):
        return value
    return value if kind_of(form) == NUMBER and isinstance(value, int | float) else _sample(form)


def _sample(form: Any) -> Any:
    """Return a value of that form."""
    if isinstance(form, dict):
        return {name: _sample(each) for name, each in form.items()}
    if isinstance(form, list):
        return []
    return {NUMBER: 1, BOOLEAN: False}.get(form, form) if isinstance(form, str) else form
