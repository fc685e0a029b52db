"""Listings: what is directly in a folder, page by page, in a bucket that knows no folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.backends.s3.calls import Calls

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is in a folder; ``modified`` is the store's time, long ago for a folder."""

    text: str
    is_folder: bool
    modified: datetime = _LONG_AGO


def list_folder(calls: Calls, folder: str) -> Iterator[Entry]:
    """Yield what is directly in a folder; names that no writer of ours makes are left out."""
    prefix = f"{calls.address.key(folder)}/"
    for page in _pages(calls, prefix):
        for each in page.get("Contents", ()):
            text = _rest(each["Key"], prefix)
            if text and "/" not in text:
                yield Entry(text, is_folder=False, modified=each["LastModified"])
        for each in page.get("CommonPrefixes", ()):
            text = _rest(each["Prefix"], prefix).removesuffix("/")
            if text and "/" not in text:
                yield Entry(text, is_folder=True)


def list_keys(calls: Calls, folder: str) -> list[Entry]:
    """Return the objects directly in a folder."""
    return [entry for entry in list_folder(calls, folder) if not entry.is_folder]


def _pages(calls: Calls, prefix: str) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        options = {"ContinuationToken": token} if token else {}
        page = calls.ask("list_objects_v2", Prefix=prefix, Delimiter="/", **options)
        yield page
        if not page.get("IsTruncated"):
            return
        following = page.get("NextContinuationToken", "")
        if not following or following == token:
            raise RepositoryError(
                f"{calls.address.host} doesn't say how its listing goes on",
                hint="look at the server's log; its ListObjectsV2 has to give continuation tokens.",
            )
        token = following


def _rest(key: str, prefix: str) -> str:
    rest = key.removeprefix(prefix) if key.startswith(prefix) else ""
    return rest if rest.isprintable() and rest.strip("/") not in {".", ".."} else ""
