"""What the end-to-end tests share: a working folder with a key and a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import CliWorkspace, make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> CliWorkspace:
    """A folder of its own for each test."""
    return make_workspace(tmp_path)
