"""Compares every request and answer with GitHub's own description of its API."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from tests.support.serving import Reply, Request

SUBSET = Path(__file__).parents[2] / "data" / "github" / "openapi-subset.json"
JSON = "application/json"
# Live answers have states that the description lacks.
_STATES = {"starter": "open"}
# These take a path of several parts, which the description's templates don't.
_LONG = ("contents", "git/matching-refs")


class Checker:
    """Holds the description; returns what doesn't fit it."""

    def __init__(self) -> None:
        self._api, self._paths = _description()
        # What was found sound already: most requests are alike, and comparing takes time.
        self._sound: set[tuple[object, ...]] = set()

    def request_problems(self, asked: Request, path: str) -> list[str]:
        """Return what is wrong with a request; ``path`` begins with /repos/."""
        method, body, query = asked.method, asked.body, urlsplit(asked.target).query
        content_type = asked.headers.get("Content-Type", "")
        operation = self._operation(method, path)
        if operation is None:
            return [f"{method} {path}: not in the subset; add it to make_subset.py"]
        # Without a body only the query is left to look at.
        key = (operation["operationId"], query, content_type)
        if not body and key in self._sound:
            return []
        request = self._request(method, path, query, body, content_type)
        found = [
            f"{method} {path}: {type(each).__name__}: {_causes(each)}"
            for each in self._api.iter_request_errors(request)
        ]
        if body and content_type == JSON:
            found += self._unknown_fields(method, path, json.loads(body))
        if not found and not body:
            self._sound.add(key)
        return found

    def response_problems(self, asked: Request, path: str, given: Reply) -> list[str]:
        """Return what is wrong with the simulator's own answer."""
        method, query = asked.method, urlsplit(asked.target).query
        status, body = given.status, given.body
        operation = self._operation(method, path)
        if operation is None:
            return []
        if given.headers.get("Content-Type", JSON) != JSON:
            return []  # raw bytes, as a header requested
        described = operation["responses"].get(str(status))
        if status >= 400:
            document = json.loads(body)
            if not isinstance(document.get("message"), str):
                return [f"{method} {path}: {status} without a message"]
        if described is None:
            # Not everything is described: 401 and 5xx nowhere, 422 not for PATCH of a release.
            return [] if status >= 400 else [f"{method} {path}: {status} isn't described"]
        key = (operation["operationId"], status, body)
        if key in self._sound:
            return []
        text = json.dumps(_with_known_states(json.loads(body))) if body else ""
        request = self._request(method, path, query, b"", JSON)
        response = MockResponse(text.encode(), status, content_type=JSON)
        found = [
            f"{method} {path} -> {status}: {type(each).__name__}: {_causes(each)}"
            for each in self._api.iter_response_errors(request, response)
        ]
        if not found:
            self._sound.add(key)
        return found

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        parts = _described(path).split("/")
        for template, operations in self._paths.items():
            wanted = template.split("/")
            fits = len(wanted) == len(parts) and all(
                want.startswith("{") or want == part
                for want, part in zip(wanted, parts, strict=True)
            )
            if fits and method.lower() in operations and not _is_literal_clash(wanted, parts):
                found: dict[str, Any] = operations[method.lower()]
                return found
        return None

    def _unknown_fields(self, method: str, path: str, document: Any) -> list[str]:
        """Return the fields of a request that GitHub would silently ignore."""
        operation = self._operation(method, path) or {}
        schema = operation["requestBody"]["content"][JSON]["schema"]
        return [f"{method} {path}: unknown field {name}" for name in document
                if name not in schema["properties"]]  # fmt: skip

    def _request(
        self, method: str, path: str, query: str, body: bytes, content_type: str
    ) -> MockRequest:
        return MockRequest(
            "https://api.github.com", method, _described(path), args=dict(parse_qsl(query)),
            data=body, content_type=content_type or JSON,
        )  # fmt: skip


@cache
def _description() -> tuple[OpenAPI, dict[str, Any]]:
    document = json.loads(SUBSET.read_bytes())
    return OpenAPI.from_dict(document), document["paths"]


def _described(path: str) -> str:
    """Return the path as the description's templates take it."""
    for long in _LONG:
        head, found, tail = path.partition(f"/{long}/")
        if found:
            return f"{head}{found}{tail.replace('/', '%2F')}"
    return path


def _is_literal_clash(wanted: list[str], parts: list[str]) -> bool:
    """Return whether ``{release_id}`` would match something that isn't a number."""
    return any(
        want in {"{release_id}", "{asset_id}"} and not unquote(part).isdigit()
        for want, part in zip(wanted, parts, strict=True)
    )


def _with_known_states(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_known_states(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _STATES.get(each, each)
        if key == "state" and isinstance(each, str)
        else _with_known_states(each)
        for key, each in value.items()
    }


def _causes(error: BaseException) -> str:
    cause = error.__cause__
    details = getattr(cause, "schema_errors", ())
    return "; ".join(str(each.message)[:300] for each in details) or str(cause or "")[:300]
