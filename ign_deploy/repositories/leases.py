"""Leases: of several runs that want the same things at once, such as gateways, one has them.

All leases of a repository are in one document, so that any number of them costs as much as one.
Where the store compares and swaps, it lets one writer win; elsewhere a run waits after writing, and
reads back whether it still has them (see ``claims.write_and_wait``).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.report import Reporter
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.claims import write_and_wait
from ign_deploy.repositories.renewal import DURATION
from ign_deploy.repositories.store import Document, Store

LEASES = "leases/gateways.json"
CONFIRM_WAIT = 3.0
"""Seconds in which a run has written after it looked; if not, it waits much longer."""
_SETTLED = timedelta(seconds=2 * CONFIRM_WAIT)
"""After which a lease is certainly the one that holds; stores may count whole seconds."""
_CLOCK_SKEW = timedelta(minutes=5)
_TRIES = 25
_LOOKS = 4
_LONGEST_WAIT = 2.0


class Holder(BaseModel):
    """Who has a lease; ``token`` is random, one per run. All texts are other runs': untrusted."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    token: str = Field(max_length=64)
    environment: str = Field(default="", max_length=200)
    actor: str = Field(default="", max_length=400)
    host: str = Field(default="", max_length=400)
    run_url: str = Field(default="", max_length=2000)


class Lease(BaseModel):
    """What a run has, since when, and when it last said so, by the store's clock."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    name: str = Field(max_length=4000)
    number: int = Field(ge=1)
    holder: Holder
    since: datetime = Field(strict=False)
    renewed_at: datetime = Field(strict=False)

    def holds(self, now: datetime) -> bool:
        """Return whether it isn't over; one from the future never was valid."""
        until = self.renewed_at + timedelta(seconds=DURATION)
        return self.renewed_at - _CLOCK_SKEW <= now < until


