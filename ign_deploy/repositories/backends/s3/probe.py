"""What the store can do, found out by asking: rights, the bucket, and conditional writes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ign_deploy.repositories.backends.s3.bodies import checksum_of
from ign_deploy.repositories.backends.s3.calls import Calls
from ign_deploy.repositories.backends.s3.errors import Refusal

_CONTENT = b"ign-deploy asks whether this store keeps conditions; this may be deleted.\n"
_UNKNOWN = frozenset({"InvalidArgument", "InvalidRequest", "NotImplemented"})
_OTHER_TAG = '"00000000000000000000000000000000"'


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which conditions of a PutObject the store keeps.

    ``obstacle`` says why nothing can be written, ``leftover`` why the probe's object stays.
    """

    creates_once: bool = False
    swaps: bool = False
    obstacle: str = ""
    leftover: str = ""


def require_access(calls: Calls) -> None:
    """Ask for one name of the listing; raises RepositoryError with what is missing."""
    prefix = calls.address.key("")
    calls.ask("list_objects_v2", Prefix=prefix, MaxKeys=1)


def probe_conditions(calls: Calls) -> Conditions:
    """Write an object twice on the condition that it isn't there, then on another condition.

    A store that ignores a condition, or doesn't know it, isn't trusted with any. Raises
    RepositoryError or NetworkError when that can't be found out.
    """
    path = f".ign-deploy/probe-{secrets.token_hex(16)}"
    try:
        if _put(calls, path, IfNoneMatch="*") == 501:
            return Conditions()
        try:
            once = _put(calls, path, IfNoneMatch="*") == 412
            swaps = once and _put(calls, path, IfMatch=_OTHER_TAG) == 412
        finally:
            leftover = _remove(calls, path)
        return Conditions(creates_once=once, swaps=swaps, leftover=leftover)
    except Refusal as refusal:
        if refusal.status != 403:
            raise
        return Conditions(obstacle=refusal.message)


def _put(calls: Calls, path: str, **condition: str) -> int:
    """Return the status of a conditional write.

    A 412 to the first may be due to an attempt whose answer got lost: then the condition holds.
    """
    try:
        calls.ask(
            "put_object",
            path=path,
            Body=_CONTENT,
            ChecksumSHA256=checksum_of(_CONTENT),
            **condition,
        )
    except Refusal as refusal:
        if refusal.refused in _UNKNOWN:
            return 501
        if refusal.status not in {412, 501}:
            raise
        return refusal.status
    return 200


def _remove(calls: Calls, path: str) -> str:
    try:
        calls.ask("delete_object", path=path)
    except Refusal as refusal:
        return refusal.message
    return ""
