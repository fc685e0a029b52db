from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gitlab_packages import World, gitlab_world


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[World]:
    with gitlab_world() as store:
        yield store
