"""Claims: who is about to publish a version, written into the store before its first byte.

Where a store can't create anything only once, a claim is held by waiting (``write_and_wait``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from ign_deploy.errors import RepositoryError
from ign_deploy.report import Progress
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.record import MAX_RECORD_SIZE, Release, parse_release
from ign_deploy.repositories.store import Key

MAX_CLAIM_SIZE = 2 * MAX_RECORD_SIZE


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is about to publish a version.

    ``holder`` is random, one per run; empty when it isn't known which run has it. ``claimed_at`` is
    the store's own time. ``release`` is the record that is going to be published, None when the
    claim can't be read (it is being written, or was left unfinished). ``generation`` counts how
    often the version was claimed: whoever renews a claim, or takes over one that isn't renewed any
    more, claims the next generation. Of several runs that do so at once, one gets it.
    """

    holder: str
    generation: int
    claimed_at: datetime | None = None
    release: Release | None = None


class ClaimStore(Protocol):
    """What publishing under a claim needs; ``ClaimPublisher`` calls these in their order."""

    def now(self) -> datetime:
        """Return the store's own time, as its last response gave it; ours before any response."""

    def claims_unseen(self) -> bool:
        """Return whether a first claim fails on every version that is published already.

        Then nothing needs to be read before it, nor after it.
        """

    def current_claim(self, key: Key) -> Claim | None:
        """Return the claim of the highest generation, None when the version is unclaimed."""

    def claim(self, key: Key, claim: Claim) -> bool:
        """Write the claim if that generation is unclaimed; of several writers one gets True.

        False also when in doubt: ``current_claim`` then says whose it is.
        """

    def put_files(
        self, key: Key, release: Release, *, files: Mapping[str, Path], progress: Progress
    ) -> None:
        """Upload the version's files, out of the sight of readers; existing ones are replaced.

        Size and digest are compared with the record while sending and with what the store states
        afterwards. Raises RepositoryError when they differ; nothing is published then.
        """

    def put_record(self, key: Key, claim: Claim, record: bytes) -> bool:
        """Write the record: from then on the version is published. Remove the claim if possible.

        Return False if another run is known to have published instead. A response that the record
        already exists is not an error: it is read back afterwards.
        """


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
    """Read a claim; one that can't be read counts as unfinished: it is untrusted text."""
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


def any_claim(claims: Iterable[Claim]) -> Claim | None:
    """Return what several claims of one generation mean together; None without a readable one.

    A store that lets several runs claim a version may have given it to any of them: it is free when
    the last of them has expired, and meanwhile no one's to continue.
    """
    known = [
        (each.claimed_at, each)
        for each in claims
        if each.release is not None and each.claimed_at is not None
    ]
    if len(known) < 2:
        return known[0][1] if known else None
    return replace(max(known, key=itemgetter(0))[1], holder="")


def write_and_wait(
    write: Callable[[], object], *, since: float, wait: float, wait_policy: WaitPolicy
) -> float:
    """Write a claim that others may overwrite, and wait; then read back whose it is.

    Fischer's mutual exclusion: look that there is no claim, write ours, wait, and look whether it
    still is ours. That works if every run writes soon after looking: then all that saw nothing have
    written by the end of the wait, the last of them holds the claim, and a run that looks later
    sees it. So the time from looking (``since``) to having written is measured, and returned. A
    claim that took longer than ``wait`` doesn't count, and isn't waited for.
    """
    write()
    took = wait_policy.clock() - since
    if took <= wait:
        wait_policy.sleep(wait)
    return took
