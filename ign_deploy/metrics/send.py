"""Sending a run's measurements to every configured target; a failing target is a warning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.files import require_replaceable
from ign_deploy.metrics import Measurement, label_value
from ign_deploy.metrics.exposition import grouping_path, prometheus_text, write_metrics
from ign_deploy.metrics.spans import Endpoint, export_spans
from ign_deploy.net.client import DEFAULT_SERVICE, ServiceOptions
from ign_deploy.net.credentials import require_web_address
from ign_deploy.net.retry import BEST_EFFORT_SECONDS, best_effort
from ign_deploy.report import Reporter

JOB = "ign-deploy"
_HINTS = {400: "see the Pushgateway's log for the metric that it rejected."}
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class MetricTargets:
    """Where measurements go; nowhere by default.

    ``file`` gets OpenMetrics text; ``pushgateway`` is a URL, ``job`` its group; ``otlp`` is made by
    ``spans.otlp_endpoint``. ``service`` says how both servers are reached.
    """

    file: Path | None = None
    pushgateway: str = ""
    job: str = JOB
    otlp: Endpoint | None = None
    service: ServiceOptions = DEFAULT_SERVICE

    def check(self) -> None:
        """Raise ConfigurationError for an unusable Pushgateway URL, or file."""
        if self.file is not None:
            require_replaceable(self.file, what="the metrics file")
        if self.pushgateway:
            require_web_address(self.pushgateway, what="the Pushgateway", is_private=False)


def send_measurement(
    measurement: Measurement,
    *,
    targets: MetricTargets,
    env: Mapping[str, str],
    reporter: Reporter,
    deadline: float = BEST_EFFORT_SECONDS,
) -> None:
    """Write, push and export at once; each failure is one warning, and nothing is raised.

    ``env`` may hold TRACEPARENT. What isn't done by the ``deadline`` (seconds) is abandoned.
    """
    if targets.otlp is not None:
        for secret in targets.otlp.secrets:
            reporter.mask(secret)
    if targets.file is not None or targets.pushgateway:
        # Its modules import each other: two threads that load it at once block each other.
        import prometheus_client.openmetrics.exposition  # noqa: F401
    steps = dict(_steps(measurement, targets, env))
    problems = best_effort(list(steps.values()), deadline=deadline)
    for failure, problem in zip(steps, problems, strict=True):
        if problem:
            reporter.warning(f"{failure}: {problem}")


def _steps(
    measurement: Measurement, targets: MetricTargets, env: Mapping[str, str]
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield each step, with the message for its failure."""
    file, otlp, service = targets.file, targets.otlp, targets.service
    if file is not None:
        yield "the metrics file was not written", lambda: write_metrics(file, measurement)
    if targets.pushgateway:
        yield (
            "the metrics were not pushed",
            lambda: push_metrics(
                targets.pushgateway, measurement, job=targets.job, service=service
            ),
        )
    if otlp is not None:
        yield (
            "the spans were not exported",
            lambda: export_spans(otlp, measurement, env=env, service=service),
        )


def push_metrics(
    url: str,
    measurement: Measurement,
    *,
    job: str = JOB,
    service: ServiceOptions = DEFAULT_SERVICE,
) -> None:
    """Replace the group of this job, event and environment at the Pushgateway.

    Raises NetworkError when it isn't accepted, ConfigurationError for an unusable URL.
    """
    require_web_address(url, what="the Pushgateway", is_private=False)
    group = {
        "job": label_value(job) or JOB,
        "event": label_value(measurement.event),
        "environment": label_value(measurement.environment),
    }
    with service.client(hints=_HINTS) as client:
        client.request(
            "PUT",
            url.rstrip("/") + grouping_path(group),
            title="pushing the metrics",
            body=prometheus_text(measurement),
            headers={"Content-Type": _CONTENT_TYPE},
        )
