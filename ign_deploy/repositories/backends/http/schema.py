"""Answers of Nexus and Artifactory: JSON, foreign, read as far as it is needed."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ign_deploy.errors import RepositoryError, explain_validation
from ign_deploy.net.errors import host_of

Answer = TypeVar("Answer", bound="_Answer")


class _Answer(BaseModel):
    # Other fields than these are the server's business.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Checksums(_Answer):
    """Digests of a stored file in hex."""

    sha256: str | None = None


class NexusAsset(_Answer):
    """A file of a raw repository; ``path`` may begin with a slash."""

    path: str
    checksum: Checksums | None = None


class NexusAssets(_Answer):
    """A page of a search."""

    items: Annotated[tuple[NexusAsset, ...], Field(strict=False)]
    token: str | None = Field(default=None, alias="continuationToken")


class NexusComponent(_Answer):
    """One entry of a repository."""

    format: str = ""


class NexusComponents(_Answer):
    """A page of a repository's entries."""

    items: Annotated[tuple[NexusComponent, ...], Field(strict=False)]


class ArtifactoryChild(_Answer):
    """What is in a folder; ``uri`` is its name after a slash."""

    uri: str
    folder: bool = False


class ArtifactoryItem(_Answer):
    """A file, which has checksums, or a folder, which has children."""

    checksums: Checksums | None = None
    children: Annotated[tuple[ArtifactoryChild, ...], Field(strict=False)] | None = None


def parse_answer(kind: type[Answer], data: bytes, *, url: str) -> Answer:
    """Read an answer; raises RepositoryError for what isn't one, without repeating its values."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as cause:
        raise RepositoryError(
            f"{host_of(url)} gave an answer that can't be read: {explain_validation(cause)}",
            hint="check that the repository URL is that of the product its scheme names.",
        ) from None
