"""Small documents: each is a tag of its own, pointing to a manifest with one layer.

Tags have no conditional write, so an index that two runs write at once is compared with the list of
tags afterwards, by ``ListingGuard``.
"""

from __future__ import annotations

from ign_deploy.errors import RepositoryError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.repositories.backends.oci.blobs import Blobs
from ign_deploy.repositories.backends.oci.client import RegistryClient
from ign_deploy.repositories.backends.oci.manifests import (
    DOCUMENT_ARTIFACT,
    DOCUMENT_TYPE,
    PATH,
    Manifest,
    document_manifest,
)
from ign_deploy.repositories.backends.oci.references import References
from ign_deploy.repositories.backends.oci.tags import FolderTags, document_tag
from ign_deploy.repositories.store import MAX_DOCUMENT_SIZE, Document

_WORKERS = 8


class OciDocuments:
    """See ``store.DocumentStore``."""

    def __init__(self, client: RegistryClient, references: References, blobs: Blobs) -> None:
        self._client = client
        self._references = references
        self._blobs = blobs

    def read(self, path: str) -> Document | None:
        """See ``DocumentStore.read``."""
        title = f"reading {path}"
        found = self._references.find(document_tag(path), title=title)
        if found is None:
            return None
        layer = found.manifest.layer_of(DOCUMENT_TYPE)
        if layer is None or not _is_of(found.manifest, path):
            raise RepositoryError(
                f"the tag {document_tag(path)} holds something else than {path}",
                hint="use a repository that holds nothing but modules published with ign-deploy.",
            )
        data = self._blobs.read(layer, limit=MAX_DOCUMENT_SIZE, title=title)
        return None if data is None else Document(data)

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:  # noqa: ARG002
        """See ``DocumentStore.write``: nothing can be compared, so it is always written."""
        self.add(path, data)
        return True

    def add(self, path: str, data: bytes) -> None:
        """See ``DocumentStore.add``."""
        title = f"writing {path}"
        self._blobs.put_empty()
        self._blobs.put(data, title=title)
        sent = self._references.put(document_tag(path), document_manifest(path, data), title=title)
        # Refused for what may be ours: where tags can't be moved, an acknowledgement got lost.
        if not sent.ok and self.read(path) != Document(data):
            raise self._client.error_for_response(sent)

    def names(self, folder: str) -> list[str]:
        """See ``DocumentStore.names``."""
        tags = FolderTags(folder)
        found: list[str] = []
        hashed: list[str] = []
        for tag in self._references.tags():
            if (name := tags.name(tag)) is not None:
                found.append(name)
            elif tags.is_hashed(tag):
                hashed.append(tag)
        paths = map_parallel(self._path_of, hashed, workers=_WORKERS)
        for tag, path in zip(hashed, paths, strict=True):
            parent, _, name = path.rpartition("/")
            # Whoever wrote the path, it must be the one that the tag is made from.
            if parent == folder and name and document_tag(path) == tag:
                found.append(name)
        return found

    def _path_of(self, tag: str) -> str:
        found = self._references.find(tag, title="listing documents")
        return "" if found is None else found.manifest.annotations.get(PATH, "")


def _is_of(manifest: Manifest, path: str) -> bool:
    return (
        manifest.artifact_type == DOCUMENT_ARTIFACT and manifest.annotations.get(PATH, path) == path
    )
