"""Status events: what happens to a version after it was published (yanked, unyanked, removed).

A record never changes, so each event is a document of its own in the ledger, added and never
changed: concurrent jobs lose none, and the log keeps who changed what and why.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ign_deploy.errors import explain_validation
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import Reporter
from ign_deploy.repositories.record import Component, Sha256, UtcTime, is_safe_component
from ign_deploy.repositories.skipped import warn_skipped
from ign_deploy.repositories.store import Document, DocumentStore

STATUS_FOLDER = "ledger/status-events"
MAX_STATUS_EVENT_SIZE = 64 << 10
_MAX_REASON = 2000
_WORKERS = 8
_MOST_REMEMBERED = 16 << 20


class StatusKind(StrEnum):
    """What happened."""

    YANKED = "yanked"
    UNYANKED = "unyanked"
    REMOVED = "removed"


class StatusEvent(BaseModel):
    """One event of a version; ``at`` is ISO 8601 (UTC), ``by`` who caused it.

    ``sha256`` is that of the version's module.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    schema_version: Annotated[int, Field(ge=1)] = 1
    kind: StatusKind = Field(strict=False)
    id: Component
    version: Component
    sha256: Sha256
    reason: Annotated[str, Field(max_length=_MAX_REASON)] = ""
    by: Annotated[str, Field(max_length=_MAX_REASON)] = ""
    at: UtcTime

    def to_json(self) -> bytes:
        """Return the event's bytes."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=2).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class VersionState:
    """What all events of a version add up to: ``yanked`` is the reason, None when it isn't."""

    yanked: str | None = None
    removed: StatusEvent | None = None


AS_PUBLISHED = VersionState()


@dataclass(frozen=True, slots=True)
class ModuleStatus:
    """The state of a module's versions, and the names of the events that led to it."""

    names: tuple[str, ...] = ()
    states: Mapping[str, VersionState] = field(default_factory=dict)

    def is_removed(self, version: str) -> bool:
        """Return whether the version was removed."""
        return self.states.get(version, AS_PUBLISHED).removed is not None

    def yanked(self, version: str) -> str | None:
        """Return why the version was yanked, None when it isn't."""
        return self.states.get(version, AS_PUBLISHED).yanked


NO_STATUS = ModuleStatus()


class RememberedLedger:
    """A store's documents; status events, which never change, are requested once in a run."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents
        self._known: dict[str, Document] = {}
        self._size = 0

    def read(self, path: str) -> Document | None:
        """See ``DocumentStore.read``."""
        if (known := self._known.get(path)) is not None:
            return known
        document = self._documents.read(path)
        if document is not None:
            self._remember(path, document)
        return document

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``DocumentStore.write``."""
        return self._documents.write(path, data, replaces=replaces)

    def add(self, path: str, data: bytes) -> None:
        """See ``DocumentStore.add``."""
        self._documents.add(path, data)
        self._remember(path, Document(data))

    def names(self, folder: str) -> list[str]:
        """See ``DocumentStore.names``."""
        return self._documents.names(folder)

    def _remember(self, path: str, document: Document) -> None:
        is_event = path.startswith(f"{STATUS_FOLDER}/")
        if is_event and self._size + len(document.data) <= _MOST_REMEMBERED:
            self._known[path] = document
            self._size += len(document.data)


def status_folder(module_id: str) -> str:
    """Return where a module's status events are, relative to the repository."""
    return f"{STATUS_FOLDER}/{module_id}"


def add_status_event(documents: DocumentStore, event: StatusEvent) -> str:
    """Add an event to the ledger; return its name."""
    stamp = event.at.translate(str.maketrans("", "", "-:."))
    name = f"{stamp}-{secrets.token_hex(6)}.json"
    documents.add(f"{status_folder(event.id)}/{name}", event.to_json())
    return name


def status_event_names(documents: DocumentStore, module_id: str) -> list[str]:
    """Return the names of a module's status events, sorted."""
    return sorted(name for name in documents.names(status_folder(module_id)) if _is_event(name))


def read_states(
    documents: DocumentStore, module_id: str, *, names: Iterable[str], reporter: Reporter
) -> Mapping[str, VersionState]:
    """Return the state of each version after the named events; unreadable ones are warnings."""
    states: dict[str, VersionState] = {}
    for event in read_events(documents, module_id, names=names, reporter=reporter).values():
        states[event.version] = _after(states.get(event.version, AS_PUBLISHED), event)
    return states


def read_events(
    documents: DocumentStore, module_id: str, *, names: Iterable[str], reporter: Reporter
) -> Mapping[str, StatusEvent]:
    """Return the events by name, in the order of their times; unreadable ones are warnings."""
    listed = list(names)
    found = map_parallel(
        lambda name: documents.read(f"{status_folder(module_id)}/{name}"), listed, workers=_WORKERS
    )
    events: list[tuple[str, str, StatusEvent]] = []
    for name, document in zip(listed, found, strict=True):
        if document is None:
            continue
        event = _parse(document.data, module_id, name, reporter)
        if event is not None:
            events.append((event.at, name, event))
    return {name: event for _, name, event in sorted(events, key=lambda item: item[:2])}


def read_module_status(
    documents: DocumentStore, module_id: str, *, reporter: Reporter
) -> ModuleStatus:
    """Return what all status events of a module add up to."""
    names = status_event_names(documents, module_id)
    states = read_states(documents, module_id, names=names, reporter=reporter)
    return ModuleStatus(tuple(names), states)


def _after(state: VersionState, event: StatusEvent) -> VersionState:
    if event.kind is StatusKind.REMOVED:
        return VersionState(state.yanked, state.removed or event)
    yanked = event.reason if event.kind is StatusKind.YANKED else None
    return VersionState(yanked, state.removed)


def _parse(data: bytes, module_id: str, name: str, reporter: Reporter) -> StatusEvent | None:
    what = f"status event {name} of {module_id}"
    if len(data) <= MAX_STATUS_EVENT_SIZE:
        try:
            event = StatusEvent.model_validate_json(data)
        except ValidationError as cause:
            warn_skipped(what, explain_validation(cause), reporter)
            return None
        if event.id == module_id:
            return event
    warn_skipped(what, "it is too long, or another module's", reporter)
    return None


def _is_event(name: str) -> bool:
    # Other files in that folder, such as a sync program's copies, are no one's events.
    return name.endswith(".json") and is_safe_component(name)
