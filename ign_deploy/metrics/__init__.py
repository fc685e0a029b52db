"""Metrics: how long a run took and how it ended, for Prometheus and OpenTelemetry.

``send.send_measurement`` sends a ``Measurement`` to every target in ``MetricTargets``; a target
that fails is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

# Useless in metrics and terminals alike; lone surrogates can't even be encoded.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_MOST_TEXT = 200


@dataclass(frozen=True, slots=True)
class MeasuredStage:
    """A stage: ``result`` is ``ok``, ``failed`` or ``skipped``; times in seconds.

    ``begin`` counts from the run's start; None means when the stage before it ended.
    """

    name: str
    seconds: float
    result: str = "ok"
    begin: float | None = None


@dataclass(frozen=True, slots=True)
class MeasuredModule:
    """A module; ``size`` in bytes, 0 if unknown; ``days_left`` of its signer's certificate."""

    id: str
    version: str
    size: int = 0
    days_left: int | None = None


@dataclass(frozen=True, slots=True)
class ComparedModule:
    """A module on a gateway, and the version that the history has; empty texts if unknown.

    ``days_left`` are those of its signer's certificate.
    """

    id: str
    version: str
    recorded: str
    state: str
    is_as_recorded: bool
    days_left: int | None = None


@dataclass(frozen=True, slots=True)
class ComparedGateway:
    """A gateway that was asked what it runs."""

    name: str
    environment: str
    is_reachable: bool
    modules: tuple[ComparedModule, ...] = ()

    def redacted(self, redact: Callable[[str], str]) -> Self:
        """Return it without secrets in the texts that others choose."""
        return replace(
            self,
            name=redact(self.name),
            environment=redact(self.environment),
            modules=tuple(
                replace(
                    each,
                    id=redact(each.id),
                    version=redact(each.version),
                    recorded=redact(each.recorded),
                    state=redact(each.state),
                )
                for each in self.modules
            ),
        )


@dataclass(frozen=True, slots=True)
class Measurement:
    """A run: ``event`` is ``deployment``, ``rollback``, ``release``, ``status``, ….

    ``started_at`` is an aware time, ``seconds`` the duration. ``gateways`` counts them by outcome;
    ``compared`` has those that were compared with the history.
    """

    event: str
    result: str
    is_success: bool
    started_at: datetime
    seconds: float
    environment: str = ""
    stages: tuple[MeasuredStage, ...] = ()
    modules: tuple[MeasuredModule, ...] = ()
    gateways: Mapping[str, int] = field(default_factory=dict)
    compared: tuple[ComparedGateway, ...] = ()
    deployment_id: str = ""

    def redacted(self, redact: Callable[[str], str]) -> Self:
        """Return the measurement without secrets in the texts that others choose."""
        return replace(
            self,
            environment=redact(self.environment),
            stages=tuple(replace(each, name=redact(each.name)) for each in self.stages),
            modules=tuple(
                replace(each, id=redact(each.id), version=redact(each.version))
                for each in self.modules
            ),
            compared=tuple(each.redacted(redact) for each in self.compared),
            deployment_id=redact(self.deployment_id),
        )


def label_value(text: str) -> str:
    """Return ``text`` as a label's value: one line of bounded length that can be encoded."""
    return _UNSAFE.sub(" ", text)[:_MOST_TEXT]
