"""What the end-to-end tests share: a working folder with a module, a page and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import Browser, running_browser, static_site
from tests.support.cli import CliWorkspace, make_workspace
from tests.support.page_samples import ordinary_modules, write_site


@pytest.fixture
def workspace(tmp_path: Path) -> CliWorkspace:
    """A folder of its own for each test."""
    return make_workspace(tmp_path)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests; each visit has a profile of its own."""
    with running_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(tmp_path: Path) -> str:
    """The page of ordinary modules, opened from its folder."""
    return write_site(tmp_path / "folder", ordinary_modules()).as_uri()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The same page, served on loopback."""
    write_site(tmp_path / "site", ordinary_modules())
    with static_site(tmp_path / "site") as address:
        yield address
