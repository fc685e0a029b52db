"""Settings → run events: the notification channels and the targets of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError
from ign_deploy.pipeline.audit_log import AuditLog
from ign_deploy.pipeline.events import RunEvents
from ign_deploy.settings import Settings

if TYPE_CHECKING:
    from ign_deploy.metrics.send import MetricTargets
    from ign_deploy.net.client import ServiceOptions
    from ign_deploy.notify import Channel

_TOKENS = ("GITHUB_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN")


def open_events(
    settings: Settings, *, env: Mapping[str, str], ca: Path | None, audit: AuditLog
) -> RunEvents:
    """Return the notification channels and metric targets in the settings.

    ``ca`` has the certificates of a private CA, for both. Raises ConfigurationError.
    """
    reporter = audit.reporter
    for name in _TOKENS:
        if env.get(name):
            reporter.mask(env[name])
    channels = _channels(settings, env, ca)
    for channel in channels:
        for secret in channel.secrets:
            reporter.mask(secret)
    return RunEvents(
        audit=audit,
        env=env,
        reporter=reporter,
        redact=audit.redact,
        channels=channels,
        targets=_targets(settings, env, ca),
    )


def _channels(settings: Settings, env: Mapping[str, str], ca: Path | None) -> list[Channel]:
    service = _service(env, ca)
    found: list[Channel] = []
    if url := settings.webhook_url.get_secret_value().strip():
        from ign_deploy.notify.webhook import webhook

        secret = settings.webhook_secret.get_secret_value()
        found.append(
            webhook(url, webhook_format=settings.webhook_format, secret=secret, service=service)
        )
    if bool(settings.notification_email) != bool(settings.smtp_url):
        raise ConfigurationError(
            "only one of --notification-email and --smtp-url is set",
            hint="set both, or neither.",
        )
    if settings.smtp_url:
        from ign_deploy.notify.mail import mail

        found.append(
            mail(
                settings.smtp_url,
                recipients=settings.notification_email,
                sender=settings.smtp_sender,
                username=settings.smtp_username,
                password=settings.smtp_password.get_secret_value(),
                ca=ca,
            )
        )
    if not settings.skip_deployment_statuses:
        from ign_deploy.notify.github import github_statuses
        from ign_deploy.notify.gitlab import gitlab_statuses

        for status in (
            github_statuses(env, service=service),
            gitlab_statuses(env, service=service),
        ):
            if status is not None:
                found.append(status)
    return found


def _service(env: Mapping[str, str], ca: Path | None) -> ServiceOptions:
    from ign_deploy.net.client import ServiceOptions
    from ign_deploy.net.proxies import proxies_from

    return ServiceOptions(ca, partial(proxies_from, env))


def _targets(settings: Settings, env: Mapping[str, str], ca: Path | None) -> MetricTargets | None:
    if not (settings.metrics_file or settings.pushgateway_url or settings.otlp_endpoint):
        return None
    from ign_deploy.metrics.send import MetricTargets
    from ign_deploy.metrics.spans import otlp_endpoint

    otlp = None
    if settings.otlp_endpoint:
        headers = settings.otlp_headers.get_secret_value()
        otlp = otlp_endpoint(settings.otlp_endpoint, headers=headers)
    targets = MetricTargets(
        file=Path(settings.metrics_file) if settings.metrics_file else None,
        pushgateway=settings.pushgateway_url,
        job=settings.metrics_job,
        otlp=otlp,
        service=_service(env, ca),
    )
    targets.check()
    return targets
