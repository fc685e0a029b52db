"""Guards of the indexes: what sees to it that runs that write them at once lose nothing.

See docs/decisions/0015: why an index is complete once the publishers have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ign_deploy.repositories.store import Indexed, IndexSession, Key


class _Undisturbed:
    """A session beside which no other run can lose anything; see ``store.IndexSession``."""

    def others(self, indexed: Mapping[str, Indexed]) -> Collection[str]:  # noqa: ARG002
        return ()

    def overlaps(self, key: str) -> bool:  # noqa: ARG002
        return False


class NoGuard:
    """For stores with compare-and-swap: a write that would lose another's is refused."""

    @contextmanager
    def session(self, keys: Collection[Key]) -> Iterator[IndexSession]:  # noqa: ARG002
        """See ``IndexGuard.session``."""
        yield _Undisturbed()


@dataclass(frozen=True, slots=True)
class ListingGuard:
    """Compares what was written with a listing of all versions, made after the write.

    For stores that list everything in few requests: ``listing`` yields every version, and for each
    status event its module with an empty version. ``may_have_lost`` returns whether a write since
    the last question may have replaced another run's.
    """

    listing: Callable[[], Iterable[Key]]
    may_have_lost: Callable[[], bool]

    @contextmanager
    def session(self, keys: Collection[Key]) -> Iterator[IndexSession]:  # noqa: ARG002
        """See ``IndexGuard.session``."""
        self.may_have_lost()
        yield self

    def others(self, indexed: Mapping[str, Indexed]) -> Collection[str]:
        """See ``IndexSession.others``."""
        if not self.may_have_lost():
            return ()
        listed: dict[str, list[str]] = {}
        for key in self.listing():
            listed.setdefault(key.id, []).append(key.version)
        return [
            module_id
            for module_id, versions in listed.items()
            if not _agrees(indexed.get(module_id), versions)
        ]

    def overlaps(self, key: str) -> bool:  # noqa: ARG002
        """See ``IndexSession.overlaps``."""
        return self.may_have_lost()


def _agrees(indexed: Indexed | None, listed: list[str]) -> bool:
    if indexed is None or indexed.latest not in listed:
        return False
    # Neither versions nor status events are ever deleted: as many are the same.
    events = listed.count("")
    return (indexed.versions, indexed.status_events) == (len(listed) - events, events)
