"""Every kind of store that the contract suite runs against; a new one gets all tests for free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.contract.opened import Opened
from tests.contract.stores_github import github_store
from tests.contract.stores_gitlab import gitlab_store
from tests.contract.stores_http import (
    apache_store,
    artifactory_store,
    lighttpd_store,
    nexus_store,
    nginx_store,
    rclone_store,
    sabre_store,
    wsgidav_store,
)
from tests.contract.stores_oci import oci_store
from tests.contract.stores_s3 import s3_habits_store, s3_store, s3_swift_store

Open = Callable[[Path], AbstractContextManager[Opened]]


@contextmanager
def folder_store(folder: Path) -> Iterator[Opened]:
    """Return a folder, which needs no server."""
    yield Opened((folder / "repository").as_uri())


@dataclass(frozen=True)
class Kind:
    """A kind of store: ``schemes`` are those of ``BACKENDS`` that it covers.

    ``creates_once``: the store itself lets one of several writers win; without it, only our own
    runs are kept apart; None if the probe may find either. ``open`` makes an empty store of it in
    a folder.
    """

    schemes: tuple[str, ...]
    open: Open
    creates_once: bool | None = True
    is_http: bool = True
    checks_credentials: bool = True


KINDS: Mapping[str, Kind] = {
    "folder": Kind(("file",), folder_store, is_http=False),
    "github": Kind(("github",), github_store),
    "gitlab": Kind(("gitlab",), gitlab_store),
    "artifactory": Kind(("artifactory+http", "artifactory+https"), artifactory_store),
    "nexus": Kind(("nexus+http", "nexus+https"), nexus_store),
    "nginx": Kind(("http", "https"), nginx_store),
    "apache": Kind(("http", "https"), apache_store),
    "lighttpd": Kind(("http", "https"), lighttpd_store),
    "wsgidav": Kind(("http", "https"), wsgidav_store),
    # Says that it made a collection that is there already.
    "rclone": Kind(("http", "https"), rclone_store, creates_once=False),
    # Two writers at once may be told that both made a collection; a probe meets that sometimes.
    "sabre": Kind(("http", "https"), sabre_store, creates_once=None),
    "oci": Kind(("oci",), oci_store, creates_once=False),
    "s3": Kind(("s3",), s3_store, checks_credentials=False),
    "s3-habits": Kind(("s3",), s3_habits_store, checks_credentials=False),
    "s3-swift": Kind(("s3",), s3_swift_store, creates_once=False),
}
