from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.deployment_env import PublishedModules
from tests.support.gateway import Gateway, VirtualTime, running_gateway


@pytest.fixture
def gateways() -> Iterator[list[Gateway]]:
    """Three gateways of 8.3.8, each on its own virtual time."""
    with ExitStack() as running:
        found = [running.enter_context(running_gateway(clock=VirtualTime())) for _ in range(3)]
        yield found
        assert [each.violations for each in found] == [[], [], []]


@pytest.fixture
def plant(gateways: list[Gateway]) -> Gateway:
    """The first of them."""
    return gateways[0]


@pytest.fixture
def published(tmp_path: Path) -> PublishedModules:
    """A repository's modules."""
    return PublishedModules(tmp_path)
