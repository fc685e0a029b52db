"""A claim as bytes: what a run writes into a store before it publishes there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.record import MAX_RECORD_SIZE, Release, parse_release
from ign_deploy.repositories.store import Claim

MAX_CLAIM_SIZE = 2 * MAX_RECORD_SIZE
_LEAST = 600.0
_SLOWEST = 100_000.0


def claim_bytes(claim: Claim) -> bytes:
    """Return the claim as JSON; its release and time must be known."""
    if claim.release is None or claim.claimed_at is None:
        raise ValueError("an unfinished claim can't be written")
    document = {
        "schema_version": 1,
        "holder": claim.holder,
        "generation": claim.generation,
        "claimed_at": claim.claimed_at.astimezone(UTC).isoformat(),
        "release": json.loads(claim.release.to_json()),
    }
    return json.dumps(document, sort_keys=True).encode()


def parse_claim(data: bytes, *, generation: int) -> Claim:
    """Read a claim; one that can't be read counts as unfinished: it is foreign text."""
    unfinished = Claim("", generation)
    if len(data) > MAX_CLAIM_SIZE:
        return unfinished
    try:
        document: Any = json.loads(data)
        claimed_at = datetime.fromisoformat(document["claimed_at"])
        release = parse_release(json.dumps(document["release"]).encode(), location="the claim")
        holder = document["holder"]
    except (ValueError, KeyError, TypeError, RecursionError, RepositoryError):
        return unfinished
    if not isinstance(holder, str) or claimed_at.tzinfo is None:
        return unfinished
    return Claim(holder, generation, claimed_at, release)


def lease(release: Release) -> timedelta:
    """Return how long a claim for this release holds: ten minutes, and more for many bytes.

    Slower than 100 KB a second isn't waited for.
    """
    size = sum(file.size for file in release.files)
    return timedelta(seconds=_LEAST + size / _SLOWEST)
