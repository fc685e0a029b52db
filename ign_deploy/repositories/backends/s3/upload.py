"""Uploads: one request up to 64 MB, above that in parts, each of them tried again alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.net.retry import retrying
from ign_deploy.report import Progress
from ign_deploy.repositories.backends.s3.bodies import (
    Body,
    OpenSource,
    as_checksum,
    open_source,
)
from ign_deploy.repositories.backends.s3.calls import Calls
from ign_deploy.repositories.backends.s3.errors import Refusal
from ign_deploy.repositories.record import ReleaseFile

LARGEST_SINGLE = 64 << 20
SMALLEST_PART = 16 << 20
_MOST_PARTS = 9_000
_TYPE = "application/octet-stream"


def send_file(
    calls: Calls, path: str, source: Path, *, expected: ReleaseFile, progress: Progress
) -> None:
    """Upload a file, unless the store says that it has these bytes there already.

    Raises RepositoryError for a file that changed or can't be read, and when the store refuses or
    holds something else afterwards; NetworkError when it can't be sent.
    """
    if _holds(calls, path, expected=expected, is_sure=True):
        progress(expected.size)
        return
    with open_source(source, expected=expected) as opened:
        if expected.size <= LARGEST_SINGLE:
            _send_whole(calls, path, opened, progress=progress)
        else:
            _send_parts(calls, path, opened, progress=progress)
    if not _holds(calls, path, expected=expected, is_sure=False):
        raise RepositoryError(
            f"{calls.address.url(path)} isn't there after its upload, or has another size than "
            f"{expected.size} bytes or another digest than {expected.sha256}",
            hint="look for other writers, or a lifecycle rule, of the bucket; then run again.",
        )


def _holds(calls: Calls, path: str, *, expected: ReleaseFile, is_sure: bool) -> bool:
    """Tell whether the object is what the record says, as far as the store states it.

    With ``is_sure`` a store that states no digest of the whole object doesn't do.
    """
    try:
        found = calls.ask("head_object", path=path, ChecksumMode="ENABLED")
    except Refusal as refusal:
        if refusal.status == 404 and refusal.refused != "NoSuchBucket":
            return False
        raise
    stated = found.get("ChecksumSHA256", "")
    # Of an upload in parts it is the digest of the parts' digests; the ETag tells.
    is_whole = bool(stated) and "-" not in stated + found.get("ETag", "")
    if found["ContentLength"] != expected.size:
        return False
    return stated == as_checksum(expected.sha256) if is_whole else not is_sure


def _send_whole(calls: Calls, path: str, source: OpenSource, *, progress: Progress) -> None:
    expected = source.expected
    deadline = calls.deadline(expected.size)
    make_body = partial(Body, source, source.whole, progress=progress, deadline=deadline)
    if not expected.size:
        source.compare(source.whole, 0, hashlib.sha256().hexdigest())
    _send(
        calls,
        "put_object",
        make_body if expected.size else None,
        title=f"uploading {expected.name}",
        path=path,
        size=expected.size,
        ContentType=_TYPE,
        ChecksumAlgorithm="SHA256",
        ChecksumSHA256=as_checksum(expected.sha256),
    )


def _send_parts(calls: Calls, path: str, source: OpenSource, *, progress: Progress) -> None:
    begun = calls.ask(
        "create_multipart_upload", path=path, ContentType=_TYPE, ChecksumAlgorithm="SHA256"
    )
    upload = {"path": path, "UploadId": begun["UploadId"]}
    is_complete = False
    try:
        parts = _upload_parts(calls, upload, source, progress=progress)
        try:
            calls.ask("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
        except Refusal as refusal:
            # It may have been completed by an attempt whose answer got lost: the caller looks.
            if refusal.refused != "NoSuchUpload":
                raise
        is_complete = True
    finally:
        if not is_complete:
            _abort(calls, upload)


def _upload_parts(
    calls: Calls, upload: dict[str, Any], source: OpenSource, *, progress: Progress
) -> list[dict[str, Any]]:
    size = source.expected.size
    deadline = calls.deadline(size)
    length = max(SMALLEST_PART, -(-size // _MOST_PARTS))
    digest = hashlib.sha256()
    parts: list[dict[str, Any]] = []
    for offset in range(0, size, length):
        span = source.hash_span(offset, min(length, size - offset), whole=digest)
        end = offset + span.size
        if end == size or span.size < length:
            source.compare(source.whole, end, digest.hexdigest())
        number = len(parts) + 1
        checksum = as_checksum(span.sha256)
        answer = _send(
            calls,
            "upload_part",
            partial(Body, source, span, progress=progress, deadline=deadline),
            title=f"uploading {source.expected.name}, part {number}",
            size=span.size,
            PartNumber=number,
            ChecksumSHA256=checksum,
            **upload,
        )
        # Only servers that keep checksums take them back.
        kept = {"ChecksumSHA256": checksum} if answer.get("ChecksumSHA256") else {}
        parts.append({"PartNumber": number, "ETag": answer["ETag"], **kept})
    return parts


def _send(
    calls: Calls,
    operation: str,
    make_body: Callable[[], Body] | None,
    *,
    title: str,
    size: int,
    **options: Any,
) -> dict[str, Any]:
    """Make a request with a body that is new at each attempt."""

    def attempt() -> dict[str, Any]:
        if make_body is None:
            return calls.once(operation, Body=b"", **options)
        body = make_body()
        is_sent = False
        try:
            answer = calls.once(operation, Body=body, ContentLength=size, **options)
            if body.sent != size:
                raise RepositoryError(
                    f"{calls.address.host} accepted {body.sent} of {size} bytes",
                    hint="look at the server's log.",
                )
            is_sent = True
        finally:
            if not is_sent:
                body.take_back()
        return answer

    return retrying(attempt, title=title, reporter=calls.reporter, policy=calls.rules(size))


def _abort(calls: Calls, upload: dict[str, Any]) -> None:
    """Give the parts back; where that fails too, they cost money until somebody does."""
    try:
        calls.ask("abort_multipart_upload", **upload)
    except Refusal as refusal:
        if refusal.refused != "NoSuchUpload":
            _tell_left(calls, refusal)
    except IgnDeployError as problem:
        _tell_left(calls, problem)


def _tell_left(calls: Calls, problem: IgnDeployError) -> None:
    calls.reporter.warning(
        f"the parts of an unfinished upload stay in the bucket {calls.address.bucket}: "
        f"{problem.message}; a lifecycle rule (AbortIncompleteMultipartUpload) removes them"
    )
