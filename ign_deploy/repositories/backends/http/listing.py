"""What servers list: WebDAV, nginx, Nexus and Artifactory; untrusted, and read as far as needed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ign_deploy.errors import ConfigurationError, RepositoryError
from ign_deploy.net.credentials import origin
from ign_deploy.net.errors import host_of
from ign_deploy.net.response import parse_xml
from ign_deploy.repositories.backends.object_store import Name

MAX_LISTING = 32 << 20
_DAV = "{DAV:}"
PROPFIND_BODY = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<propfind xmlns="DAV:"><prop><resourcetype/></prop></propfind>'
)


def parse_multistatus(data: bytes, *, url: str) -> list[Name]:
    """Return what is directly in the folder at ``url``, from the response to a PROPFIND of depth 1.

    An entry of another host, or outside the folder, or deeper in it, is skipped. Raises
    RepositoryError for any other response, and for one about another folder: an empty listing
    would be mistaken for an empty folder.
    """
    folder = _parts(url, base=url)
    if folder is None:
        raise ConfigurationError("the repository's URL has no plain path", hint="correct the URL.")
    found: dict[str, bool] = {}
    about_folder = False
    for href, is_folder in _entries(data, url=url):
        parts = _parts(href, base=url)
        if parts is None or parts[: len(folder)] != folder:
            continue
        if len(parts) == len(folder):
            about_folder = True
        elif len(parts) == len(folder) + 1:
            found[parts[-1]] = is_folder
    if not about_folder:
        raise _unreadable(url, "it is about another folder than the requested one")
    return [Name(text, is_folder) for text, is_folder in found.items()]


def parse_json_listing(data: bytes, *, url: str) -> list[Name]:
    """Return what nginx (``autoindex_format json``) says is in a folder.

    Raises RepositoryError for anything else.
    """
    try:
        listed: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise _unreadable(url, "it isn't JSON") from None
    if not isinstance(listed, list):
        raise _unreadable(url, "it is not a list")
    return list(plain_names(_pairs(listed)))


def plain_names(pairs: Iterable[tuple[object, bool]]) -> Iterator[Name]:
    """Yield the untrusted names that are one component of a path, each once."""
    seen: set[str] = set()
    for text, is_folder in pairs:
        if isinstance(text, str) and is_plain(text) and text not in seen:
            seen.add(text)
            yield Name(text, is_folder)


def is_plain(text: str) -> bool:
    """Return whether an untrusted text is one component of a path that can't lead out of it."""
    return (
        text not in {"", ".", ".."}
        and "/" not in text
        and "\\" not in text
        and text.isprintable()
        and len(text) <= 1000
    )


def _pairs(listed: list[Any]) -> Iterator[tuple[object, bool]]:
    for entry in listed:
        if isinstance(entry, dict):
            yield entry.get("name"), entry.get("type") == "directory"


def _entries(data: bytes, *, url: str) -> Iterator[tuple[str, bool]]:
    """Yield the URLs that a multi-status response (RFC 4918 13) lists, and which are folders."""
    root = parse_xml(data)
    if root is None:
        raise _unreadable(url, "it is not plain XML")
    if root.tag != f"{_DAV}multistatus":
        raise _unreadable(url, "it is not a multi-status response")
    for entry in root.iterfind(f"{_DAV}response"):
        status = entry.findtext(f"{_DAV}status")
        if status is not None and " 200 " not in f"{status} ":
            continue
        is_folder = any(
            " 200 " in f"{group.findtext(f'{_DAV}status') or ''} "
            and group.find(f"{_DAV}prop/{_DAV}resourcetype/{_DAV}collection") is not None
            for group in entry.iterfind(f"{_DAV}propstat")
        )
        for href in entry.iterfind(f"{_DAV}href"):
            yield (href.text or "").strip(), is_folder


def _parts(href: str, *, base: str) -> tuple[str, ...] | None:
    """Return a URL's decoded path components; None for another host's, or an odd one."""
    try:
        split = urlsplit(href)
        if split.netloc and origin(href) != origin(base):
            return None
    except (ValueError, ConfigurationError):
        return None
    if not split.netloc and (split.scheme or not href.startswith("/")):
        return None
    if split.query or split.fragment or "@" in split.netloc:
        return None
    raw = split.path.strip("/")
    try:
        parts = tuple(unquote(part, errors="strict") for part in raw.split("/")) if raw else ()
    except UnicodeDecodeError:
        return None
    return parts if all(is_plain(part) for part in parts) else None


def _unreadable(url: str, reason: str) -> RepositoryError:
    return RepositoryError(
        f"cannot read the listing of {host_of(url)}: {reason}",
        hint="check the repository URL, and that no proxy in front of the server rewrites paths.",
    )


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
