"""Responses of Nexus and Artifactory: JSON, untrusted, read as far as it is needed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Part(BaseModel):
    # Other fields than these are the server's business.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Checksums(_Part):
    """Digests of a stored file in hex."""

    sha256: str | None = None


class NexusAsset(_Part):
    """A file of a raw repository; ``path`` may begin with a slash."""

    path: str
    checksum: Checksums | None = None


class NexusAssets(_Part):
    """A page of a search."""

    items: Annotated[tuple[NexusAsset, ...], Field(strict=False)]
    token: str | None = Field(default=None, alias="continuationToken")


class NexusComponent(_Part):
    """One entry of a repository."""

    format: str = ""


class NexusComponents(_Part):
    """A page of a repository's entries."""

    items: Annotated[tuple[NexusComponent, ...], Field(strict=False)]


class ArtifactoryChild(_Part):
    """An entry of a folder; ``uri`` is its name after a slash."""

    uri: str
    folder: bool = False


class ArtifactoryItem(_Part):
    """A file, which has checksums, or a folder, which has children."""

    checksums: Checksums | None = None
    children: Annotated[tuple[ArtifactoryChild, ...], Field(strict=False)] | None = None


NEXUS_ASSETS = TypeAdapter(NexusAssets)
NEXUS_COMPONENTS = TypeAdapter(NexusComponents)
ARTIFACTORY_ITEM = TypeAdapter(ArtifactoryItem)
