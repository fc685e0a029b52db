"""The index of an environment: what its deployments add up to, and the recent ones in full.

It is derived from the records, so that reading doesn't have to read all of them: a checkpoint of
the oldest deployments, then the last document of each later one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import from_json

from ign_deploy.deployment.records import (
    DeploymentRecord,
    ModuleOnGateway,
    Outcome,
    Phase,
    Timestamp,
    compact_json,
    stamp,
)
from ign_deploy.deployment.replay import START, fold
from ign_deploy.deployment.state import Checkpoint, DeployedVersion, Deployment
from ign_deploy.errors import RepositoryError

MAX_INDEX_SIZE = 32 << 20
RECENT = 50
"""So many recent deployments are kept in full, unless they are too large."""
_SLACK = 14
_MAX_RECENT_SIZE = 512 << 10
_DIGESTS = 8
"""The SHA-256 of so many versions of a module on a gateway are kept."""
_API_VERSION = "1"
_VERSIONS = TypeAdapter(list[DeployedVersion])
_MODULES = TypeAdapter(list[ModuleOnGateway])
_DEPLOYED_FIELDS = [each.name for each in fields(DeployedVersion)]
_MODULE_FIELDS = list(ModuleOnGateway.model_fields)

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}\z")]


class _Packed(BaseModel):
    """A checkpoint as it is stored: every text is a number in the table ``texts``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    texts: list[str]
    modules: list[list[Any]]
    unconfirmed: list[tuple[int, list[Any]]]
    digests: list[tuple[int, int, int, int]]
    last_modules: list[tuple[int, list[int]]]
    contradictions: list[str]
    through: Annotated[str, Field(pattern=r"^([0-9]{8}T[0-9]{12}Z-[A-Za-z0-9-]{1,64})?\z")]
    has_all_digests: bool


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    api_version: str
    environment: str
    after: Annotated[str, Field(pattern=r"^([0-9]{8}T[0-9]{12}Z)?\z")]
    checkpoint: _Packed
    recent: list[dict[str, Any]]
    unfinished: dict[Id, Timestamp]


@dataclass(frozen=True, slots=True)
class EnvironmentIndex:
    """See above. ``after`` is when the environment was last forgotten, empty for never.

    ``unfinished`` are deployments in the checkpoint whose end would still count, by id, and when
    they started.
    """

    environment: str
    after: str = ""
    checkpoint: Checkpoint = START
    recent: Sequence[DeploymentRecord] = ()
    unfinished: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Return whether it has no deployment."""
        return not self.recent and not self.checkpoint.through

    def records(self) -> Iterator[DeploymentRecord]:
        """Yield the documents of the recent deployments."""
        for each in self.recent:
            if each.phase is Phase.ENDED:
                yield started_from(each)
            yield each

    def lacking(self, file_names: Iterable[str]) -> list[str]:
        """Return which of these documents aren't accounted for."""
        known = {each.file_name for each in self.recent}
        known |= {started_name(each) for each in self.recent}
        through = self.checkpoint.through
        return [
            each for each in file_names if each not in known and each.rpartition("-")[0] > through
        ]

    def with_deployments(self, deployments: Sequence[Deployment]) -> Self:
        """Return the index in which these are the deployments after the checkpoint."""
        excess = _excess(deployments)
        old, recent = deployments[:excess], deployments[excess:]
        checkpoint, unfinished = self.checkpoint, dict(self.unfinished)
        for each in deployments:
            unfinished.pop(each.started.id, None)
        if old:
            through = max(checkpoint.through, *(stem(each.started) for each in old))
            checkpoint = _bounded(fold(old, since=checkpoint, through=through))
            unfinished |= {
                each.started.id: each.started.started_at for each in old if each.ended is None
            }
        uncertain = {each.deployment for each in checkpoint.modules.values() if each.uncertain}
        return replace(
            self,
            checkpoint=checkpoint,
            recent=[each.last for each in recent],
            unfinished={name: at for name, at in unfinished.items() if name in uncertain},
        )

    def to_json(self) -> bytes:
        """Return its bytes; raises RepositoryError if that would be too many."""
        document = {
            "api_version": _API_VERSION,
            "environment": self.environment,
            "after": self.after,
            "checkpoint": _pack(self.checkpoint),
            "recent": [each.to_document() for each in self.recent],
            "unfinished": dict(self.unfinished),
        }
        data = compact_json(document)
        if len(data) > MAX_INDEX_SIZE:
            raise RepositoryError(
                f"the index of {self.environment} would have {len(data)} bytes, more than "
                f"{MAX_INDEX_SIZE}",
                hint="give some of its gateways an environment of their own.",
            )
        return data

    @classmethod
    def parse(cls, data: bytes, environment: str) -> Self | None:
        """Parse an environment's index; None if it is not valid."""
        if len(data) > MAX_INDEX_SIZE:
            return None
        try:
            stored = _Stored.model_validate(from_json(data, allow_inf_nan=False))
            recent = [DeploymentRecord.from_document(each) for each in stored.recent]
            checkpoint = _unpack(stored.checkpoint)
        except (ValueError, TypeError, IndexError):
            return None
        names = {environment, stored.environment, *(each.environment for each in recent)}
        names |= {each.environment for each in checkpoint.modules.values()}
        if stored.api_version != _API_VERSION or names != {environment}:
            return None
        return cls(environment, stored.after, checkpoint, recent, stored.unfinished)


