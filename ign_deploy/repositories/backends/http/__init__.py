"""Modules on a web server: WebDAV or plain HTTP, Sonatype Nexus (raw), JFrog Artifactory (generic).

``https://host/folder``, ``nexus+https://host/repository/name`` and
``artifactory+https://host/artifactory/name``; each also with ``http``, for a machine's own servers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ign_deploy.report import Reporter
from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access

if TYPE_CHECKING:
    from ign_deploy.repositories.backends.http.base import HttpObjects


def open_http(url: str, access: Access, reporter: Reporter) -> Repository:
    """Return the repository at a URL whose scheme says which kind of server it is.

    Nothing is asked yet; over http to another machine there is a warning. Raises ConfigurationError
    for a URL that is none, and for credentials that anyone on the way could read.
    """
    from ign_deploy.repositories.backends.http.artifactory import ArtifactoryObjects
    from ign_deploy.repositories.backends.http.client import Client
    from ign_deploy.repositories.backends.http.location import find_place
    from ign_deploy.repositories.backends.http.nexus import NexusObjects
    from ign_deploy.repositories.backends.http.webdav import WebDavObjects
    from ign_deploy.repositories.backends.object_store import PathStore
    from ign_deploy.repositories.repository import StoredRepository

    kinds: dict[str, Callable[[Client], HttpObjects]]
    kinds = {"": WebDavObjects, "nexus": NexusObjects, "artifactory": ArtifactoryObjects}
    place = find_place(url, access=access, reporter=reporter)
    client = Client(place, access=access, reporter=reporter)
    objects = kinds[place.kind](client)
    store = PathStore(objects, reporter=reporter)
    return StoredRepository(store, reporter=reporter, access=access, has_page=True)
