"""The claim that this run has on a version: renewed while it works, given up when that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ign_deploy.errors import RepositoryError
from ign_deploy.net.retry import checked_attempts
from ign_deploy.repositories.claims import Claim, ClaimStore
from ign_deploy.repositories.renewal import Renewal, Taken
from ign_deploy.repositories.store import Key

_FRESH = 60.0
"""Seconds after which a claim is renewed before the record is written."""


class ClaimLost(RepositoryError):
    """The claim may be another run's by now, so this one may no longer write."""


@dataclass
class HeldClaim:
    """A claim of ours; ``since`` is when we began to claim it, by ``clock``.

    It is renewed by claiming the next generation: only one run gets that, so a run that didn't
    renew in time, and wakes up after another one took over, notices it.
    """

    store: ClaimStore
    key: Key
    claim: Claim
    since: float
    clock: Callable[[], float]
    _renewal: Renewal = field(init=False)

    def __post_init__(self) -> None:
        self._renewal = Renewal(self._renew, self.clock)
        self._renewal.extend(self.since)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew it while what is done within goes on, which ends with ClaimLost when it is lost."""
        with self._renewal.kept(), self.checked():
            yield

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Let no request begin within unless the claim is still ours."""
        with checked_attempts(self.require):
            yield

    def require(self) -> None:
        """Raise ClaimLost unless the claim is certainly still ours; makes no request."""
        if problem := self._renewal.problem:
            raise ClaimLost(
                f"this run lost its claim on {self.key.id} {self.key.version}: {problem}",
                hint="run again when the store can be reached.",
            )

    def refresh(self) -> None:
        """Renew it if it isn't fresh; raises ClaimLost."""
        if self.clock() - self.since > _FRESH:
            self._renewal.renew()
        self.require()

    def _renew(self) -> None:
        """Claim the next generation; raises Taken, or RepositoryError for another attempt."""
        for _ in range(2):
            begin = self.clock()
            generation = self.claim.generation + 1
            mine = replace(self.claim, generation=generation, claimed_at=self.store.now())
            if self.store.claim(self.key, mine):
                self.claim, self.since = mine, begin
                return
            current = self.store.current_claim(self.key)
            if current is None:
                raise Taken("another run published the version")
            if current.holder == mine.holder and current.generation == generation:
                # Only the answer was lost.
                self.claim, self.since = current, begin
                return
            if current.release is None or current.generation < generation:
                break
            if current.release != mine.release:
                raise Taken("another run, with other bytes, took it over")
            # A run with the same bytes helps; both may write the same record.
            self.claim = replace(mine, generation=current.generation)
        raise RepositoryError(
            f"the claim on {self.key.id} {self.key.version} wasn't accepted", hint="run again."
        )