def stem(record: DeploymentRecord) -> str:
    """Return what the names of a deployment's documents begin with; they sort by its start."""
    return f"{stamp(record.started_at)}-{record.id}"


def started_name(record: DeploymentRecord) -> str:
    """Return the name of the document of a deployment's start."""
    return f"{stem(record)}-{Phase.STARTED.value}.json"


def started_from(ended: DeploymentRecord) -> DeploymentRecord:
    """Return the start of a deployment from its end, as far as it matters later."""
    gateways = tuple(
        gateway.model_copy(
            update={
                "outcome": Outcome.UNTOUCHED,
                "message": "",
                "seconds": 0.0,
                "modules": tuple(
                    module.model_copy(
                        update={
                            "outcome": Outcome.UNTOUCHED,
                            "license_state": "",
                            "restored": None,
                        }
                    )
                    for module in gateway.modules
                ),
            }
        )
        for gateway in ended.gateways
    )
    return ended.model_copy(
        update={"phase": Phase.STARTED, "outcome": None, "ended_at": "", "gateways": gateways}
    )


def _excess(deployments: Sequence[Deployment]) -> int:
    """Return how many of the oldest deployments are folded into the checkpoint."""
    excess = len(deployments) - RECENT if len(deployments) > RECENT + _SLACK else 0
    size = 0
    for number in range(len(deployments) - 1, excess - 1, -1):
        last = deployments[number].last
        size += len(compact_json(last.to_document()))
        # The newest always stays: its end isn't written yet, mostly.
        if size > _MAX_RECENT_SIZE and number < len(deployments) - 1:
            return number + 1
    return excess


def _bounded(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with the digests of the newest versions of each module on a gateway.

    Those of the versions that may have to be restored stay, however old they are.
    """
    kept: dict[tuple[str, str, str], str] = {}
    counts: dict[tuple[str, str], int] = {}
    for key, digest in reversed(list(checkpoint.digests.items())):
        place = (key[0], key[1])
        counts[place] = counts.get(place, 0) + 1
        current = checkpoint.modules.get(place)
        needed = (current.version, current.previous, current.rollback_version) if current else ()
        if counts[place] <= _DIGESTS or key[2] in needed:
            kept[key] = digest
    is_cut = len(kept) < len(checkpoint.digests)
    return replace(
        checkpoint,
        digests=dict(reversed(list(kept.items()))),
        contradictions=list(checkpoint.contradictions)[-20:],
        has_all_digests=checkpoint.has_all_digests and not is_cut,
    )


def _pack(checkpoint: Checkpoint) -> dict[str, Any]:
    texts: dict[str, int] = {}

    def pack(value: object) -> Any:
        if isinstance(value, str):
            return texts.setdefault(str(value), len(texts))
        return [pack(each) for each in value] if isinstance(value, Iterable) else value

    return {
        "modules": [
            [pack(getattr(each, name)) for name in _DEPLOYED_FIELDS]
            for each in checkpoint.modules.values()
        ],
        "unconfirmed": [
            (pack(gateway), [pack(getattr(module, name)) for name in _MODULE_FIELDS])
            for (gateway, _), module in checkpoint.unconfirmed.items()
        ],
        "digests": [(*map(pack, key), pack(digest)) for key, digest in checkpoint.digests.items()],
        "last_modules": [(pack(key), pack(ids)) for key, ids in checkpoint.last_modules.items()],
        "contradictions": list(checkpoint.contradictions),
        "through": checkpoint.through,
        "has_all_digests": checkpoint.has_all_digests,
        "texts": list(texts),
    }


def _unpack(packed: _Packed) -> Checkpoint:
    def unpack(value: Any) -> Any:
        if type(value) is int:
            if value < 0:
                raise IndexError(value)
            return packed.texts[value]
        return tuple(unpack(each) for each in value) if isinstance(value, list) else value

    def rows(found: Iterable[list[Any]], names: Sequence[str]) -> list[dict[str, Any]]:
        return [dict(zip(names, map(unpack, row), strict=True)) for row in found]

    versions = _VERSIONS.validate_python(rows(packed.modules, _DEPLOYED_FIELDS))
    unconfirmed = _MODULES.validate_python(
        rows((row for _, row in packed.unconfirmed), _MODULE_FIELDS)
    )
    gateways = [unpack(gateway) for gateway, _ in packed.unconfirmed]
    return Checkpoint(
        modules={(each.gateway, each.id): each for each in versions},
        unconfirmed={
            (gateway, each.id): each for gateway, each in zip(gateways, unconfirmed, strict=True)
        },
        digests={
            (unpack(gateway), unpack(module_id), unpack(version)): unpack(digest)
            for gateway, module_id, version, digest in packed.digests
        },
        last_modules={unpack(gateway): unpack(ids) for gateway, ids in packed.last_modules},
        contradictions=packed.contradictions,
        through=packed.through,
        has_all_digests=packed.has_all_digests,
    )
