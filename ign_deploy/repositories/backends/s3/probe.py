"""What an S3 store supports: it is written as an upload writes, by several at once.

Each condition is tried in both directions: a store may refuse the right value too. Ceph compares
``If-Match`` with an ETag that has no quotes, so that nothing ever matches.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from ign_deploy.module.parallel import map_parallel
from ign_deploy.net.errors import TransientFailure, TransientResponse
from ign_deploy.net.response import ANY_STATUS, NO_HEADERS, Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.s3.client import S3Client
from ign_deploy.repositories.backends.s3.errors import S3Error

WAIT = 3.0
"""Seconds before the oldest claim wins."""
ONCE = RetryPolicy(attempts=1)
_RACERS = 4
_PROBE = b"ign-deploy checks whether this store supports conditional writes; you may delete this.\n"
_CREATE = {"If-None-Match": "*"}
_OTHER_TAG = '"00000000000000000000000000000000"'
_NO_CONDITIONS = (
    "This store ignores or refuses conditional writes (If-None-Match), or lets several of them "
    "succeed. Jobs of ign-deploy that publish the same version at once are kept apart by a wait of "
    f"{WAIT:.0f} seconds, other writers are not: use a store with conditional writes, or let one "
    "job at a time publish a module."
)
_LEFTOVER = (
    "Without s3:DeleteObject, claims, removed versions and the probe below .ign-deploy/ remain in "
    "the bucket; publishing works."
)


def probe_s3(client: S3Client) -> Capabilities:
    """Return what ``ObjectStore.probe`` does; turns off the client's checksums if refused."""
    path = f".ign-deploy/probe-{secrets.token_hex(16)}"
    once = swaps = False
    remarks, obstacle = [], ""
    try:
        once = _creates_once(client, path)
        try:
            swaps = once and _swaps(client, path)
        finally:
            deleted = client.call("DeleteObject", path, expect=ANY_STATUS)
        remarks = [*([] if deleted.ok else [_LEFTOVER]), *([] if once else [_NO_CONDITIONS])]
    except S3Error as problem:
        if problem.status != 403:
            raise
        obstacle = problem.message
    return Capabilities(
        location=client.bucket.url("").rstrip("/"),
        writable=not obstacle,
        obstacle=obstacle,
        create_once=once and not obstacle,
        compare_and_swap=swaps and not obstacle,
        server_digest=client.checksums,
        resume=True,
        remarks=tuple(remarks),
    )


def _creates_once(client: S3Client, path: str) -> bool:
    """Create an object by several writers at once; return whether the store lets only one win.

    The object is there afterwards, in any case. Raises S3Error when it can't be written.
    """
    raced = _race(client, path)
    if not any(each.ok for each in raced) and not _is_there(client, path):
        had_checksums = client.checksums
        _write_as_an_upload(client, path)
        if client.checksums == had_checksums:
            return False
        client.call("DeleteObject", path)
        raced = _race(client, path)
    winners = sum(each.ok for each in raced)
    if winners > 1 or any(not each.ok and each.status != 412 for each in raced):
        return False
    return any(each.status == 412 for each in raced) or _try(client, path, _CREATE) == 412


def _race(client: S3Client, path: str) -> Sequence[Response]:
    """Create an object several times at once; return the responses, but those that got lost."""

    def create(_: int) -> Response | None:
        try:
            return client.call(
                "PutObject", path, body=_PROBE, headers=_CREATE, expect=ANY_STATUS, retry=ONCE
            )
        except (TransientResponse, TransientFailure):
            return None

    raced = map_parallel(create, range(_RACERS), workers=_RACERS)
    return [each for each in raced if each is not None]


def _write_as_an_upload(client: S3Client, path: str) -> None:
    """Write an object, without checksums if the store refuses them: its signature has one, too."""
    try:
        client.call("PutObject", path, body=_PROBE)
    except S3Error as problem:
        if problem.status not in {400, 501} or not client.checksums:
            raise
        client.checksums = False
        if not client.call("PutObject", path, body=_PROBE, expect=ANY_STATUS).ok:
            raise


def _swaps(client: S3Client, path: str) -> bool:
    """Return whether the store replaces an object only on the condition that it is the given."""
    tag = client.call("HeadObject", path).headers.get("ETag", "")
    if not tag or _try(client, path, {"If-Match": _OTHER_TAG}) != 412:
        return False
    return 200 <= _try(client, path, {"If-Match": tag}) < 300


def _is_there(client: S3Client, path: str) -> bool:
    return client.call("HeadObject", path, expect=ANY_STATUS).ok


def _try(client: S3Client, path: str, condition: Mapping[str, str] = NO_HEADERS) -> int:
    sent = client.call("PutObject", path, body=_PROBE, headers=condition, expect=ANY_STATUS)
    return sent.status
