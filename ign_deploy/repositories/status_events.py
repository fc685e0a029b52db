"""Marks: what is said of a published version afterwards (yanked, taken back, removed).

A record never changes, so each mark is a document of its own in the ledger, added and never
changed: concurrent jobs lose none, and who said what and why stays readable.
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
from ign_deploy.report import Reporter
from ign_deploy.repositories.record import Component, Sha256, UtcTime
from ign_deploy.repositories.store import DocumentStore

STATUS_FOLDER = "ledger/status-events"
MAX_STATUS_EVENT_SIZE = 64 << 10
_MAX_REASON = 2000


class StatusKind(StrEnum):
    """What a mark says."""

    YANKED = "yanked"
    UNYANKED = "unyanked"
    REMOVED = "removed"


class StatusEvent(BaseModel):
    """One statement about a version; ``at`` is ISO 8601 (UTC), ``by`` who made it.

    ``sha256`` is that of the module it was made about.
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
        """Return the mark's bytes."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=2).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class VersionState:
    """What all marks of a version come to: ``yanked`` is the reason, None when it isn't."""

    yanked: str | None = None
    removed: StatusEvent | None = None


AS_PUBLISHED = VersionState()


@dataclass(frozen=True, slots=True)
class ModuleStatus:
    """What the marks of a module say, by version, and the names of those marks."""

    names: tuple[str, ...] = ()
    states: Mapping[str, VersionState] = field(default_factory=dict)

    def is_removed(self, version: str) -> bool:
        """Tell whether the version was removed."""
        return self.states.get(version, AS_PUBLISHED).removed is not None

    def yanked(self, version: str) -> str | None:
        """Return why the version was yanked, None when it isn't."""
        return self.states.get(version, AS_PUBLISHED).yanked


NO_STATUS = ModuleStatus()


def status_folder(module_id: str) -> str:
    """Return where a module's marks are, relative to the repository."""
    return f"{STATUS_FOLDER}/{module_id}"


def add_status_event(documents: DocumentStore, mark: StatusEvent) -> str:
    """Add a mark to the ledger; return its name."""
    stamp = mark.at.translate(str.maketrans("", "", "-:."))
    name = f"{stamp}-{secrets.token_hex(6)}.json"
    documents.add(f"{status_folder(mark.id)}/{name}", mark.to_json())
    return name


def status_event_names(documents: DocumentStore, module_id: str) -> list[str]:
    """Return the names of a module's marks, sorted."""
    return sorted(name for name in documents.names(status_folder(module_id)) if _is_mark(name))


def read_states(
    documents: DocumentStore, module_id: str, *, names: Iterable[str], reporter: Reporter
) -> Mapping[str, VersionState]:
    """Return, by version, what the named marks say; a mark that can't be read is a warning."""
    marks: list[tuple[str, str, StatusEvent]] = []
    for name in names:
        document = documents.read(f"{status_folder(module_id)}/{name}")
        if document is None:
            continue
        mark = _parse(document.data, module_id, name, reporter)
        if mark is not None:
            marks.append((mark.at, name, mark))
    states: dict[str, VersionState] = {}
    for _, _, mark in sorted(marks, key=lambda item: item[:2]):
        states[mark.version] = _after(states.get(mark.version, AS_PUBLISHED), mark)
    return states


def read_module_status(
    documents: DocumentStore, module_id: str, *, reporter: Reporter
) -> ModuleStatus:
    """Return what all marks of a module say."""
    names = status_event_names(documents, module_id)
    states = read_states(documents, module_id, names=names, reporter=reporter)
    return ModuleStatus(tuple(names), states)


def _after(state: VersionState, mark: StatusEvent) -> VersionState:
    if mark.kind is StatusKind.REMOVED:
        return VersionState(state.yanked, state.removed or mark)
    yanked = mark.reason if mark.kind is StatusKind.YANKED else None
    return VersionState(yanked, state.removed)


def _parse(data: bytes, module_id: str, name: str, reporter: Reporter) -> StatusEvent | None:
    if len(data) <= MAX_STATUS_EVENT_SIZE:
        try:
            mark = StatusEvent.model_validate_json(data)
        except ValidationError as cause:
            reporter.warning(
                f"the mark {name} of {module_id} is left out: {explain_validation(cause)}"
            )
            return None
        if mark.id == module_id:
            return mark
    reporter.warning(f"the mark {name} of {module_id} is left out: it is too long or another's")
    return None


def _is_mark(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")
