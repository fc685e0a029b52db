from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, VirtualTime, running_gateway


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway of 8.3.8 on virtual time; any request outside its API is an error."""
    with running_gateway(clock=VirtualTime()) as running:
        yield running
        assert running.violations == []
