"""Requests of the servers under test that nothing of the machine has an influence on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        # No netrc, no proxy, no REQUESTS_CA_BUNDLE.
        made.trust_env = False
        yield made


@pytest.fixture
def ask(session: requests.Session) -> Callable[..., requests.Response]:
    """Return a function that makes one request of a server: ``ask(server, method, path)``."""

    def call(server: Any, method: str, path: str, **options: Any) -> requests.Response:
        options = {"allow_redirects": False, "timeout": 30, **options}
        return session.request(method, server.url + path, **options)

    return call
