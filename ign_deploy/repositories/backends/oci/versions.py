"""Published versions in an OCI registry: each is one manifest under one tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ign_deploy.errors import NotInRepository, RepositoryError, VerificationError
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories.backends.oci.blobs import Blobs
from ign_deploy.repositories.backends.oci.client import RegistryClient
from ign_deploy.repositories.backends.oci.manifests import (
    RECORD_TYPE,
    RELEASE_ARTIFACT,
    Manifest,
    tombstone_manifest,
)
from ign_deploy.repositories.backends.oci.references import Found, References
from ign_deploy.repositories.backends.oci.tags import parse_version_tag, version_tag
from ign_deploy.repositories.record import MAX_RECORD_SIZE, Release, ReleaseFile
from ign_deploy.repositories.store import Key


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
