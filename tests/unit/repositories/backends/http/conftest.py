from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.serving import serving
from tests.unit.repositories.backends.http.plain_web import PlainWeb


@pytest.fixture
def web() -> Iterator[PlainWeb]:
    with serving(PlainWeb()) as server:
        yield server


@pytest.fixture
def url(web: PlainWeb) -> str:
    return web.url
