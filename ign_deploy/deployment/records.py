"""The record of a deployment: what was done where, by whom, and what it replaced.

Each deployment has two immutable documents: one from its start, before anything is changed, and
one from its end. So concurrent jobs lose nothing, and a killed job is noticed: its deployment
started, but has no end. What can be written can be read: a deployment whose record would be too
large is refused before it starts.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import from_json

from ign_deploy.errors import ConfigurationError, DeploymentError

MAX_DEPLOYMENT_RECORD_SIZE = 8 << 20
MAX_START_SIZE = 1 << 20
"""The end of a deployment needs at most five times as much as its start, and texts that are cut."""
_SHORTENED_TEXTS = (400, 40, 0)
_MODULE_FIELDS = ("id", "version", "sha256")
_MAX_EXPANDED = 64 << 20
_ENVIRONMENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9_-])){0,63}\Z")
_MAX_TEXT = 4000


class Phase(StrEnum):
    """Which of a deployment's two documents it is."""

    STARTED = "started"
    ENDED = "ended"


class DeploymentKind(StrEnum):
    """The purpose of a deployment."""

    DEPLOYMENT = "deployment"
    ROLLBACK = "rollback"
    PROMOTION = "promotion"


class Outcome(StrEnum):
    """What became of a gateway, of a module on it, or of a whole deployment.

    ``recorded``: only written to the history, since there was no gateway. ``restart-pending``:
    installed, but the gateway must be restarted. ``uninstalled``: the module was taken off.
    ``rolled-back``: it failed, and the previous version is back. ``rollback-failed``:
    needs manual repair. ``untouched``: nothing was changed.
    """

    DEPLOYED = "deployed"
    UNCHANGED = "unchanged"
    RESTART_PENDING = "restart-pending"
    RECORDED = "recorded"
    UNINSTALLED = "uninstalled"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"
    ROLLBACK_FAILED = "rollback-failed"
    UNTOUCHED = "untouched"


# What was requested is done, or will be after a restart that is made later.
DEPLOYED_OUTCOMES = frozenset(
    {
        Outcome.DEPLOYED,
        Outcome.UNCHANGED,
        Outcome.RESTART_PENDING,
        Outcome.RECORDED,
        Outcome.UNINSTALLED,
    }
)


def is_environment(name: str) -> bool:
    """Return whether it is a valid environment name, and so a valid folder name."""
    return _ENVIRONMENT.fullmatch(name) is not None


def check_environment(name: str) -> str:
    """Return the environment's name; raises ConfigurationError if it is not valid."""
    if not is_environment(name):
        raise ConfigurationError(
            f"{name[:100]!r} is not a valid environment name",
            hint="use letters, digits and . _ - (first a letter or digit), such as production.",
        )
    return name


def _environment(name: str) -> str:
    if not is_environment(name):
        raise ValueError("must be a name of letters, digits and . _ -")
    return name


def _shortened(text: str) -> str:
    return text[:_MAX_TEXT]


Timestamp = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z\z")
]
LimitedText = Annotated[str, AfterValidator(_shortened)]


class _Part(BaseModel):
    # Unknown fields are ignored: a record is never rewritten.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class ModuleOnGateway(_Part):
    """One module on one gateway; ``previous`` is the version before, empty if there was none.

    ``sha256`` is that of the deployed module. ``restored`` is the version that a rollback restored:
    empty if it uninstalled the module, None if there was no rollback.
    """

    id: LimitedText
    version: LimitedText
    sha256: str = ""
    previous: LimitedText = ""
    outcome: Outcome = Field(default=Outcome.UNTOUCHED, strict=False)
    license_state: LimitedText = ""
    restored: LimitedText | None = None


class GatewayRecord(_Part):
    """What was done to one gateway; ``gateway`` is its address, without credentials.

    ``message`` is the reason of the outcome, ``steps`` what is left to do.
    """

    gateway: LimitedText
    name: LimitedText = ""
    outcome: Outcome = Field(default=Outcome.UNTOUCHED, strict=False)
    message: LimitedText = ""
    steps: tuple[LimitedText, ...] = Field(default=(), strict=False)
    seconds: float = Field(default=0.0, allow_inf_nan=False)
    modules: tuple[ModuleOnGateway, ...] = Field(default=(), strict=False)

    @property
    def title(self) -> str:
        """What people call the gateway: its name, or its address."""
        return self.name or self.gateway

    @property
    def reason(self) -> str:
        """The message for those who have the gateway's title before it."""
        return self.message.removeprefix(f"{self.title}: ")


