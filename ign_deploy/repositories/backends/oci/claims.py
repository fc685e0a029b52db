"""Publishing under a claim, where nothing can be written conditionally: by waiting.

A claim is a tag (see ``claims.write_and_wait``). A writer that took too long doesn't count on its
claim, and the holder, whose claim it may have overwritten, looks at the claim again before it
writes the record. Claims have a tag of their own, beside the version's: the most that a late one
can do is to be next to a record.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories import renewal
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.backends.oci.blobs import Blobs
from ign_deploy.repositories.backends.oci.client import RegistryClient
from ign_deploy.repositories.backends.oci.manifests import (
    CLAIM_ARTIFACT,
    CLAIM_TYPE,
    GENERATION,
    MAX_MANIFEST_SIZE,
    claim_manifest,
    digest_of,
    probe_manifest,
    release_manifest,
)
from ign_deploy.repositories.backends.oci.references import (
    IMMUTABILITY_TAG,
    Found,
    References,
    claim_tag,
    version_tag,
)
from ign_deploy.repositories.claims import (
    MAX_CLAIM_SIZE,
    Claim,
    claim_bytes,
    parse_claim,
    write_and_wait,
)
from ign_deploy.repositories.record import Release, parse_release
from ign_deploy.repositories.store import Key

_CLAIMING = "claiming the version"
_LEAST_WAIT = 0.2
_MOST_WAIT = 16.0
_LONGEST_NUMBER = 6
_TITLE = "testing whether tags can be moved"


class OciClaims:
    """See ``claims.ClaimStore``.

    ``immutability`` is what publishes without claims, where tags can't be moved.
    """

    def __init__(
        self,
        client: RegistryClient,
        references: References,
        blobs: Blobs,
        *,
        immutability: Immutability | None,
        wait_policy: WaitPolicy,
        reporter: Reporter,
    ) -> None:
        self._client = client
        self._references = references
        self._blobs = blobs
        self._immutability = immutability
        self._wait_policy = wait_policy
        self._reporter = reporter
        # Twice as long as others wait between two looks: one second, in life.
        self._confirm_wait = max(_LEAST_WAIT, 2 * wait_policy.poll)
        self._doubtful: set[tuple[str, int]] = set()
        self._held: dict[Key, tuple[Claim, str]] = {}
        self._may_delete = True

    def now(self) -> datetime:
        """See ``ClaimStore.now``."""
        return self._client.now()

    def claims_unseen(self) -> bool:
        """See ``ClaimStore.claims_unseen``: a claim is removed once there is a record."""
        return False

    def current_claim(self, key: Key) -> Claim | None:
        """See ``ClaimStore.current_claim``; a claim of ours that came late counts as another's."""
        if self._immutability is not None:
            return None
        found = self._references.find(claim_tag(key), title=_CLAIMING)
        if found is None:
            return None
        generation = _generation(found)
        layer = found.manifest.layer_of(CLAIM_TYPE)
        if found.manifest.artifact_type != CLAIM_ARTIFACT or layer is None:
            return Claim("", generation)
        data = self._blobs.read(layer, limit=MAX_CLAIM_SIZE, title=_CLAIMING)
        claim = parse_claim(data or b"", generation=generation)
        doubtful = (claim.holder, generation) in self._doubtful
        return replace(claim, holder="") if doubtful else claim

    def claim(self, key: Key, claim: Claim) -> bool:
        """See ``ClaimStore.claim``."""
        if self._immutability is not None:
            self._immutability.require()
            return True
        data = claim_bytes(claim)
        manifest = claim_manifest(data, generation=claim.generation)
        # What takes time is done before looking.
        self._blobs.put_empty()
        self._blobs.put(data, title=_CLAIMING)
        if self._is_renewed(key, claim, manifest):
            return True
        looked = self._look(key, claim)
        if looked is None:
            return False
        begin, wait = looked
        self._doubtful.add((claim.holder, claim.generation))

        def write() -> None:
            self._write(key, manifest)

        if write_and_wait(write, since=begin, wait=wait, wait_policy=self._wait_policy) > wait:
            self._confirm_wait = min(_MOST_WAIT, 2 * wait)
            return False
        found = self._references.find(claim_tag(key), title=_CLAIMING)
        is_there = found is not None and found.digest == digest_of(manifest)
        # A run that has published by now may have removed its claim. After a first claim, which is
        # no renewal, the record is read next in any case.
        is_renewal = claim.generation > 0
        if not is_there or (
            is_renewal and self._references.find(version_tag(key), title=_CLAIMING)
        ):
            return False
        self._doubtful.discard((claim.holder, claim.generation))
        self._held[key] = claim, digest_of(manifest)
        return True

    def _is_renewed(self, key: Key, claim: Claim, manifest: bytes) -> bool:
        """Replace our claim by its next generation; False unless ours still holds.

        No one else writes the tag then, so there is nothing to wait for.
        """
        held, digest = self._held.get(key, (None, ""))
        if held is None or held.claimed_at is None or held.release != claim.release:
            return False
        if (held.holder, held.generation + 1) != (claim.holder, claim.generation):
            return False
        begin, age = self._wait_policy.clock(), (self.now() - held.claimed_at).total_seconds()
        found = self._references.find(claim_tag(key), title=_CLAIMING)
        if found is None or found.digest != digest or age > renewal.DURATION / 2:
            return False
        self._doubtful.add((claim.holder, claim.generation))
        self._write(key, manifest)
        if age + self._wait_policy.clock() - begin > renewal.DURATION:
            return False
        self._doubtful.discard((claim.holder, claim.generation))
        self._held[key] = claim, digest_of(manifest)
        return True

    def _write(self, key: Key, manifest: bytes) -> None:
        sent = self._references.put(claim_tag(key), manifest, title=_CLAIMING)
        if not sent.ok:
            raise self._client.error_for_response(sent)

    def put_files(
        self, key: Key, release: Release, *, files: Mapping[str, Path], progress: Progress
    ) -> None:
        """See ``ClaimStore.put_files``; blobs belong to no version, so nothing is replaced."""
        for file in release.files:
            title = f"uploading {file.name} of {key.id} {key.version}"
            self._blobs.send(files[file.name], expected=file, title=title, progress=progress)

    def put_record(self, key: Key, claim: Claim, record: bytes) -> bool:
        """See ``ClaimStore.put_record``."""
        title = f"publishing {key.id} {key.version}"
        release = parse_release(record, location="the record to be published")
        manifest = release_manifest(release, record)
        if len(manifest) > MAX_MANIFEST_SIZE:
            raise RepositoryError(
                f"the manifest of {key.id} {key.version} would have {len(manifest)} bytes, at most "
                f"{MAX_MANIFEST_SIZE} are allowed",
                hint="publish fewer files with the version.",
            )
        self._blobs.put_empty()
        self._blobs.put(record, title=title)
        if self._immutability is None and self._is_overtaken(key, claim):
            return False
        sent = self._references.put(version_tag(key), manifest, title=title)
        # Refused for what may be ours: a tag that can't be moved, or a lost acknowledgement.
        if not sent.ok and self._references.find(version_tag(key), title=title) is None:
            raise self._client.error_for_response(sent)
        if self._immutability is None:
            self._remove_claim(key, claim)
        return True

    def _look(self, key: Key, claim: Claim) -> tuple[float, float] | None:
        """Return when we looked and saw no such claim, and how long to wait; None if there is one.

        Looks again until it took little of the wait: what it saw must be fresh when we write.
        """
        while True:
            wait = self._confirm_wait
            begin = self._wait_policy.clock()
            found = self._references.find(claim_tag(key), title=_CLAIMING)
            if found is not None and _generation(found) >= claim.generation:
                return None
            if self._wait_policy.clock() - begin <= wait / 2 or wait >= _MOST_WAIT:
                return begin, wait
            # The registry is slow: the holder looks at its claim again, so waits may differ.
            self._confirm_wait = min(_MOST_WAIT, 2 * wait)

    def _is_overtaken(self, key: Key, claim: Claim) -> bool:
        """Return whether another run has published instead of us.

        If our claim isn't there any more, one that was late has overwritten it, or has gone on
        with the same bytes: it publishes, unless it was killed.
        """
        begin, seen = self._wait_policy.clock(), -1
        while True:
            current = self.current_claim(key)
            if current is not None and _same(current, claim):
                return False
            if self._references.find(version_tag(key), title=_CLAIMING) is not None:
                return True
            if current is not None and current.generation != seen:  # its run lives
                begin, seen = self._wait_policy.clock(), current.generation
            if self._wait_policy.clock() - begin > self._longest_wait(current, ours=claim):
                break
            self._wait_policy.sleep(self._wait_policy.poll)
        if current is None or current.release == claim.release:
            return False  # the record is the same, whoever writes it
        raise RepositoryError(
            f"another run took over the publication of {key.id} {key.version}, but didn't end it",
            hint="run again; nothing was published by this run.",
        )

    def _longest_wait(self, current: Claim | None, *, ours: Claim) -> float:
        # A run that goes on with the same bytes has waited for the grace, and found the files.
        if current is None or current.release is None or current.release == ours.release:
            return 2 * self._wait_policy.grace + self._confirm_wait
        return renewal.DURATION

    def _remove_claim(self, key: Key, claim: Claim) -> None:
        """Delete our claim with its tag, where the registry deletes; it only stays to be seen."""
        if not self._may_delete:
            return
        manifest = claim_manifest(claim_bytes(claim), generation=claim.generation)
        try:
            self._may_delete = self._references.delete(
                digest_of(manifest), title="removing the claim"
            )
        except IgnDeployError as problem:
            self._reporter.info(f"the claim on {key.id} {key.version} stays: {problem.message}")


