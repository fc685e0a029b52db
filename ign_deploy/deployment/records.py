"""The record of a deployment: what was done where, by whom, and what it replaced.

Each deployment has two immutable documents: one from its start, before anything is changed, and
one from its end. So concurrent jobs lose nothing, and a killed job is noticed: its deployment
started, but has no end.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ign_deploy.errors import ConfigurationError

MAX_DEPLOYMENT_RECORD_SIZE = 1 << 20
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
            f"{name[:100]!a} is not a valid environment name",
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
    """What was done to one gateway; ``gateway`` is its address, without credentials."""

    gateway: LimitedText
    name: LimitedText = ""
    outcome: Outcome = Field(default=Outcome.UNTOUCHED, strict=False)
    message: LimitedText = ""
    seconds: float = Field(default=0.0, allow_inf_nan=False)
    modules: tuple[ModuleOnGateway, ...] = Field(default=(), strict=False)


class DeploymentRecord(_Part):
    """One of a deployment's documents; times are ISO 8601 (UTC), ``ended_at`` empty in the first.

    Without gateways, one entry with an empty address holds what is only recorded.
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

    def to_json(self) -> bytes:
        """Return the record's bytes."""
        document = self.model_dump(mode="json")
        return json.dumps(document, sort_keys=True, ensure_ascii=False, indent=2).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """Parse a record; None if it is not valid: the history skips it."""
        if len(data) > MAX_DEPLOYMENT_RECORD_SIZE:
            return None
        try:
            return cls.model_validate_json(data)
        except ValidationError:
            return None

    @property
    def file_name(self) -> str:
        """The name of its document; names sort by the start of the deployment."""
        return f"{stamp(self.started_at)}-{self.id}-{self.phase.value}.json"


def timestamp(moment: datetime) -> str:
    """Return an aware time in the format of records."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stamp(time: str) -> str:
    """Return a time of a record as it is in file names, where it sorts."""
    return re.sub(r"[^0-9TZ]", "", time)
