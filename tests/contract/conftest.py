"""Fixtures of the contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.kinds import KINDS, Kind
from tests.contract.opened import Opened

_HTTP = sorted(name for name, kind in KINDS.items() if kind.is_http)


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def store(kind: Kind, tmp_path: Path) -> Iterator[Opened]:
    """An empty store of each kind."""
    folder = tmp_path / "store"
    folder.mkdir()
    with kind.open(folder) as opened:
        yield opened


@pytest.fixture(params=_HTTP)
def http_kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def http_store(http_kind: Kind, tmp_path: Path) -> Iterator[Opened]:
    """An empty store of each kind that is reached over HTTP."""
    folder = tmp_path / "store"
    folder.mkdir()
    with http_kind.open(folder) as opened:
        yield opened
