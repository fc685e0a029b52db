"""Pushing to a Prometheus Pushgateway, for jobs that end before anybody could ask them."""

from __future__ import annotations

from ign_deploy.metrics.exposition import grouping_path, prometheus_text
from ign_deploy.metrics.measurement import Measured, label
from ign_deploy.net.client import DEFAULT_SERVICE, ServiceOptions
from ign_deploy.net.credentials import require_web_address

JOB = "ign-deploy"
_HINTS = {400: "see the Pushgateway's log for the metric that it rejected."}
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def push_metrics(
    url: str,
    measured: Measured,
    *,
    job: str = JOB,
    service: ServiceOptions = DEFAULT_SERVICE,
) -> None:
    """Replace the group of this job, event and environment at the Pushgateway.

    Raises NetworkError when it isn't accepted, ConfigurationError for an unusable URL.
    """
    require_web_address(url, what="the Pushgateway", is_private=False)
    group = {
        "job": label(job) or JOB,
        "event": label(measured.event),
        "environment": label(measured.environment),
    }
    with service.client(hints=_HINTS) as client:
        client.request(
            "PUT",
            url.rstrip("/") + grouping_path(group),
            title="pushing the metrics",
            body=prometheus_text(measured),
            headers={"Content-Type": _CONTENT_TYPE},
        )