class _Leases(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    schema_version: int = 1
    last_number: int = Field(default=0, ge=0)
    leases: tuple[Lease, ...] = Field(default=(), strict=False)


class LeaseHeld(Exception):
    """Another run has what was requested."""

    def __init__(self, lease: Lease, remaining: float) -> None:
        super().__init__(lease.name)
        self.lease = lease
        self.remaining = remaining


class LeaseStore:
    """The leases in a store's documents; one for the whole run."""

    def __init__(self, store: Store, wait_policy: WaitPolicy, reporter: Reporter) -> None:
        self._store = store
        self.wait_policy = wait_policy
        self._reporter = reporter
        self._written: Document | None = None
        self._unsaid = threading.Lock()

    def take(self, names: Sequence[str], holder: Holder) -> int:
        """Take all of these or none; return their number, which is higher than any before.

        Raises LeaseHeld, or RepositoryError.
        """
        is_settled = self._store.compares()
        if not is_settled:
            self._warn()
        for attempt in range(_TRIES):
            begin = self.wait_policy.clock()
            document, found = self._read()
            now = self._store.now()
            ours = [each for each in found.leases if each.holder.token == holder.token]
            if ours:  # the acknowledgement got lost, or another run's writing brought it back
                if self._store.compares() or self._is_confirmed(holder):
                    return ours[0].number
                continue
            try:
                _require_free(found, names, now)
            except LeaseHeld as held:
                if is_settled or now - held.lease.since > _SETTLED:
                    raise
                # Of several that took it at once, the last one to write has it in the end.
                self.wait_policy.sleep(CONFIRM_WAIT)
                is_settled = True
                continue
            number = found.last_number + 1
            taken = [
                Lease(name=name, number=number, holder=holder, since=now, renewed_at=now)
                for name in names
            ]
            changed = _with(found, taken, holder, now, last_number=number)
            with self._withdrawing(holder):
                if self._take(changed, document, holder, since=begin):
                    return number
            self._pause(attempt)
        raise _too_busy()

    def renew(self, names: Sequence[str], holder: Holder, number: int) -> None:
        """Say that the run still works; also where another one's writing took its leases out.

        Raises LeaseHeld if another run has one of them by now, or RepositoryError.
        """
        for attempt in range(_TRIES):
            document, found = self._read()
            now = self._store.now()
            _require_free(found, names, now, but=holder.token, above=self._overwritten_by(number))
            if any(each.number > number for each in found.leases if each.name in names):
                raise _lost()
            known = {each.name: each for each in found.leases if each.holder.token == holder.token}
            if self._store.compares() and set(known) != set(names):
                raise _lost()
            ours = [
                Lease(
                    name=name, number=number, holder=holder, renewed_at=now,
                    since=known[name].since if name in known else now,
                )
                for name in names
            ]  # fmt: skip
            changed = _with(found, ours, holder, now, last_number=max(number, found.last_number))
            if self._write(changed, document):
                return
            self._pause(attempt)
        raise _too_busy()

    def release(self, holder: Holder) -> None:
        """Give back what the run has; raises RepositoryError."""
        for attempt in range(_TRIES):
            document, found = self._read() if attempt else self._known()
            if not any(each.holder.token == holder.token for each in found.leases):
                if attempt:
                    return
                continue  # another thread of this run wrote later
            changed = _with(found, (), holder, self._store.now(), last_number=found.last_number)
            if self._write(changed, document):
                return
            self._pause(attempt)
        raise _too_busy()

    def _warn(self) -> None:
        if self._unsaid.acquire(blocking=False):  # once in a run
            self._reporter.warning(
                f"{self._store.address} can't promise that only one of several runs deploys to a "
                f"gateway: those that begin at the same moment are kept apart by waiting "
                f"{CONFIRM_WAIT:.0f} s; also let your CI host run one deployment at a time"
            )

    def _known(self) -> tuple[Document | None, _Leases]:
        """Return what this run has written last if the store notices when it is out of date."""
        if self._written is None or not self._store.compares():
            return self._read()
        return self._written, _Leases.model_validate_json(self._written.data)

    def _read(self) -> tuple[Document | None, _Leases]:
        for look in range(_LOOKS):
            if look:
                self.wait_policy.sleep(self.wait_policy.poll)
            document = self._store.documents.read(LEASES)
            if document is None:
                return None, _Leases()
            # Some servers show a file while it is being written (sabre/dav, WsgiDAV).
            with suppress(ValidationError):
                return document, _Leases.model_validate_json(document.data)
        raise RepositoryError(
            f"{LEASES} in the repository is not valid, so it is unknown which gateways other runs "
            "are deploying to; nothing was changed",
            hint=f"make sure that no deployment is running, then delete {LEASES}.",
        )

    def _take(
        self, changed: _Leases, document: Document | None, holder: Holder, *, since: float
    ) -> bool:
        """Write what was taken; return whether it is this run's now."""
        if self._store.compares():
            return self._write(changed, document)
        took = write_and_wait(
            lambda: self._write(changed, document),
            since=since, wait=CONFIRM_WAIT, wait_policy=self.wait_policy,
        )  # fmt: skip
        if took >= CONFIRM_WAIT:
            # It may have overwritten the lease of a run that is at work: that one renews it until
            # then, or no longer counts on it; meanwhile ours keeps others out.
            self.wait_policy.sleep(DURATION)
        return self._has(holder)

    def _is_confirmed(self, holder: Holder) -> bool:
        """Return whether the run still has it after all that saw it free have written."""
        self.wait_policy.sleep(CONFIRM_WAIT)
        return self._has(holder)

    def _has(self, holder: Holder) -> bool:
        _, found = self._read()
        return any(each.holder.token == holder.token for each in found.leases)

    @contextmanager
    def _withdrawing(self, holder: Holder) -> Iterator[None]:
        """Give back what may have been taken if an error ends what is done within."""
        try:
            yield
        except IgnDeployError:
            with suppress(IgnDeployError):
                self.release(holder)
            raise

    def _write(self, changed: _Leases, document: Document | None) -> bool:
        """Return False if another run has written since, where the store compares."""
        data = changed.model_dump_json().encode()
        if not self._store.documents.write(LEASES, data, replaces=document):
            return False
        self._written = Document(data)
        return True

    def _overwritten_by(self, number: int) -> int:
        """Return the highest number of what can only be a slow run's, written over ours."""
        return 0 if self._store.compares() else number

    def _pause(self, attempt: int) -> None:
        longest = min(_LONGEST_WAIT, 0.05 * 2**attempt)
        self.wait_policy.sleep(random.uniform(0, longest))  # noqa: S311


def _require_free(
    found: _Leases, names: Sequence[str], now: datetime, *, but: str = "", above: int = 0
) -> None:
    for each in found.leases:
        is_other = each.name in names and each.holder.token != but and each.number > above
        if is_other and each.holds(now):
            over = each.renewed_at + timedelta(seconds=DURATION)
            raise LeaseHeld(each, (over - now).total_seconds())


def _with(
    found: _Leases, ours: Sequence[Lease], holder: Holder, now: datetime, *, last_number: int
) -> _Leases:
    """Return the leases with ours as given; those that are over are left out."""
    names = {each.name for each in ours}
    others = [
        each
        for each in found.leases
        if each.holder.token != holder.token and each.name not in names and each.holds(now)
    ]
    return found.model_copy(update={"leases": (*others, *ours), "last_number": last_number})


def _lost() -> RepositoryError:
    return RepositoryError(
        "this run's lease expired, and another run has had it since",
        hint="run the same command again.",
    )


def _too_busy() -> RepositoryError:
    return RepositoryError(
        f"{LEASES} is written by many runs at once: {_TRIES} attempts to change it failed",
        hint="run again when fewer jobs deploy at once.",
    )
