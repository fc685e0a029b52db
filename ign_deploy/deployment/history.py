"""The history of deployments: append-only, with one folder of documents per environment."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from ign_deploy.deployment.environment_index import EnvironmentIndex, started_name, stem
from ign_deploy.deployment.record_reader import (
    CLOCK_SKEW,
    ROOT,
    RecordReader,
    belong_together,
)
from ign_deploy.deployment.records import (
    DeploymentRecord,
    Phase,
    check_environment,
    is_environment,
    stamp,
    timestamp,
)
from ign_deploy.deployment.replay import replay
from ign_deploy.deployment.state import DeployedVersion, Deployment, EnvironmentState

__all__ = ["DeployedVersion", "Deployment", "EnvironmentState", "History"]

ENVIRONMENTS = "ledger/environments"
FORGOTTEN = "ledger/forgotten"
INDEXES = "ledger/deployment-indexes"
_FORGOTTEN_NAME = re.compile(r"([0-9]{8}T[0-9]{12}Z)-[0-9a-f]{12}-(.+)\.json")
_PAGE = 64
_MOST_ENDS = 8
"""Of so many unfinished deployments a reader looks for the end."""


@dataclass(frozen=True)
class History(RecordReader):
    """The deployments in a repository's documents.

    Documents are untrusted: one that is not valid, that is from the future, whose deployment has
    no beginning or that has the id of another deployment is skipped with a warning, and so is what
    contradicts earlier deployments.
    """

    redact: Callable[[str], str] = str
    _seen_indexed: set[str] = field(default_factory=set)
    """Environments that have deployments in their index, so that their name is known."""

    def append(self, *records: DeploymentRecord) -> None:
        """Add documents of a deployment, and bring the index up to date; raises RepositoryError.

        A deployment that isn't in the index isn't seen, so nothing may be changed before that.
        """
        name = check_environment(records[0].environment)
        redacted = [self.redacted(each) for each in records]
        documents = [each.to_json() for each in redacted]  # refuses what is too large
        is_new = records[0].phase is Phase.STARTED or records[0].is_only_recorded
        if is_new and name not in self._seen_indexed:
            self._documents.add(f"{ENVIRONMENTS}/{name}.json", b"{}\n")
        for each, data in zip(redacted, documents, strict=True):
            self._documents.add(f"{ROOT}/{name}/{each.file_name}", data)
        self._index(name, redacted)

    def complete(self, ended: DeploymentRecord) -> bool:
        """Add the end of a deployment that an earlier run could not; False if it isn't one's here.

        Raises RepositoryError.
        """
        folder = f"{ROOT}/{check_environment(ended.environment)}"
        started = self._read(folder, started_name(ended), may_be_missing=True)
        if started is None or not self._is_past(ended) or not belong_together(started, ended):
            return False
        if self._documents.read(f"{folder}/{ended.file_name}") is None:
            self.append(ended)
        else:
            self._index(ended.environment, [])
        return True

    def reindex(self) -> None:
        """Rebuild the index of each environment from its records; raises RepositoryError."""
        for name in self.environments():
            self._index(name, [], rebuilt=self._rebuilt(name, self._after(name)))

    def redacted(self, record: DeploymentRecord) -> DeploymentRecord:
        """Return the record without secrets in what gateways and health checks said."""
        gateways = tuple(
            gateway.model_copy(
                update={
                    "message": self.redact(gateway.message),
                    "steps": tuple(map(self.redact, gateway.steps)),
                }
            )
            for gateway in record.gateways
        )
        return record.model_copy(update={"gateways": gateways})

    def forget(self, environment: str, *, actor: str) -> None:
        """Hide an environment with all deployments so far; a later one makes it known again."""
        name, at = check_environment(environment), timestamp(self.clock())
        document = {"environment": name, "at": at, "by": self.redact(actor)}
        data = json.dumps(document, sort_keys=True, indent=2).encode() + b"\n"
        self._documents.add(f"{FORGOTTEN}/{stamp(at)}-{secrets.token_hex(6)}-{name}.json", data)
        self._index(name, [], is_forgotten=True)

    def session(self, environment: str) -> AbstractContextManager[None]:
        """Read an environment's index once for what is decided and appended within.

        For what takes seconds, and appends once.
        """
        name = check_environment(environment)
        return self._documents.session(_index_path(name), key=name)

    def environments(self) -> list[str]:
        """Return the names of all environments, sorted; skip invalid ones with a warning."""
        found: list[str] = []
        forgotten = self._forgotten()
        for file in sorted(self._documents.names(ENVIRONMENTS)):
            name = file.removesuffix(".json")
            if not is_environment(name):
                self._warn(f"skipped {file!r}: not a valid environment name")
            elif name not in forgotten or not self._current_index(name, forgotten[name]).is_empty:
                found.append(name)
        return found

    def deployments(self, environment: str) -> list[Deployment]:
        """Return all deployments of an environment, oldest first; warn of invalid documents."""
        name = check_environment(environment)
        return self._deployments_in(name, self._names(name, after=self._after(name)))

    def latest(self, environment: str, *, limit: int, module_id: str = "") -> list[Deployment]:
        """Return the newest deployments of an environment (and module), the newest first.

        Reads no more documents than needed.
        """
        found: list[Deployment] = []
        for each in self._newest_first(check_environment(environment)):
            if not module_id or each.has_module(module_id):
                found.append(each)
            if len(found) == limit:
                break
        return found

    def find(self, environment: str, deployment_id: str) -> Deployment | None:
        """Return the deployment with that id, None if the environment has none."""
        name = check_environment(environment)
        index = self._current_index(name)
        for each in self._recent(index):
            if each.started.id == deployment_id:
                return each
        names = [
            each
            for each in self._names(name, after=index.after)
            if each.partition("-")[2].rpartition("-")[0] == deployment_id
        ]
        return next(iter(self._deployments_in(name, names)), None)

    def state(self, environment: str, *, is_whole: bool = False) -> EnvironmentState:
        """Return what the deployments add up to; warn of those that contradict earlier ones.

        ``is_whole``: read all of them, for the SHA-256 of versions of long ago.
        """
        name = check_environment(environment)
        if is_whole:
            state = replay(self.deployments(name))
        else:
            index = self._current_index(name)
            state = replay(self._recent(index), since=index.checkpoint)
        for contradiction in state.contradictions:
            self._warn(f"the history of {environment} contradicts itself: {contradiction}")
        return state

    def deployed(self, environment: str) -> list[DeployedVersion]:
        """Return the current versions, by gateway and module."""
        return self.state(environment).deployed

    def protected(self) -> set[tuple[str, str]]:
        """Return each (id, version) that an environment runs or could be rolled back to."""
        found: set[tuple[str, str]] = set()
        for environment in self.environments():
            state = self.state(environment)
            for each in state.deployed:
                found |= {(each.id, each.version), (each.id, each.previous)}
            unconfirmed = [
                *state.unconfirmed.values(),
                *(
                    module
                    for deployment in state.deployments
                    if deployment.ended is None
                    for gateway in deployment.started.gateways
                    for module in gateway.modules
                ),
            ]
            for module in unconfirmed:
                found |= {(module.id, module.version), (module.id, module.previous)}
        return {(module_id, version) for module_id, version in found if version}

    def _newest_first(self, name: str) -> Iterator[Deployment]:
        index = self._current_index(name)
        recent = self._recent(index)
        yield from reversed(recent)
        if not index.checkpoint.through:
            return
        known = {stem(each.started) for each in recent}
        names: dict[str, list[str]] = {}
        for each in self._names(name, after=index.after):
            names.setdefault(each.rpartition("-")[0], []).append(each)
        older = sorted((each for each in names if each not in known), reverse=True)
        for begin in range(0, len(older), _PAGE):
            page = [file for each in older[begin : begin + _PAGE] for file in names[each]]
            yield from reversed(self._deployments_in(name, page))

    def _current_index(self, name: str, after: str | None = None) -> EnvironmentIndex:
        """Return the index with the deployments that it lacks; nothing is written.

        ``after`` is since when the environment is forgotten, None if the index says so.
        """
        document = self._documents.read_derived(_index_path(name))
        index = None if document is None else self._parsed(name, document.data)
        if after is None and (index is None or self._documents.lists_cheaply):
            after = self._after(name)
        if index is None or (after is not None and index.after != after):
            return self._rebuilt(name, after or "")
        if not index.is_empty:
            self._seen_indexed.add(name)
        if self._documents.lists_cheaply:
            return self._completed(index)
        return self._with(index, self._ends(index))

    def _index(
        self,
        name: str,
        records: Sequence[DeploymentRecord],
        *,
        rebuilt: EnvironmentIndex | None = None,
        is_forgotten: bool = False,
    ) -> None:
        """Bring the stored index up to date with these documents, and what other runs added."""

        def change(stored: bytes | None, *, is_complete: bool) -> bytes:
            index = None if stored is None else self._parsed(name, stored)
            if rebuilt is not None and is_complete:
                index = self._completed(rebuilt)
            elif index is None or is_forgotten or not is_complete:
                after = self._after(name)
                if index is None or index.after != after:
                    index = self._rebuilt(name, after)
                else:
                    index = self._completed(index)
            return self._with(index, records).to_json()

        self._documents.update(_index_path(name), key=name, change=change)

    def _after(self, name: str) -> str:
        """Return since when the environment is forgotten, empty if it isn't."""
        return self._forgotten().get(name, "")

    def _parsed(self, name: str, data: bytes) -> EnvironmentIndex | None:
        index = EnvironmentIndex.parse(data, name)
        now = stamp(timestamp(self.clock() + CLOCK_SKEW))
        if index is None or index.checkpoint.through > now:
            self._warn(
                f"the index of the deployments to {name} is not valid; all records are read instead"
            )
            return None
        return index

    def _rebuilt(self, name: str, after: str) -> EnvironmentIndex:
        found = self._deployments_in(name, self._names(name, after=after))
        return EnvironmentIndex(name, after).with_deployments(found)

    def _completed(self, index: EnvironmentIndex) -> EnvironmentIndex:
        """Return the index with what a listing has and it lacks."""
        names = self._names(index.environment, after=index.after)
        missing = self._read_all(index.environment, index.lacking(names))
        return self._with(index, [*missing, *self._ends(index)])

    def _ends(self, index: EnvironmentIndex) -> list[DeploymentRecord]:
        """Return the ends of deployments that the index has as unfinished.

        A run that was killed, or lost the store, may have written one without the index.
        """
        open_ids = {each.started.id for each in self._recent(index) if each.ended is None}
        if not open_ids | set(index.unfinished):
            return []
        state = replay(self._recent(index), since=index.checkpoint)
        uncertain = {each.deployment for each in state.modules if each.uncertain}
        stems = [stem(each) for each in index.recent if each.id in open_ids & uncertain]
        stems += [f"{stamp(at)}-{each}" for each, at in index.unfinished.items()]
        names = [f"{each}-{Phase.ENDED.value}.json" for each in sorted(stems)[-_MOST_ENDS:]]
        return self._read_all(index.environment, names, may_be_missing=True)

    def _with(
        self, index: EnvironmentIndex, records: Sequence[DeploymentRecord]
    ) -> EnvironmentIndex:
        """Return the index with these documents."""
        if not records:
            return index
        known = {each.id for each in index.recent}
        known |= {
            each.id for each in records if each.phase is Phase.STARTED or each.is_only_recorded
        }
        lost = [started_name(each) for each in records if each.id not in known]
        starts = self._read_all(index.environment, lost, may_be_missing=True)
        return index.with_deployments(self._recent(index, [*starts, *records]))

    def _recent(
        self, index: EnvironmentIndex, more: Sequence[DeploymentRecord] = ()
    ) -> list[Deployment]:
        """Return the deployments after the index's checkpoint; ``more`` are others' documents."""
        return self._paired([*filter(self._is_past, index.records()), *more])

    def _forgotten(self) -> Mapping[str, str]:
        """Return since when each forgotten environment is so."""
        found: dict[str, str] = {}
        latest = stamp(timestamp(self.clock() + CLOCK_SKEW))
        for file in sorted(self._documents.names(FORGOTTEN)):
            match = _FORGOTTEN_NAME.fullmatch(file)
            if match is None or match[1] > latest:
                self._warn(f"skipped {file!r} among the forgotten environments: not valid")
            else:
                found[match[2]] = match[1]
        return found


def _index_path(name: str) -> str:
    return f"{INDEXES}/{name}.json"
