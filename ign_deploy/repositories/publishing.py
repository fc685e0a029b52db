"""Publishing exactly once: claim the version, upload its files, write its record last.

Whoever claims first publishes; everybody else finds the record there afterwards. A run that was
killed leaves a claim behind: a run with the same bytes goes on under a claim of its own, one with
other bytes waits until the old claim has expired. No file of another run is ever deleted.

A claim is a lease. Its holder writes the record only within the first half of it, others take over
only after all of it, by the store's own clock: so a run that was stopped and woke up again can't
write over its successor.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ign_deploy.errors import RepositoryError
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories import Outcome
from ign_deploy.repositories.access import Patience
from ign_deploy.repositories.claims import lease
from ign_deploy.repositories.record import Release, parse_release
from ign_deploy.repositories.store import Claim, Key, Store


@dataclass
class Attempt:
    """One run's way to a published version; ``settle`` judges a record that is there.

    ``settle`` returns the record if it is of the same module and raises VersionConflict else.
    """

    store: Store
    release: Release
    files: Mapping[str, Path]
    settle: Callable[[Release], Release]
    reporter: Reporter
    progress: Progress
    patience: Patience = field(default_factory=Patience)
    holder: str = field(default_factory=lambda: secrets.token_hex(16))
    _seen: dict[tuple[str, int], float] = field(default_factory=dict)
    _asked: float = 0.0

    @property
    def key(self) -> Key:
        """The version to be published."""
        return Key(self.release.id, self.release.version)

    def publish(self) -> tuple[Outcome, Release]:
        """Publish, or find out that it was; raises VersionConflict, RepositoryError."""
        while True:
            claim = self._claimed()
            if isinstance(claim, Release):
                return Outcome.ALREADY_PUBLISHED, self.settle(claim)
            ours = claim.release or self.release
            begin = self.patience.clock()
            self.store.put_files(self.key, ours, files=self.files, progress=self.progress)
            spent = self.patience.clock() - begin
            if spent < lease(ours).total_seconds() / 2:
                break
            # Nobody came between, if the next generation is ours too: the files are what we sent.
            claim = Claim(self.holder, claim.generation + 1, self.store.now(), ours)
            if self.store.claim(self.key, claim):
                break
        if (there := read_record(self.store, self.key)) is not None:
            return Outcome.ALREADY_PUBLISHED, self.settle(there)
        self.store.put_record(self.key, claim, ours.to_json())
        written = read_record(self.store, self.key)
        if written is None:
            raise RepositoryError(
                f"the store accepted the record of {self.key.id} {self.key.version}, but doesn't "
                "show it",
                hint="run again; if it stays so, look at the store's log.",
            )
        return Outcome.PUBLISHED, self.settle(written)

    def _claimed(self) -> Claim | Release:
        """Return our claim on the version, or the record that ends it all."""
        reported = False
        while True:
            if (there := read_record(self.store, self.key)) is not None:
                return there
            self._asked = self.patience.clock()
            current = self.store.current_claim(self.key)
            if current is not None and current.holder == self.holder:
                return current
            if (release := self._release_to_claim(current)) is not None:
                generation = 0 if current is None else current.generation + 1
                mine = Claim(self.holder, generation, self.store.now(), release)
                if self.store.claim(self.key, mine):
                    # Claims are removed after the record is there: ours may follow a removed one.
                    return read_record(self.store, self.key) or mine
            elif current is not None and not reported:
                reported = True
                self._tell_waiting(current)
            self.patience.sleep(self.patience.poll)

    def _release_to_claim(self, current: Claim | None) -> Release | None:
        """Return the record to claim the version for; None while it is another run's."""
        if current is None or self._is_over(current):
            return self.release
        # The same bytes: whoever claimed them first has said how the record is to be.
        return current.release if self._is_left_to_us(current) else None

    def _is_over(self, claim: Claim) -> bool:
        """Tell whether a claim has expired; one that can't be read does so after the grace."""
        if claim.release is None or claim.claimed_at is None:
            return self._waited_for(claim) > self.patience.grace
        return self.store.now() - claim.claimed_at > lease(claim.release)

    def _is_left_to_us(self, claim: Claim) -> bool:
        # All files alike, not the module alone: a bundle may differ.
        same = claim.release is not None and set(claim.release.files) == set(self.release.files)
        return same and self._waited_for(claim) > self.patience.grace

    def _waited_for(self, claim: Claim) -> float:
        """Return the seconds from its first sight to the last question, not to a late answer."""
        seen = self._seen.setdefault((claim.holder, claim.generation), self.patience.clock())
        return self._asked - seen

    def _tell_waiting(self, claim: Claim) -> None:
        until = _end(claim)
        end = f", at the latest until {until:%H:%M:%S} UTC" if until else ""
        self.reporter.info(
            f"another run is publishing {self.key.id} {self.key.version}; waiting for it{end}"
        )


def read_record(store: Store, key: Key) -> Release | None:
    """Return a version's record; None when it isn't published.

    Raises RepositoryError for one that can't be read or belongs to another version.
    """
    data = store.read_record(key)
    if data is None:
        return None
    release = parse_release(data, location=f"the record of {key.id} {key.version}")
    if (release.id, release.version) != key:
        raise RepositoryError(
            f"the record at the place of {key.id} {key.version} is that of "
            f"{release.id} {release.version}",
            hint="find out who changed the store; move the record to where it belongs.",
        )
    return release


def _end(claim: Claim) -> datetime | None:
    if claim.release is None or claim.claimed_at is None:
        return None
    return claim.claimed_at + lease(claim.release)
