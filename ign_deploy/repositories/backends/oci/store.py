"""A repository of an OCI registry as a store: a version is one manifest under one tag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import NotInRepository, RepositoryError, VerificationError
from ign_deploy.net.response import ANY_STATUS
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.access import Patience
from ign_deploy.repositories.backends.oci.blobs import Blobs
from ign_deploy.repositories.backends.oci.client import RegistryClient
from ign_deploy.repositories.backends.oci.documents import OciDocuments
from ign_deploy.repositories.backends.oci.immutability import Immutability
from ign_deploy.repositories.backends.oci.manifests import (
    RECORD_TYPE,
    RELEASE_ARTIFACT,
    Manifest,
    tombstone_manifest,
)
from ign_deploy.repositories.backends.oci.publisher import OciPublisher
from ign_deploy.repositories.backends.oci.references import Found, References
from ign_deploy.repositories.backends.oci.tags import parse_version_tag, version_tag
from ign_deploy.repositories.record import MAX_RECORD_SIZE, Release, ReleaseFile
from ign_deploy.repositories.store import Claim, Document, Key

_MOVABLE = (
    "Tags of this registry can be moved, so only runs of ign-deploy are kept from publishing a "
    "version twice, by claims and waiting; another program could replace it. Where the registry "
    "has immutable tags (Harbor, Amazon ECR, Docker Hub, GitLab), switch them on for all tags that "
    "don't begin with '_', and add ?immutable-tags=true to the repository URL."
)


class OciStore:
    """See ``stores.Store``."""

    def __init__(self, client: RegistryClient, *, patience: Patience, reporter: Reporter) -> None:
        self._client = client
        self._reporter = reporter
        self._references = References(client)
        self._blobs = Blobs(client)
        self._documents = OciDocuments(client, self._references, self._blobs)
        self._immutability = (
            Immutability(client, self._references, self._blobs)
            if client.location.immutable
            else None
        )
        self._press = OciPublisher(
            client,
            self._references,
            self._blobs,
            immutability=self._immutability,
            patience=patience,
            reporter=reporter,
        )

    def probe(self) -> Capabilities:
        """See ``Store.probe``: logs in, and begins an upload that is taken back at once."""
        url = f"{self._client.location.api}/v2/"
        response = self._client.request("GET", url, title="checking the registry", expect={404})
        if not response.ok:
            raise response.failure(
                f"{self._client.location.host} is not an OCI registry: it returned 404",
                hint="check the host and port in the repository URL.",
            )
        obstacle = self._push_obstacle()
        # Trying it leaves a tag behind, so only where we could publish.
        once = self._immutability is not None and not obstacle and self._immutability.holds()
        return Capabilities(
            location=self._client.location.shown,
            writable=not obstacle,
            obstacle=obstacle,
            create_once=once,
            compare_and_swap=False,
            server_digest=True,
            resume=True,
            remarks=() if once else (_MOVABLE,),
        )

    def now(self) -> datetime:
        """See ``Store.now``."""
        return self._client.now()

    def location(self, key: Key) -> str:
        """See ``Store.location``: what `oras pull` takes, after the scheme."""
        return f"{self._client.location.shown}:{version_tag(key)}"

    # VersionStore

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

    # Publisher

    def current_claim(self, key: Key) -> Claim | None:
        """See ``Publisher.current_claim``."""
        return self._press.current_claim(key)

    def claim(self, key: Key, claim: Claim) -> bool:
        """See ``Publisher.claim``."""
        return self._press.claim(key, claim)

    def put_files(
        self, key: Key, release: Release, *, files: Mapping[str, Path], progress: Progress
    ) -> None:
        """See ``Publisher.put_files``; blobs belong to no version, so nobody's are replaced."""
        for file in release.files:
            title = f"uploading {file.name} of {key.id} {key.version}"
            self._blobs.send(files[file.name], expected=file, title=title, progress=progress)

    def put_record(self, key: Key, claim: Claim, record: bytes) -> None:
        """See ``Publisher.put_record``."""
        self._press.put_record(key, claim, record)

    # DocumentStore

    def read(self, path: str) -> Document | None:
        """See ``DocumentStore.read``."""
        return self._documents.read(path)

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``DocumentStore.write``."""
        return self._documents.write(path, data, replaces=replaces)

    def add(self, path: str, data: bytes) -> None:
        """See ``DocumentStore.add``."""
        self._documents.add(path, data)

    def names(self, folder: str) -> list[str]:
        """See ``DocumentStore.names``."""
        return self._documents.names(folder)

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

    def _push_obstacle(self) -> str:
        """Return why nothing can be pushed, empty if it can; nothing stays of the attempt."""
        title = "checking the permission to push"
        begun = self._blobs.begin(title=title)
        if begun.status not in {201, 202}:
            problem = self._client.error_for_response(begun)
            return f"{problem.message}; {problem.hint}"
        session = self._blobs.session(begun)
        self._client.request("DELETE", session, title=title, expect=ANY_STATUS)
        return ""


def _is_tombstone(manifest: Manifest) -> bool:
    return [layer.media_type for layer in manifest.layers] == [RECORD_TYPE]
