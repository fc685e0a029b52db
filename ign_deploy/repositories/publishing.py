"""Publishing exactly once: claim the version, upload its files, write its record last.

The first to claim publishes; all others find the record there afterwards. A run that was killed
leaves a claim behind: a run with the same bytes goes on under a claim of its own, one with other
bytes waits until the old claim has expired. No file of another run is ever deleted.

A claim is a lease, which its holder renews while it uploads. Others take it over when it hasn't
been renewed for a while, by the store's own clock; its holder has given it up before that, so a run
that was suspended and woke up again can't write over its successor.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from ign_deploy.errors import NotInRepository, RepositoryError, VersionConflict
from ign_deploy.module.ignition import line_name, parsed_ignition
from ign_deploy.report import Reporter
from ign_deploy.repositories import PublishOutcome, renewal
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.claims import Claim, ClaimStore
from ign_deploy.repositories.held_claim import ClaimLost, HeldClaim
from ign_deploy.repositories.record import Release, parse_release
from ign_deploy.repositories.status_events import ModuleStatus, StatusEvent
from ign_deploy.repositories.store import Key, Publishing, VersionStore

_MOST_LOSSES = 3


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
        self.begin = self.wait_policy.clock()

    def publish(self) -> tuple[PublishOutcome, Release]:
        """See ``Publisher.publish``."""
        held, losses = self._claim_unseen(), 0
        while True:
            if held is None:
                found = self._claim_or_find()
                if isinstance(found, Release):
                    return PublishOutcome.ALREADY_PUBLISHED, self.wanted.confirm(found)
                held = found
            try:
                outcome = self._publish_under(held)
            except ClaimLost:
                # Whoever has it now publishes, or dies; then the claim is ours once more.
                held, losses = None, losses + 1
                if losses == _MOST_LOSSES:
                    raise
            else:
                return outcome, require_same(self._read_back(), self.release)

    def _publish_under(self, held: HeldClaim) -> PublishOutcome:
        """Upload the files, then write the record; raises ClaimLost once the claim isn't ours."""
        ours = held.claim.release or self.release

        def report(advance: int) -> None:
            self.wanted.progress(advance)
            if advance > 0:
                held.require()

        with held.kept():
            self.claims.put_files(self.key, ours, files=self.wanted.files, progress=report)
        held.refresh()
        # A run with the same bytes takes over after the grace, not before.
        is_late = self.wait_policy.clock() - self.begin > self.wait_policy.grace
        if is_late and (there := read_record(self.versions, self.key)) is not None:
            self.wanted.confirm(there)
            return PublishOutcome.ALREADY_PUBLISHED
        with held.checked():
            is_ours = self.claims.put_record(self.key, held.claim, ours.to_json())
        return PublishOutcome.PUBLISHED if is_ours else PublishOutcome.ALREADY_PUBLISHED

    def _read_back(self) -> Release:
        written = read_record(self.versions, self.key)
        if written is None:
            raise RepositoryError(
                f"the store accepted the record of {self.key.id} {self.key.version}, but doesn't "
                "show it",
                hint="run again; if that doesn't help, look at the store's log.",
            )
        return written

    def _claim_unseen(self) -> HeldClaim | None:
        """Return our claim on a version that nothing is known of, where one request can tell."""
        return self._claim(0, self.release) if self.claims.claims_unseen() else None

    def _claim(self, generation: int, release: Release) -> HeldClaim | None:
        begin = self.wait_policy.clock()
        mine = Claim(self.holder, generation, self.claims.now(), release)
        return self._held(mine, since=begin) if self.claims.claim(self.key, mine) else None

    def _held(self, claim: Claim, *, since: float) -> HeldClaim:
        return HeldClaim(self.claims, self.key, claim, since, self.wait_policy.clock)

    def _claim_or_find(self) -> HeldClaim | Release:
        """Return our claim on the version, or the record that makes it needless."""
        with ExitStack() as waiting:
            return self._poll_claim(waiting)

    def _poll_claim(self, waiting: ExitStack) -> HeldClaim | Release:
        is_first, is_reported = not self.claims.claims_unseen(), False
        while True:
            if (there := read_record(self.versions, self.key)) is not None:
                return there
            self._asked = self.wait_policy.clock()
            # Most versions are unclaimed: the claim itself shows whether this one is.
            current = None if is_first else self.claims.current_claim(self.key)
            is_first = False
            if (found := self._found_ours(current)) is not None:
                return found
            if (release := self._release_to_claim(current)) is not None:
                held = self._claim(0 if current is None else current.generation + 1, release)
                if held is not None:
                    # Claims are removed after the record is there: ours may follow a removed one.
                    return read_record(self.versions, self.key) or held
                if current is None:
                    continue
            elif current is not None and not is_reported:
                is_reported = True
                self._report_waiting()
                title = f"waiting for the run that publishes {self.key.id} {self.key.version}"
                waiting.enter_context(self.publisher.reporter.waiting(title))
            self.wait_policy.sleep(self.wait_policy.poll)

    def _found_ours(self, current: Claim | None) -> HeldClaim | Release | None:
        """Return the claim that we have already, if only the answer was lost; None for another."""
        if current is None or current.holder != self.holder or current.claimed_at is None:
            return None
        age = self._age(current.claimed_at)
        if age > self.wait_policy.grace:
            return None
        held = self._held(current, since=self.wait_policy.clock() - age)
        # Or ours lost, and is the oldest only since the winner's was removed.
        return read_record(self.versions, self.key) or held

    def _release_to_claim(self, current: Claim | None) -> Release | None:
        """Return the record to claim the version for; None while it is another run's."""
        if current is None or self._is_over(current):
            return self.release
        if current.holder == self.holder:
            return current.release  # it was ours until we couldn't renew it
        # The same bytes: the first to claim them has said how the record is to be.
        return current.release if self._is_left_to_us(current) else None

    def _is_over(self, claim: Claim) -> bool:
        """Return whether a claim has expired; one that can't be read does so after the grace."""
        if claim.release is None or claim.claimed_at is None:
            return self._waited_for(claim) > self.wait_policy.grace
        return self._age(claim.claimed_at) > renewal.DURATION

    def _age(self, claimed_at: datetime) -> float:
        return (self.claims.now() - claimed_at).total_seconds()

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

    def _report_waiting(self) -> None:
        self.publisher.reporter.info(
            f"another run is publishing {self.key.id} {self.key.version}; waiting for it, and "
            f"taking over if it isn't heard from for {renewal.DURATION:.0f} s"
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
            hint=_other_line_hint(present, offered)
            or _other_signer_hint(present, offered)
            or "raise the module's version and publish that: a published version never changes.",
        )
    return present


def _other_line_hint(present: Release, offered: Release) -> str:
    """Return what to do where one version was built for two lines of Ignition; else ""."""
    versions = [parsed_ignition(each.required_ignition_version) for each in (present, offered)]
    lines = [line_name(each) for each in versions if each]
    if len(set(lines)) < len(versions):
        return ""
    theirs, ours = lines
    return (
        f"the published module is for Ignition {theirs}, this one for {ours}: give each its own "
        "version, for example by the fourth number, such as "
        f"1.4.2.{theirs.replace('.', '')} and 1.4.2.{ours.replace('.', '')}."
    )


def _other_signer_hint(present: Release, offered: Release) -> str:
    """Return what to do where another certificate signed the published version; else ""."""
    if present.certificate.sha256 == offered.certificate.sha256:
        return ""
    return (
        f"the published module is signed with another certificate (SHA-1 "
        f"{present.certificate.sha1}): to publish the same content with yours, add --resign 1, "
        "which makes it build 1 of the version; for other content, raise the version."
    )


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
