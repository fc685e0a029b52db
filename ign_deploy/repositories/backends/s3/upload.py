"""Uploads: one request up to 64 MB, above that in parts, each of them retried alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from ign_deploy.errors import IgnDeployError, NetworkError, RepositoryError
from ign_deploy.net.response import parse_xml
from ign_deploy.net.upload import UploadSource, split_source
from ign_deploy.report import Progress
from ign_deploy.repositories.backends.s3.client import CHECKSUM, S3Client, checksum_of
from ign_deploy.repositories.backends.s3.errors import S3Error, not_s3
from ign_deploy.repositories.backends.s3.unfinished import (
    abort,
    find_unfinished,
    is_stored,
    stored_parts,
)
from ign_deploy.repositories.record import ReleaseFile

LARGEST_SINGLE = 64 << 20
SMALLEST_PART = 16 << 20
# To send fewer bytes costs no more than to ask whether they are there.
_LARGE = 1 << 20
_MOST_PARTS = 9_000
_TYPE = "application/octet-stream"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def upload_object(
    client: S3Client, path: str, source: Path, *, expected: ReleaseFile, progress: Progress
) -> None:
    """Upload a file, unless it is large and the store states that it has these bytes already.

    Raises RepositoryError for a file that changed or can't be read, and when the store refuses or
    holds something else afterwards; NetworkError when it can't be sent.
    """
    is_large = expected.size >= _LARGE
    if is_large and _holds(client, path, expected=expected, is_proven=True):
        progress(expected.size)
        return
    whole = UploadSource(source, expected.size, expected.sha256)
    if expected.size > LARGEST_SINGLE:
        _send_parts(client, path, whole, progress=progress)
    else:
        title = f"uploading {expected.name}"
        response = client.send("PutObject", path, whole, title=title, progress=progress)
        if response.headers.get(CHECKSUM) == checksum_of(expected.sha256):
            return
    if not _holds(client, path, expected=expected, is_proven=False):
        raise RepositoryError(
            f"{client.bucket.url(path)} is missing after its upload, or differs from the "
            f"{expected.size} bytes with SHA-256 {expected.sha256} that were sent",
            hint="look for other writers to the bucket, or a lifecycle rule; then run again.",
        )


def _holds(client: S3Client, path: str, *, expected: ReleaseFile, is_proven: bool) -> bool:
    """Return whether the object is what the record says, as far as the store states it.

    With ``is_proven``, a store that states no digest of the whole object doesn't count.
    """
    asked = {"x-amz-checksum-mode": "ENABLED"} if client.checksums else {}
    found = client.call("HeadObject", path, headers=asked, expect={404})
    if not found.ok or found.headers.get("Content-Length") != str(expected.size):
        return False
    stated = found.headers.get(CHECKSUM, "")
    # Of an upload in parts it is the digest of the parts' digests; the ETag tells.
    is_whole = bool(stated) and "-" not in stated + found.headers.get("ETag", "")
    return stated == checksum_of(expected.sha256) if is_whole else not is_proven


def _send_parts(client: S3Client, path: str, source: UploadSource, *, progress: Progress) -> None:
    """Send a file in parts; those that an earlier run sent are used, as far as they are the same.

    Where the network fails, the parts stay for the next run; after any other failure they go.
    """
    length = max(SMALLEST_PART, -(-source.size // _MOST_PARTS))
    parts = split_source(source, length=length, error=RepositoryError)
    if upload_id := find_unfinished(client, path):
        try:
            _fill(client, path, parts, upload_id=upload_id, progress=progress, is_begun=True)
        except S3Error as problem:
            if problem.code != "NoSuchUpload":
                raise
        else:
            return
    upload_id = _begin(client, path)
    _fill(client, path, parts, upload_id=upload_id, progress=progress, is_begun=False)


def _fill(
    client: S3Client,
    path: str,
    parts: Sequence[UploadSource],
    *,
    upload_id: str,
    progress: Progress,
    is_begun: bool,
) -> None:
    """Send the parts that an upload lacks, and complete it."""
    stored = stored_parts(client, path, upload_id=upload_id) if is_begun else {}
    done = 0
    fields: list[str] = []
    try:
        for number, part in enumerate(parts, start=1):
            if is_stored(part, there := stored.get(number)) and there is not None:
                progress(part.size)
                fields.append(_part_fields(number, etag=there.etag, checksum=there.checksum))
            else:
                fields.append(
                    _send_part(client, path, part, number, upload_id=upload_id, progress=progress)
                )
            done += part.size
        _complete(client, path, "".join(fields), upload_id=upload_id)
    except IgnDeployError as problem:
        progress(-done)
        if not isinstance(problem, NetworkError):
            abort(client, path, upload_id=upload_id)
        raise


def _begin(client: S3Client, path: str) -> str:
    operation = "CreateMultipartUpload"
    headers = {"Content-Type": _TYPE}
    if client.checksums:
        headers["x-amz-checksum-algorithm"] = "SHA256"
    root = parse_xml(client.call(operation, path, headers=headers, query={"uploads": ""}).body)
    upload_id: str = "" if root is None else root.findtext("{*}UploadId", "")
    if not upload_id:
        raise not_s3(operation, client.bucket)
    return upload_id


def _send_part(
    client: S3Client,
    path: str,
    part: UploadSource,
    number: int,
    *,
    upload_id: str,
    progress: Progress,
) -> str:
    """Send a part; return what completes the upload with it."""
    response = client.send(
        "UploadPart",
        path,
        part,
        title=f"uploading {part.path.name}, part {number}",
        progress=progress,
        query={"partNumber": str(number), "uploadId": upload_id},
    )
    # Only servers that keep checksums accept them back.
    checksum = checksum_of(part.sha256) if CHECKSUM in response.headers else ""
    return _part_fields(number, etag=response.headers.get("ETag", ""), checksum=checksum)


def _part_fields(number: int, *, etag: str, checksum: str) -> str:
    fields = {"PartNumber": str(number), "ETag": etag}
    if checksum:
        fields["ChecksumSHA256"] = checksum
    return f"<Part>{''.join(f'<{tag}>{escape(fields[tag])}</{tag}>' for tag in fields)}</Part>"


def _complete(client: S3Client, path: str, parts: str, *, upload_id: str) -> None:
    operation = "CompleteMultipartUpload"
    body = f'<{operation} xmlns="{_NAMESPACE}">{parts}</{operation}>'.encode()
    # It may have been completed by an attempt whose response got lost: the caller checks.
    client.call(operation, path, body=body, query={"uploadId": upload_id}, expect={"NoSuchUpload"})
