"""Published versions and small documents in an OCI registry: each is one manifest under one tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ign_deploy.errors import NotInRepository, RepositoryError, VerificationError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories.backends.oci.blobs import Blobs
from ign_deploy.repositories.backends.oci.client import RegistryClient
from ign_deploy.repositories.backends.oci.manifests import (
    DOCUMENT_ARTIFACT,
    DOCUMENT_TYPE,
    PATH,
    RECORD_TYPE,
    RELEASE_ARTIFACT,
    Manifest,
    document_manifest,
    probe_manifest,
    tombstone_manifest,
)
from ign_deploy.repositories.backends.oci.references import (
    HASHED,
    FolderTags,
    Found,
    References,
    document_tag,
    mark_tag,
    parse_version_tag,
    version_tag,
)
from ign_deploy.repositories.record import MAX_RECORD_SIZE, Release, ReleaseFile
from ign_deploy.repositories.status_events import status_folder
from ign_deploy.repositories.store import MAX_DOCUMENT_SIZE, Document, Key

_WORKERS = 8
_MARKING = "looking for other runs that write the indexes"


class OciVersions:
    """See ``store.VersionStore``."""

    def __init__(
        self, client: RegistryClient, references: References, blobs: Blobs, *, reporter: Reporter
    ) -> None:
        self._client = client
        self._references = references
        self._blobs = blobs
        self._reporter = reporter

    def read_record(self, key: Key) -> bytes | None:
        """See ``VersionStore.read_record``."""
        found = self._find(key)
        return None if found is None else self._record_of(key, found)

    def copy_file(self, key: Key, file: ReleaseFile, *, to: BinaryIO, progress: Progress) -> None:
        """See ``VersionStore.copy_file``."""
        found = self._find(key)
        layers = [] if found is None else found.manifest.layers
        named = [layer for layer in layers if layer.title == file.name]
        if not named:
            raise NotInRepository(
                f"{key.id} {key.version} has no file {file.name} in the registry",
                hint="restore it from a backup, or publish the next version.",
            )
        if [(each.digest, each.size) for each in named] != [(f"sha256:{file.sha256}", file.size)]:
            raise VerificationError(
                f"{file.name} of {key.id} {key.version} has another digest or size in the registry "
                "than in its record",
                hint="find out who changed the tag; don't install this module.",
            )
        self._blobs.receive(named[0], to=to, expected=file, progress=progress)

    def versions(self, module_id: str | None = None) -> Iterator[Key]:
        """See ``VersionStore.versions``."""
        for tag in self._references.tags():
            key = parse_version_tag(tag)
            if key is not None and module_id in {None, key.id}:
                yield key

    def listing(self) -> Iterator[Key]:
        """See ``ListingGuard``; one list has all tags."""
        tags = set(self._references.tags())
        keys = [key for tag in tags if (key := parse_version_tag(tag)) is not None]
        yield from keys
        prefixes = (document_tag(status_folder("")), HASHED)
        events = [tag for tag in tags if tag.startswith(prefixes)]
        for module_id in {key.id for key in keys}:
            folder = FolderTags(status_folder(module_id))
            yield from (Key(module_id, "") for tag in events if folder.has(tag))

    def discard(self, key: Key, release: Release) -> None:
        """See ``VersionStore.discard``: the tag keeps the record; the registry cleans up.

        The manifest with the files is deleted where the registry does that.
        """
        found = self._find(key)
        if found is None or _is_tombstone(found.manifest):
            return
        title = f"removing {key.id} {key.version}"
        manifest = tombstone_manifest(release, self._record_of(key, found))
        sent = self._references.put(version_tag(key), manifest, title=title)
        if not sent.ok:
            raise self._client.error_for_response(sent)
        if not self._references.delete(found.digest, title=title):
            self._reporter.info(
                f"the registry doesn't delete: the files of {key.id} {key.version} can still be "
                f"read by who knows {found.digest}, until its own clean-up of untagged manifests"
            )

    def _find(self, key: Key) -> Found | None:
        return self._references.find(version_tag(key), title=f"reading {key.id} {key.version}")

    def _record_of(self, key: Key, found: Found) -> bytes:
        layer = found.manifest.layer_of(RECORD_TYPE)
        if found.manifest.artifact_type != RELEASE_ARTIFACT or layer is None:
            raise RepositoryError(
                f"the tag {version_tag(key)} of {self._client.location.shown} holds something else "
                f"than {key.id} {key.version}",
                hint="find out who pushed it; move it to another repository.",
            )
        title = f"reading the record of {key.id} {key.version}"
        data = self._blobs.read(layer, limit=MAX_RECORD_SIZE, title=title)
        if data is None:
            raise RepositoryError(
                f"the record of {key.id} {key.version} is gone from the registry",
                hint="restore the registry's storage from a backup.",
            )
        return data


def _is_tombstone(manifest: Manifest) -> bool:
    return [layer.media_type for layer in manifest.layers] == [RECORD_TYPE]


class OciDocuments:
    """See ``store.DocumentStore``.

    Tags have no conditional write, so an index that two runs write at once is compared with the
    list of tags afterwards, by ``MarkGuard``.
    """

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


class OciMarks:
    """See ``index_guard.Marks``: each is a tag whose manifest has the text."""

    def __init__(self, client: RegistryClient, references: References, blobs: Blobs) -> None:
        self._client = client
        self._references = references
        self._blobs = blobs

    def read(self, name: str) -> str:
        """See ``Marks.read``."""
        found = self._references.find(mark_tag(name), title=_MARKING)
        return "" if found is None else found.manifest.annotations.get(PATH, "")

    def write(self, name: str, text: str) -> None:
        """See ``Marks.write``."""
        self._blobs.put_empty()
        sent = self._references.put(mark_tag(name), probe_manifest(text), title=_MARKING)
        if not sent.ok:
            raise self._client.error_for_response(sent)


def _is_of(manifest: Manifest, path: str) -> bool:
    return (
        manifest.artifact_type == DOCUMENT_ARTIFACT and manifest.annotations.get(PATH, path) == path
    )
