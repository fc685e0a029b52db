"""Tests with a real runner need the built image: tools/act-check.sh, from `make container`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.act import IMAGE, Act, running_act

collect_ignore_glob = [] if IMAGE else ["test_*.py"]


@pytest.fixture(scope="session")
def act() -> Iterator[Act]:
    # Not below pytest's folder: the path of a socket is short.
    with (
        tempfile.TemporaryDirectory(prefix="ign-deploy-act-") as folder,
        running_act(Path(folder)) as act,
    ):
        yield act
