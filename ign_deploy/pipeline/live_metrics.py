"""Metrics of `status --live`: which gateways respond, and what differs from the history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.events import metric_targets
from ign_deploy.pipeline.live import LiveGateway, LiveResult, overall_result

if TYPE_CHECKING:
    from ign_deploy.metrics import ComparedGateway
    from ign_deploy.metrics.send import MetricTargets

_EVENT = "status"


def check_metrics(context: RunContext) -> None:
    """Raise ConfigurationError if the settings name targets that can't be used."""
    _targets(context)


def measure_gateways(gateways: Sequence[LiveGateway], context: RunContext) -> None:
    """Send the metrics to the configured targets; a target that fails is a warning."""
    targets = _targets(context)
    if targets is None:
        return
    from ign_deploy.metrics import MeasuredStage, Measurement
    from ign_deploy.metrics import send as sending

    result = overall_result(gateways)
    measured = Measurement(
        event=_EVENT,
        result=result.value,
        is_success=result is LiveResult.AS_RECORDED,
        started_at=context.now,
        seconds=(datetime.now(UTC) - context.now).total_seconds(),
        environment=context.settings.environment,
        stages=tuple(
            MeasuredStage(each.title, each.seconds, "failed" if each.problem else "ok", begin=0.0)
            for each in gateways
        ),
        gateways=Counter(each.result.value for each in gateways),
        compared=tuple(map(_compared, gateways)),
    )
    sending.send_measurement(
        measured.redacted(context.redact),
        targets=targets,
        env=context.env,
        reporter=context.reporter,
    )


def _targets(context: RunContext) -> MetricTargets | None:
    settings = context.settings
    ca = context.workspace.ca_file(settings.notification_ca)
    return metric_targets(settings, env=context.env, ca=ca)


def _compared(gateway: LiveGateway) -> ComparedGateway:
    from ign_deploy.metrics import ComparedGateway, ComparedModule

    modules = gateway.modules if gateway.lists_modules else ()
    return ComparedGateway(
        name=gateway.title,
        environment=gateway.environment,
        is_reachable=not gateway.problem,
        modules=tuple(
            ComparedModule(
                each.id,
                each.version,
                each.recorded,
                each.state,
                is_as_recorded=not each.difference,
                days_left=each.days_left,
            )
            for each in modules
        ),
    )
