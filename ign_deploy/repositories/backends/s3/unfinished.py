"""Unfinished uploads in parts: the next run continues its own, and discards what is old."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.net.response import ANY_STATUS, parse_xml
from ign_deploy.net.upload import UploadSource, read_source
from ign_deploy.repositories.backends.s3.client import S3Client, checksum_of

_OLD = timedelta(days=1)
_MOST_PAGES = 20
_OURS = re.compile(r"modules/[^/]+/[^/]+/[^/]+")


class StoredPart(NamedTuple):
    """A part that the store has; ``checksum`` is empty where it keeps none."""

    etag: str
    size: int
    checksum: str


class _Upload(NamedTuple):
    begun: str
    path: str
    upload_id: str


def find_unfinished(client: S3Client, path: str) -> str:
    """Return the newest unfinished upload of an object, empty without one.

    Others below the repository that were begun a day ago are discarded: their runs were killed. An
    account that may not list them, or a store that can't, has none.
    """
    found = _list_uploads(client)
    ours = max((each for each in found if each.path == path), default=None)
    for each in found:
        is_left = each != ours and (each.path == path or _OURS.fullmatch(each.path))
        if is_left and _is_old(each.begun, client.now()):
            abort(client, each.path, upload_id=each.upload_id)
    return "" if ours is None else ours.upload_id


def stored_parts(client: S3Client, path: str, *, upload_id: str) -> Mapping[int, StoredPart]:
    """Return the parts that the store has, by number."""
    parts: dict[int, StoredPart] = {}
    query = {"uploadId": upload_id}
    for _ in range(_MOST_PAGES):
        page = parse_xml(client.call("ListParts", path, query=query, expect=ANY_STATUS).body)
        if page is None:
            break
        for each in page.iterfind("{*}Part"):
            number, size = each.findtext("{*}PartNumber", ""), each.findtext("{*}Size", "")
            if number.isdecimal() and size.isdecimal():
                etag = each.findtext("{*}ETag", "")
                checksum = each.findtext("{*}ChecksumSHA256", "")
                parts[int(number)] = StoredPart(etag, int(size), checksum)
        query["part-number-marker"] = page.findtext("{*}NextPartNumberMarker", "")
        if page.findtext("{*}IsTruncated") != "true" or not query["part-number-marker"]:
            break
    return parts


def is_stored(part: UploadSource, stored: StoredPart | None) -> bool:
    """Return whether the store has this part, by its digest; an MD5 where it states no better."""
    if stored is None or stored.size != part.size:
        return False
    if stored.checksum:
        return stored.checksum == checksum_of(part.sha256)
    digest = hashlib.md5(usedforsecurity=False)
    for block in read_source(part, error=RepositoryError):
        digest.update(block)
    return stored.etag.strip('"') == digest.hexdigest()


def abort(client: S3Client, path: str, *, upload_id: str) -> None:
    """Discard the parts; where that fails too, they cost money until someone does."""
    query = {"uploadId": upload_id}
    try:
        client.call("AbortMultipartUpload", path, query=query, expect={"NoSuchUpload"})
    except IgnDeployError as problem:
        client.reporter.warning(
            f"the parts of an unfinished upload remain in the bucket {client.bucket.name}: "
            f"{problem.message}; a lifecycle rule (AbortIncompleteMultipartUpload) removes them"
        )


def _list_uploads(client: S3Client) -> list[_Upload]:
    prefix = client.bucket.key("")
    query = {"uploads": "", "prefix": prefix}
    page: Any = parse_xml(client.call("ListMultipartUploads", query=query, expect=ANY_STATUS).body)
    if page is None:
        return []
    found = [
        _Upload(
            each.findtext("{*}Initiated", ""),
            each.findtext("{*}Key", "").removeprefix(prefix),
            each.findtext("{*}UploadId", ""),
        )
        for each in page.iterfind("{*}Upload")
        if each.findtext("{*}Key", "").startswith(prefix)
    ]
    return [each for each in found if each.upload_id]


def _is_old(begun: str, now: datetime) -> bool:
    try:
        return now - datetime.fromisoformat(begun.replace("Z", "+00:00")) > _OLD
    except (ValueError, TypeError):
        return False