def _same(first: Claim, second: Claim) -> bool:
    return (first.holder, first.generation) == (second.holder, second.generation)


def _generation(found: Found) -> int:
    text = found.manifest.annotations.get(GENERATION, "")
    number = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text) if number else 0


class Immutability:
    """Finds it out once, by a tag that stays in the repository."""

    def __init__(self, client: RegistryClient, references: References, blobs: Blobs) -> None:
        self._client = client
        self._references = references
        self._blobs = blobs
        self._found: bool | None = None

    def require(self) -> None:
        """Raise RepositoryError unless a tag that exists can't be moved."""
        if not self.holds():
            raise RepositoryError(
                f"tags in {self._client.location.shown} can be moved, though the URL says "
                "immutable-tags=true: two jobs might both publish a version",
                hint="make all tags immutable that don't begin with '_', or remove "
                "?immutable-tags=true from the URL.",
            )

    def holds(self) -> bool:
        """Return whether a tag that exists can't be moved."""
        if self._found is None:
            # Where it holds, only the very first attempt ever can be accepted.
            self._found = not (self._moves() and self._moves())
        return self._found

    def _moves(self) -> bool:
        """Point the tag to a new manifest; False if that was refused because it exists."""
        self._blobs.put_empty()
        manifest = probe_manifest(secrets.token_hex(8))
        sent = self._references.put(IMMUTABILITY_TAG, manifest, title=_TITLE)
        if sent.ok:
            return True
        if self._references.find(IMMUTABILITY_TAG, title=_TITLE) is None:
            raise self._client.error_for_response(sent)
        return False
