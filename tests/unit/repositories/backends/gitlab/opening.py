"""The repository of an opened project, and what is published and fetched there."""

from __future__ import annotations

import io
from pathlib import Path

from ign_deploy.repositories import Publication, Repository
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.store import Key, Store
from tests.support.gitlab_packages import World
from tests.support.releases import release_of
from tests.support.stores import store_below

KEY = Key("com.acme.thing", "1.0.0")


def repository(opened: World) -> Repository:
    """Open the repository again, as another run would."""
    return open_repository(opened.url, access=opened.access())


def store(opened: World) -> Store:
    """Return the store below the repository."""
    return store_below(open_repository(opened.url, access=opened.access()))


def fetched(opened: World, version: str = "1.0.0") -> bytes:
    """Download a module."""
    target = io.BytesIO()
    repository(opened).fetch("com.acme.thing", version=version, to=target)
    return target.getvalue()


def publish(opened: World, folder: Path, content: bytes, **fields: str) -> Publication:
    """Publish a module of this content."""
    release, files = release_of(folder, content=content, **fields)
    return repository(opened).publish(release, files=files)
