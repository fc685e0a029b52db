"""Publishing exactly once: claim the version, upload its files, write its record last.

The first to claim publishes; all others find the record there afterwards. A run that was killed
leaves a claim behind: a run with the same bytes goes on under a claim of its own, one with other
bytes waits until the old claim has expired. No file of another run is ever deleted.

A claim is a lease. Its holder writes the record only within the first half of it, others take over
only after all of it, by the store's own clock: so a run that was suspended and woke up again can't
write over its successor.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from ign_deploy.errors import NotInRepository, RepositoryError, VersionConflict
from ign_deploy.report import Reporter
from ign_deploy.repositories import PublishOutcome
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.claims import Claim, ClaimStore, lease
from ign_deploy.repositories.record import Release, parse_release
from ign_deploy.repositories.status_events import ModuleStatus, StatusEvent
from ign_deploy.repositories.store import Key, Publishing, VersionStore


@dataclass(frozen=True, slots=True)
class ClaimPublisher:
    """Publishes under claims; see ``store.Publisher``."""

    versions: VersionStore
    claims: ClaimStore
    wait_policy: WaitPolicy
    reporter: Reporter

    def publish(self, wanted: Publishing) -> tuple[PublishOutcome, Release]:
        """See ``Publisher.publish``."""
        return _Attempt(self, wanted).publish()


@dataclass
class _Attempt:
    """One run's attempt to publish a version."""

    publisher: ClaimPublisher
    wanted: Publishing
    holder: str = field(default_factory=lambda: secrets.token_hex(16))
    _seen: dict[tuple[str, int], float] = field(default_factory=dict)
    _asked: float = 0.0

    def __post_init__(self) -> None:
        self.versions, self.claims = self.publisher.versions, self.publisher.claims
        self.wait_policy, self.key = self.publisher.wait_policy, self.wanted.key
        self.release = self.wanted.release

    def publish(self) -> tuple[PublishOutcome, Release]:
        """See ``Publisher.publish``."""
        claimed = self.wait_policy.clock()
        claim = self._claim_unseen()
        while True:
            if claim is None:
                found = self._claim_or_find()
                if isinstance(found, Release):
                    return PublishOutcome.ALREADY_PUBLISHED, self.wanted.confirm(found)
                claim = found
            ours = claim.release or self.release
            begin = self.wait_policy.clock()
            self.claims.put_files(
                self.key, ours, files=self.wanted.files, progress=self.wanted.progress
            )
            spent = self.wait_policy.clock() - begin
            if spent < lease(ours).total_seconds() / 2:
                break
            # No other run came between if the next generation is ours too: the files are what we
            # sent.
            next_claim = Claim(self.holder, claim.generation + 1, self.claims.now(), ours)
            claim = next_claim if self.claims.claim(self.key, next_claim) else None
            if claim is not None:
                break
        # A run with the same bytes takes over after the grace, not before.
        is_late = self.wait_policy.clock() - claimed > self.wait_policy.grace
        if is_late and (there := read_record(self.versions, self.key)) is not None:
            return PublishOutcome.ALREADY_PUBLISHED, self.wanted.confirm(there)
        is_ours = self.claims.put_record(self.key, claim, ours.to_json())
        outcome = PublishOutcome.PUBLISHED if is_ours else PublishOutcome.ALREADY_PUBLISHED
        return outcome, require_same(self._read_back(), self.release)

    def _read_back(self) -> Release:
        written = read_record(self.versions, self.key)
        if written is None:
            raise RepositoryError(
                f"the store accepted the record of {self.key.id} {self.key.version}, but doesn't "
                "show it",
                hint="run again; if that doesn't help, look at the store's log.",
            )
        return written

    def _claim_unseen(self) -> Claim | None:
        """Return our claim on a version that nothing is known of, where one request can tell."""
        if not self.claims.claims_unseen():
            return None
        mine = Claim(self.holder, 0, self.claims.now(), self.release)
        return mine if self.claims.claim(self.key, mine) else None

    def _claim_or_find(self) -> Claim | Release:
        """Return our claim on the version, or the record that makes it needless."""
        is_first, is_reported = not self.claims.claims_unseen(), False
        while True:
            if (there := read_record(self.versions, self.key)) is not None:
                return there
            self._asked = self.wait_policy.clock()
            # Most versions are unclaimed: the claim itself shows whether this one is.
            current = None if is_first else self.claims.current_claim(self.key)
            is_first = False
            if current is not None and current.holder == self.holder:
                # Or ours lost, and is the oldest only since the winner's was removed.
                return read_record(self.versions, self.key) or current
            if (release := self._release_to_claim(current)) is not None:
                generation = 0 if current is None else current.generation + 1
                mine = Claim(self.holder, generation, self.claims.now(), release)
                if self.claims.claim(self.key, mine):
                    # Claims are removed after the record is there: ours may follow a removed one.
                    return read_record(self.versions, self.key) or mine
                if current is None:
                    continue
            elif current is not None and not is_reported:
                is_reported = True
                self._report_waiting(current)
            self.wait_policy.sleep(self.wait_policy.poll)

    def _release_to_claim(self, current: Claim | None) -> Release | None:
        """Return the record to claim the version for; None while it is another run's."""
        if current is None or self._is_over(current):
            return self.release
        # The same bytes: the first to claim them has said how the record is to be.
        return current.release if self._is_left_to_us(current) else None

    def _is_over(self, claim: Claim) -> bool:
        """Return whether a claim has expired; one that can't be read does so after the grace."""
        if claim.release is None or claim.claimed_at is None:
            return self._waited_for(claim) > self.wait_policy.grace
        return self.claims.now() - claim.claimed_at > lease(claim.release)

    def _is_left_to_us(self, claim: Claim) -> bool:
        # All files alike, not the module alone: a bundle may differ.
        if not claim.holder:  # or it isn't known whose bytes are on their way
            return False
        same = claim.release is not None and set(claim.release.files) == set(self.release.files)
        return same and self._waited_for(claim) > self.wait_policy.grace

    def _waited_for(self, claim: Claim) -> float:
        """Return the seconds from its first sight to the last question, not to a late answer."""
        seen = self._seen.setdefault((claim.holder, claim.generation), self.wait_policy.clock())
        return self._asked - seen

    def _report_waiting(self, claim: Claim) -> None:
        until = _end(claim)
        end = f", at the latest until {until:%H:%M:%S} UTC" if until else ""
        self.publisher.reporter.info(
            f"another run is publishing {self.key.id} {self.key.version}; waiting for it{end}"
        )