class DeploymentRecord(_Part):
    """One of a deployment's documents; times are ISO 8601 (UTC), ``ended_at`` empty in the first.

    Without gateways, one entry with an empty address holds what is only recorded; that has one
    document. ``lease`` is the number of the lease on the gateways: that of a later deployment to
    one of them is higher.
    """

    schema_version: Annotated[int, Field(ge=1)] = 1
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}\z")]
    phase: Phase = Field(strict=False)
    kind: DeploymentKind = Field(default=DeploymentKind.DEPLOYMENT, strict=False)
    environment: Annotated[str, AfterValidator(_environment)]
    outcome: Outcome | None = Field(default=None, strict=False)
    started_at: Timestamp
    ended_at: Timestamp | Literal[""] = ""
    gateways: tuple[GatewayRecord, ...] = Field(default=(), strict=False)
    actor: LimitedText = ""
    commit: LimitedText = ""
    run_url: LimitedText = ""
    notes: LimitedText = ""
    tags: tuple[LimitedText, ...] = Field(default=(), strict=False)
    source: LimitedText = ""
    lease: Annotated[int, Field(ge=0)] = 0

    @property
    def is_only_recorded(self) -> bool:
        """Return whether it changes no gateway: then its end is all there is of it."""
        return bool(self.gateways) and not any(each.gateway for each in self.gateways)

    def to_json(self) -> bytes:
        """Return the record's bytes, which can always be read again.

        Raises DeploymentError for a start that is too large: before anything is changed. The texts
        of an end are shortened as far as needed.
        """
        data = compact_json(self.to_document())
        if self.phase is Phase.STARTED and len(data) > MAX_START_SIZE:
            modules = {module.id for each in self.gateways for module in each.modules}
            raise DeploymentError(
                f"the record of {len(modules)} modules on {len(self.gateways)} gateways would have "
                f"{len(data)} bytes, more than {MAX_START_SIZE}; nothing was changed",
                hint="deploy to some of the gateways at a time, with --gateway.",
            )
        for longest in _SHORTENED_TEXTS:
            if len(data) <= MAX_DEPLOYMENT_RECORD_SIZE:
                break
            data = compact_json(self._with_texts(longest).to_document())
        return data

    def to_document(self) -> dict[str, Any]:
        """Return JSON values: what many gateways have in common is there once, in a table."""
        document: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        numbers: dict[tuple[str, ...], int] = {}
        for gateway in document.get("gateways", ()):
            for module in gateway.get("modules", ()):
                common = tuple(module.pop(name, "") for name in _MODULE_FIELDS)
                module["module"] = numbers.setdefault(common, len(numbers))
        document["modules"] = [dict(zip(_MODULE_FIELDS, each, strict=True)) for each in numbers]
        document["schema_version"] = self.schema_version
        return document

    def _with_texts(self, longest: int) -> Self:
        """Return the record with shortened texts of gateways."""
        gateways = tuple(
            gateway.model_copy(
                update={
                    "message": gateway.message[:longest],
                    "steps": tuple(step[:longest] for step in gateway.steps if longest),
                    "modules": tuple(
                        module.model_copy(update={"license_state": module.license_state[:longest]})
                        for module in gateway.modules
                    ),
                }
            )
            for gateway in self.gateways
        )
        return self.model_copy(update={"gateways": gateways})

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """Parse a record; None if it is not valid: the history skips it."""
        if len(data) > MAX_DEPLOYMENT_RECORD_SIZE:
            return None
        try:
            return cls.from_document(from_json(data, allow_inf_nan=False))
        except (ValueError, TypeError):
            return None

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """Return the record; raises ValueError or TypeError if it is not valid."""
        return cls.model_validate(_expanded(document))

    @property
    def file_name(self) -> str:
        """The name of its document; names sort by the start of the deployment."""
        return f"{stamp(self.started_at)}-{self.id}-{self.phase.value}.json"


def compact_json(document: Any) -> bytes:
    """Return JSON values as compact bytes."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def _expanded(document: Any) -> Any:
    """Return the document with each module in full; raises an error if it isn't valid."""
    table = document.pop("modules", []) if isinstance(document, dict) else None
    if not isinstance(table, list):
        raise TypeError("not a deployment record")
    gateways = document.get("gateways")
    entries = [
        module
        for gateway in (gateways if isinstance(gateways, list) else ())
        if isinstance(gateway, dict) and isinstance(gateway.get("modules"), list)
        for module in gateway["modules"]
        if isinstance(module, dict) and "module" in module
    ]
    # A hostile one could name a long entry many times.
    if len(entries) * max((len(str(each)) for each in table), default=0) > _MAX_EXPANDED:
        raise ValueError("too large")
    for entry in entries:
        number = entry.pop("module")
        if type(number) is not int or not 0 <= number < len(table):
            raise ValueError("no such module")
        if not isinstance(table[number], dict):
            raise TypeError("not a module")
        entry |= {name: table[number].get(name, "") for name in _MODULE_FIELDS}
    return document


def timestamp(moment: datetime) -> str:
    """Return an aware time in the format of records."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stamp(time: str) -> str:
    """Return a time of a record as it is in file names, where it sorts."""
    return re.sub(r"[^0-9TZ]", "", time)
