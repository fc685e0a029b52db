"""Modules on a web server: WebDAV or plain HTTP, Sonatype Nexus (raw), JFrog Artifactory (generic).

``https://host/folder``, ``nexus+https://host/repository/name`` and
``artifactory+https://host/artifactory/name``; each also with ``http``, for a machine's own servers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.folder_claims import folder_store
from ign_deploy.repositories.backends.http.artifactory import ArtifactoryObjectStore
from ign_deploy.repositories.backends.http.base import HttpObjectStore
from ign_deploy.repositories.backends.http.location import find_http_location
from ign_deploy.repositories.backends.http.nexus import NexusObjectStore
from ign_deploy.repositories.backends.http.webdav import WebDavObjectStore
from ign_deploy.repositories.backends.object_store import object_store
from ign_deploy.repositories.store import Store


def open_http(url: str, access: Access) -> Store:
    """Return the store at a URL whose scheme says which kind of server it is.

    Nothing is requested yet; plain http to another machine is a warning. Raises ConfigurationError
    for an invalid URL, and for credentials that would be sent unencrypted.
    """
    kinds: dict[str, Callable[..., HttpObjectStore]] = {
        "": WebDavObjectStore,
        "nexus": NexusObjectStore,
        "artifactory": ArtifactoryObjectStore,
    }
    location = find_http_location(url, access=access)
    objects = kinds[location.kind](location, access=access)
    if isinstance(objects, WebDavObjectStore):
        return replace(folder_store(objects, access=access), describe=objects.describe)
    store = object_store(objects, access=access)
    # Nexus isolates the page (`sandbox` in its Content-Security-Policy), unless set up otherwise.
    return replace(store, has_scripts=isinstance(objects, NexusObjectStore))
