"""Responses of GitHub: the few fields that are used."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

UPLOADED = "uploaded"
MAX_RELEASE = 64 << 20
"""Bytes: a release may have a thousand files."""

_Id = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Asset(_Part):
    """A file of a release; ``state`` is ``uploaded``, else it isn't whole (``starter``).

    ``digest`` is ``sha256:…``; older servers don't state it.
    """

    id: _Id
    name: str
    state: str
    size: int
    digest: str | None = None

    def holds(self, *, size: int, sha256: str) -> bool:
        """Return whether it is whole, and what a record says, as far as the server states it."""
        same = self.digest in {None, f"sha256:{sha256}"}
        return self.state == UPLOADED and self.size == size and same


class GitHubRelease(_Part):
    """A release, a draft or published."""

    id: _Id
    draft: bool
    tag_name: str
    upload_url: str
    body: str | None = None
    immutable: bool = False
    assets: tuple[Asset, ...] = Field(default=(), strict=False)


class GitHubRepository(_Part):
    """A repository."""

    full_name: str
    archived: bool = False


class GitRef(_Part):
    """A Git reference, such as ``refs/tags/v1``."""

    ref: str


class GitObject(_Part):
    """Any Git object that was made."""

    sha: str


class TreeEntry(_Part):
    """What is in a folder; ``type`` is ``file``, ``dir``, … (in a tree ``blob``, ``tree``)."""

    name: str = ""
    path: str
    type: str
    sha: str


class GitTree(_Part):
    """A folder as Git keeps it; the server may leave some of it out (``truncated``)."""

    tree: tuple[TreeEntry, ...] = Field(strict=False)
    truncated: bool = False


RELEASE = TypeAdapter(GitHubRelease)
RELEASES = TypeAdapter(list[GitHubRelease])
ASSET = TypeAdapter(Asset)
ASSETS = TypeAdapter(list[Asset])
REPOSITORY = TypeAdapter(GitHubRepository)
REFS = TypeAdapter(list[GitRef])
SHA = TypeAdapter(GitObject)
ENTRIES = TypeAdapter(list[TreeEntry])
TREE = TypeAdapter(GitTree)
