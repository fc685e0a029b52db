"""What goes over the wire to and from a simulated gateway."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked; ``body`` is the file that holds it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: Path
    is_tls: bool

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def size(self) -> int:
        return self.body.stat().st_size


@dataclass(frozen=True)
class Response:
    """What is answered; ``cut`` breaks the connection in the middle of it."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False


def as_json(document: Any, *, status: int = 200) -> Response:
    return Response(status, json.dumps(document).encode())


def html(status: int, title: str) -> Response:
    page_text = f"<!DOCTYPE html><html><head><title>{title}</title></head><body/></html>"
    return Response(status, page_text.encode(), "text/html;charset=utf-8")
