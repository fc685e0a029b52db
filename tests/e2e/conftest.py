"""What the end-to-end tests share: a working folder with a key and a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import Workshop, make_workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A folder of its own for each test."""
    return make_workshop(tmp_path)
