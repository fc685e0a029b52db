"""Fixtures of the contract suite, and the table that it prints.

`make contract` sets ``IGN_DEPLOY_CONTRACT=all``; else only a slice of the kinds is tried.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.kinds import KINDS, Kind
from tests.contract.opened import Opened

_SLICE = ("folder", "nginx", "s3")
_TRIED = sorted(KINDS if os.environ.get("IGN_DEPLOY_CONTRACT") == "all" else _SLICE)
_HTTP = [name for name in _TRIED if KINDS[name].is_http]
_MARKS = {"passed": "ok", "failed": "FAILED", "error": "ERROR", "skipped": "skipped"}


@pytest.fixture(params=_TRIED)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def store(
    kind: Kind, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[Opened]:
    """An empty store of each kind."""
    yield from _opened(kind, tmp_path, record_property)


@pytest.fixture(params=_HTTP)
def http_kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def http_store(
    http_kind: Kind, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[Opened]:
    """An empty store of each kind that is reached over HTTP."""
    yield from _opened(http_kind, tmp_path, record_property)


def _opened(
    kind: Kind, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[Opened]:
    folder = tmp_path / "store"
    folder.mkdir()
    with kind.open(folder) as opened:
        record_property("server", opened.version)
        yield opened


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print case by kind of store, if more than one kind was tried."""
    cells: dict[str, dict[str, str]] = {}
    versions: dict[str, str] = {}
    for outcome, mark in _MARKS.items():
        for report in terminalreporter.stats.get(outcome, ()):
            _take(report, mark, cells, versions)
    kinds = [name for name in sorted(KINDS) if any(name in row for row in cells.values())]
    if len(kinds) < 2:
        return
    width = max(len(case) for case in cells)
    terminalreporter.section("contract: case x kind of store")
    terminalreporter.write_line(f"{'':<{width}}  " + "  ".join(kinds))
    for case, row in sorted(cells.items()):
        shown = (f"{row.get(name, '-'):<{len(name)}}" for name in kinds)
        terminalreporter.write_line(f"{case:<{width}}  " + "  ".join(shown))
    for name in kinds:
        if versions.get(name):
            terminalreporter.write_line(f"{name}: {versions[name]}")


def _take(
    report: Any, mark: str, cells: dict[str, dict[str, str]], versions: dict[str, str]
) -> None:
    match = re.search(r"tests/contract/\w+\.py::test_(\w+)\[(.*)\]", getattr(report, "nodeid", ""))
    if match is None or getattr(report, "when", "call") not in ("call", "setup"):
        return
    parts = match[2].split("-")
    name = next((each for each in sorted(KINDS, key=len, reverse=True) if _has(parts, each)), None)
    if name is None:
        return
    rest = "-".join(parts).replace(name, "", 1).strip("-")
    case = match[1].replace("_", " ") + (f" ({rest})" if rest else "")
    row = cells.setdefault(case, {})
    if row.get(name) not in ("FAILED", "ERROR"):
        row[name] = mark
    for key, value in getattr(report, "user_properties", ()):
        if key == "server" and value:
            versions[name] = str(value)


def _has(parts: list[str], name: str) -> bool:
    words = name.split("-")
    return any(parts[at : at + len(words)] == words for at in range(len(parts)))
