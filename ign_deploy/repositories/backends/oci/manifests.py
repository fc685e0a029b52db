"""Manifests (OCI image specification 1.1): ours as bytes, and untrusted ones read strictly."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from ign_deploy.errors import RepositoryError, explain_validation
from ign_deploy.repositories.record import RECORD_NAME, FileRole, Release

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
RELEASE_ARTIFACT = "application/vnd.ign-deploy.release.v1"
CLAIM_ARTIFACT = "application/vnd.ign-deploy.claim.v1"
DOCUMENT_ARTIFACT = "application/vnd.ign-deploy.document.v1"
RECORD_TYPE = "application/vnd.ign-deploy.release.v1+json"
CLAIM_TYPE = "application/vnd.ign-deploy.claim.v1+json"
DOCUMENT_TYPE = "application/vnd.ign-deploy.document.v1+json"

TITLE = "org.opencontainers.image.title"
PATH = "vnd.ign-deploy.path"
GENERATION = "vnd.ign-deploy.generation"
MAX_MANIFEST_SIZE = 4 << 20
EMPTY = b"{}"
"""The content of a configuration that says nothing."""

_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_FILE_TYPES = {
    FileRole.MODULE: "application/vnd.ign-deploy.module.v1+zip",
    FileRole.BUNDLE: "application/zip",
    FileRole.SBOM: "application/vnd.cyclonedx+json",
    FileRole.PROVENANCE: "application/vnd.in-toto+json",
}
_OTHER_TYPE = "application/octet-stream"
_MAX_ANNOTATION = 1000
_MOST_EMBEDDED = 128 << 10

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}\z")]
Size = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Descriptor(BaseModel):
    """A blob as a manifest names it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    media_type: Annotated[str, Field(alias="mediaType", max_length=255)]
    digest: Digest
    size: Size
    annotations: dict[str, str] = Field(default_factory=dict)
    data: Annotated[str, Field(max_length=2 * _MOST_EMBEDDED)] = ""

    @property
    def content(self) -> bytes | None:
        """The blob, if the manifest holds it and it has the digest; it saves a request."""
        try:
            content = base64.b64decode(self.data, validate=True)
        except ValueError:
            return None
        return content if self.data and digest_of(content) == self.digest else None

    @property
    def title(self) -> str:
        """The file's name; empty where it has none."""
        return self.annotations.get(TITLE, "")


class Manifest(BaseModel):
    """A manifest, as far as we use it; ``artifact_type`` says whose it is."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    schema_version: Annotated[Literal[2], Field(alias="schemaVersion")]
    media_type: Annotated[
        Literal["", "application/vnd.oci.image.manifest.v1+json"], Field(alias="mediaType")
    ] = ""
    artifact_type: Annotated[str, Field(alias="artifactType", max_length=255)] = ""
    layers: Annotated[tuple[Descriptor, ...], Field(strict=False, max_length=1000)]
    annotations: dict[str, str] = Field(default_factory=dict)

    def layer_of(self, media_type: str) -> Descriptor | None:
        """Return the one layer of a media type; None if there is none, or more than one."""
        found = [layer for layer in self.layers if layer.media_type == media_type]
        return found[0] if len(found) == 1 else None


def parse_manifest(data: bytes, *, location: str) -> Manifest:
    """Parse an untrusted manifest; raises RepositoryError without repeating its values."""
    try:
        return Manifest.model_validate(from_json(data, allow_inf_nan=False))
    except ValidationError as cause:
        reason = explain_validation(cause)
    except ValueError:
        reason = "it is not JSON"
    raise RepositoryError(
        f"{location} is not a valid image manifest: {reason}",
        hint="use a repository that holds nothing but modules published with ign-deploy.",
    )


def digest_of(data: bytes) -> str:
    """Return the digest of a blob or a manifest, as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def release_manifest(release: Release, record: bytes) -> bytes:
    """Return the manifest of a published version: its record, and its files by name."""
    files = [
        {
            "mediaType": _file_type(file.role),
            "digest": f"sha256:{file.sha256}",
            "size": file.size,
            "annotations": {TITLE: file.name},
        }
        for file in release.files
    ]
    return _manifest(RELEASE_ARTIFACT, [_record_layer(record), *files], _about(release))


def tombstone_manifest(release: Release, record: bytes) -> bytes:
    """Return the manifest of a version whose files were removed: its record alone."""
    return _manifest(RELEASE_ARTIFACT, [_record_layer(record)], _about(release))


def claim_manifest(data: bytes, *, generation: int) -> bytes:
    """Return the manifest of a claim."""
    layers = [_layer(CLAIM_TYPE, data)]
    return _manifest(CLAIM_ARTIFACT, layers, {GENERATION: str(generation)})


def document_manifest(path: str, data: bytes) -> bytes:
    """Return the manifest of a small document."""
    layers = [_layer(DOCUMENT_TYPE, data, title=path.rpartition("/")[2], is_embedded=True)]
    return _manifest(DOCUMENT_ARTIFACT, layers, {PATH: path})


def probe_manifest(text: str) -> bytes:
    """Return a manifest that differs with the text."""
    return _manifest(DOCUMENT_ARTIFACT, [_layer(_EMPTY_TYPE, EMPTY)], {PATH: text})


def _manifest(
    artifact_type: str, layers: Iterable[Mapping[str, object]], annotations: Mapping[str, str]
) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": artifact_type,
        "config": _layer(_EMPTY_TYPE, EMPTY),
        "layers": list(layers),
        "annotations": dict(annotations),
    }
    return json.dumps(document, sort_keys=True, ensure_ascii=False).encode()


def _record_layer(record: bytes) -> dict[str, object]:
    return _layer(RECORD_TYPE, record, title=RECORD_NAME, is_embedded=True)


def _layer(
    media_type: str, data: bytes, *, title: str = "", is_embedded: bool = False
) -> dict[str, object]:
    layer: dict[str, object] = {
        "mediaType": media_type,
        "digest": digest_of(data),
        "size": len(data),
    }
    if is_embedded and len(data) <= _MOST_EMBEDDED:
        layer["data"] = base64.b64encode(data).decode()
    return {**layer, "annotations": {TITLE: title}} if title else layer


def _file_type(role: str) -> str:
    return _FILE_TYPES[FileRole(role)] if role in set(FileRole) else _OTHER_TYPE


def _about(release: Release) -> dict[str, str]:
    """Return what a registry's own page may show of the version."""
    texts = {
        TITLE: release.name,
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.description": release.description,
        "org.opencontainers.image.created": release.published_at,
        "org.opencontainers.image.revision": release.commit,
        "vnd.ign-deploy.module-id": release.id,
        "vnd.ign-deploy.required-ignition-version": release.required_ignition_version,
        "vnd.ign-deploy.signer-sha256": release.certificate.sha256,
        "vnd.ign-deploy.signer-sha1": release.certificate.sha1,
    }
    return {name: text[:_MAX_ANNOTATION] for name, text in texts.items() if text}
