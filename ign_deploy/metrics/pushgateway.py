"""Pushing to a Prometheus Pushgateway, for jobs that end before anybody could ask them."""

from __future__ import annotations

from pathlib import Path

from ign_deploy.metrics.exposition import grouping_path, prometheus_text
from ign_deploy.metrics.measurement import Measured, label
from ign_deploy.net.credentials import require_web_address
from ign_deploy.net.requesting import POLICY, Proxies, call
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.session import open_session

JOB = "ign-deploy"
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def push_metrics(
    url: str,
    measured: Measured,
    *,
    job: str = JOB,
    ca: Path | None = None,
    proxies: Proxies | None = None,
    policy: RetryPolicy = POLICY,
) -> None:
    """Replace the group of this job, event and environment at the Pushgateway.

    Raises NetworkError when it isn't accepted, ConfigurationError for an unusable URL.
    """
    host = require_web_address(url, what="the Pushgateway", is_private=False)
    group = {
        "job": label(job) or JOB,
        "event": label(measured.event),
        "environment": label(measured.environment),
    }
    body = prometheus_text(measured)
    with open_session(ca=ca, proxies=proxies) as session:
        call(
            session,
            "PUT",
            url.rstrip("/") + grouping_path(group),
            host=host,
            body=body,
            headers=lambda: {"Content-Type": _CONTENT_TYPE},
            hints={400: "see the Pushgateway's log for the metric that it rejected."},
            policy=policy,
        )