def read_record(versions: VersionStore, key: Key) -> Release | None:
    """Return a version's record; None when it isn't published. Raises as ``parse_record``."""
    data = versions.read_record(key)
    return None if data is None else parse_record(data, key)


def parse_record(data: bytes, key: Key) -> Release:
    """Read a version's record; RepositoryError if it can't be read or is another version's."""
    release = parse_release(data, location=f"the record of {key.id} {key.version}")
    if (release.id, release.version) != key:
        raise RepositoryError(
            f"the record stored as {key.id} {key.version} is that of {release.id} "
            f"{release.version}",
            hint="find out who changed the store; move the record to where it belongs.",
        )
    return release


def confirm_same(
    present: Release, offered: Release, *, status: Callable[[str], ModuleStatus]
) -> Release:
    """Return the published record if it is of the same module.

    Raises VersionConflict when it is of another one, or when the version was removed: a removed
    version never comes back, not even with the same bytes, since an old job could be run again.
    """
    require_same(present, offered)
    if (event := _removal(present, status)) is not None:
        raise VersionConflict(
            f"{_removed_text(event)}; nothing was changed",
            hint="raise the module's version and publish that: a removed version stays removed.",
        )
    return present


def require_same(present: Release, offered: Release) -> Release:
    """Return the record in the store; raises VersionConflict if it is of another module."""
    theirs, ours = present.module_file.sha256, offered.module_file.sha256
    if theirs != ours:
        raise VersionConflict(
            f"{offered.id} {offered.version} is already published with other bytes: there SHA-256 "
            f"{theirs}, here {ours}; nothing was changed",
            hint="raise the module's version and publish that: a published version never changes.",
        )
    return present


def refuse_removed(release: Release, *, status: Callable[[str], ModuleStatus]) -> None:
    """Raise NotInRepository, with who removed it and why, if the version was removed."""
    if (event := _removal(release, status)) is not None:
        raise NotInRepository(_removed_text(event), hint="choose another version.")


def _removal(release: Release, status: Callable[[str], ModuleStatus]) -> StatusEvent | None:
    state = status(release.id).states.get(release.version)
    return None if state is None else state.removed


def _removed_text(event: StatusEvent) -> str:
    by = f" by {event.by}" if event.by else ""
    reason = f": {event.reason}" if event.reason else ""
    return f"{event.id} {event.version} was removed on {event.at[:10]}{by}{reason}"


def _end(claim: Claim) -> datetime | None:
    if claim.release is None or claim.claimed_at is None:
        return None
    return claim.claimed_at + lease(claim.release)
