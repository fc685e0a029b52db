"""Run events: what a run changed, for notifications, metrics and audit trail, as configured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError, DeploymentError, numbered_lines
from ign_deploy.pipeline.audit_log import AuditLog
from ign_deploy.report import Reporter
from ign_deploy.settings import JOB_TOKENS

if TYPE_CHECKING:
    from ign_deploy.deployment.records import DeploymentRecord, GatewayRecord
    from ign_deploy.metrics import MeasuredModule
    from ign_deploy.metrics.send import MetricTargets
    from ign_deploy.module.artifacts import VerifiedModule
    from ign_deploy.net.client import ServiceOptions
    from ign_deploy.notify import Channel
    from ign_deploy.notify.notice import Notice
    from ign_deploy.settings import Settings

Redact = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class RunEvents:
    """Reports what the run changed to channels, metrics and audit trail.

    The change is already made, so a failure here is a warning. ``redact`` replaces secrets in text;
    ``env`` may hold TRACEPARENT.
    """

    audit: AuditLog
    env: Mapping[str, str]
    reporter: Reporter
    redact: Redact
    channels: Sequence[Channel] = ()
    targets: MetricTargets | None = None

    def deployment_started(self, record: DeploymentRecord) -> None:
        """Report the start of a deployment."""
        self._notify(record, now=datetime.now(UTC))

    def deployment_ended(
        self, record: DeploymentRecord, *, modules: Mapping[str, VerifiedModule]
    ) -> None:
        """Report the end of a deployment; ``modules`` are those that were deployed, by id."""
        now = datetime.now(UTC)
        for gateway in record.gateways:
            for module in gateway.modules:
                self.audit.record(
                    record.kind.value,
                    module.outcome.value,
                    now=now,
                    subject={
                        "module": module.id,
                        "version": module.version,
                        "environment": record.environment,
                        "gateway": gateway.gateway,
                    },
                    sha256=module.sha256,
                    details={"deployment": record.id, "replaced": module.previous},
                )
        self._notify(record, now=now)
        self._measure(record, modules=modules)

    def released(self, modules: Sequence[tuple[str, str, str]], *, begin: datetime) -> None:
        """Report modules (id, version, SHA-256) that were published but not deployed."""
        if not modules or not self.channels:
            return
        from ign_deploy.notify import notify_all
        from ign_deploy.notify.notice import Notice, NoticedModule

        now = datetime.now(UTC)
        notice = Notice(
            event="release",
            result="uploaded",
            environment="",
            started_at=begin,
            seconds=(now - begin).total_seconds(),
            modules=tuple(
                NoticedModule(module_id, version, sha256=sha256)
                for module_id, version, sha256 in modules
            ),
            actor=self.audit.provenance.actor,
            run_url=self.audit.provenance.run_url,
            commit=self.audit.provenance.commit,
            audit_head=self.audit.head,
        )
        notify_all(self.channels, notice, reporter=self.reporter, redact=self.redact)

    def _notify(self, record: DeploymentRecord, *, now: datetime) -> None:
        if not self.channels:
            return
        from ign_deploy.notify import notify_all

        notice = _notice(record, now=now, head=self.audit.head)
        notify_all(self.channels, notice, reporter=self.reporter, redact=self.redact)

    def _measure(self, record: DeploymentRecord, *, modules: Mapping[str, VerifiedModule]) -> None:
        if self.targets is None:
            return
        from ign_deploy.metrics import MeasuredStage, Measurement
        from ign_deploy.metrics import send as sending

        outcome = record.outcome
        begin = datetime.fromisoformat(record.started_at)
        end = datetime.fromisoformat(record.ended_at)
        measured = Measurement(
            event=record.kind.value,
            result=outcome.value if outcome else "",
            is_success=_succeeded(record),
            started_at=begin,
            seconds=(end - begin).total_seconds(),
            environment=record.environment,
            stages=tuple(
                MeasuredStage(gateway.name or gateway.gateway or "no gateway", gateway.seconds)
                for gateway in record.gateways
            ),
            modules=tuple(
                _measured(module_id, version, modules.get(module_id), now=begin)
                for module_id, version, *_ in _modules(record)
            ),
            gateways=Counter(gateway.outcome.value for gateway in record.gateways),
            deployment_id=record.id,
        )
        sending.send_measurement(
            measured.redacted(self.redact),
            targets=self.targets,
            env=self.env,
            reporter=self.reporter,
        )


def _measured(
    module_id: str, version: str, module: VerifiedModule | None, *, now: datetime
) -> MeasuredModule:
    """Return a deployed module's measurements; without its file, as far as they are known."""
    from ign_deploy.metrics import MeasuredModule
    from ign_deploy.module.expiry import days_left

    if module is None:
        return MeasuredModule(module_id, version)
    days = days_left(module.certificate.not_after, now)
    return MeasuredModule(module_id, version, module.size, days)


def _notice(record: DeploymentRecord, *, now: datetime, head: str) -> Notice:
    from ign_deploy.notify.notice import Notice, NoticedGateway, NoticedModule

    begin = datetime.fromisoformat(record.started_at)
    return Notice(
        event="rollback" if record.kind.value == "rollback" else "deployment",
        result=_noticed_result(record),
        environment=record.environment,
        started_at=begin,
        seconds=(now - begin).total_seconds(),
        modules=tuple(NoticedModule(*each) for each in _modules(record)),
        gateways=tuple(
            NoticedGateway(
                gateway.title,
                gateway.outcome.value,
                change=_change(gateway),
                reason=gateway.reason,
            )
            for gateway in record.gateways
            if gateway.gateway
        ),
        actor=record.actor,
        run_url=record.run_url,
        commit=record.commit,
        message=_message(record),
        deployment_id=record.id,
        audit_head=head,
    )


def _change(gateway: GatewayRecord) -> str:
    """Return from which versions to which: ``1.0.0 → 1.1.0``, with ids if there are several."""
    changes = [
        (each.id, f"{each.previous or 'not installed'} → {each.version or 'uninstalled'}")
        for each in gateway.modules
    ]
    if len(changes) == 1:
        return changes[0][1]
    return ", ".join(f"{id_} {change}" for id_, change in changes)


def _message(record: DeploymentRecord) -> str:
    """Return why a deployment failed, and what is to be done, in lines."""
    from ign_deploy.deployment.rollout import require_success

    if not record.ended_at:
        return ""
    try:
        require_success(record.gateways)
    except DeploymentError as problem:
        return "\n".join((problem.message, *numbered_lines(problem.hint)))
    steps = dict.fromkeys(step for gateway in record.gateways for step in gateway.steps)
    return "\n".join(numbered_lines("\n".join(steps)))


def _noticed_result(record: DeploymentRecord) -> str:
    result = record.outcome.value if record.outcome else "in-progress"
    if result == "uninstalled":
        return "removed"
    if result not in ("deployed", "unchanged", "recorded"):
        return result
    return "rolled-back" if record.kind.value == "rollback" else "deployed"


def _modules(record: DeploymentRecord) -> Iterable[tuple[str, str, str, str]]:
    """Return each module once: id, version, what it replaced, and its digest."""
    found = {
        (module.id, module.version): (module.id, module.version, module.previous, module.sha256)
        for gateway in record.gateways
        for module in gateway.modules
    }
    return found.values()


def _succeeded(record: DeploymentRecord) -> bool:
    from ign_deploy.deployment.records import DEPLOYED_OUTCOMES

    return record.outcome in DEPLOYED_OUTCOMES


def open_events(
    settings: Settings, *, env: Mapping[str, str], ca: Path | None, audit: AuditLog
) -> RunEvents:
    """Return the notification channels and metric targets in the settings.

    ``ca`` has the certificates of a private CA, for both. Raises ConfigurationError.
    """
    audit.check()
    reporter = audit.reporter
    for name in JOB_TOKENS:
        if env.get(name):
            reporter.mask(env[name])
    channels = _open_channels(settings, env, ca)
    for channel in channels:
        for secret in channel.secrets:
            reporter.mask(secret)
    targets = metric_targets(settings, env=env, ca=ca)
    _require_named_hosts(settings, channels, targets)
    return RunEvents(
        audit=audit,
        env=env,
        reporter=reporter,
        redact=audit.redact,
        channels=channels,
        targets=targets,
    )


def _require_named_hosts(
    settings: Settings, channels: Sequence[Channel], targets: MetricTargets | None
) -> None:
    """Raise ConfigurationError if only a config file that was found says who gets secrets."""
    secrets = {
        "smtp_url": ("the mail server's password", settings.smtp_password),
        "otlp_endpoint": ("the collector's headers", settings.otlp_headers),
    }
    for name, (sent, value) in secrets.items():
        if value.get_secret_value():
            settings.require_named(name, decides=f"which host gets {sent}")
    otlp = targets.otlp if targets is not None else None
    if any(channel.secrets for channel in channels) or (otlp is not None and otlp.secrets):
        settings.require_named(
            "notification_ca", decides="which host gets the secrets of notifications"
        )


def _open_channels(settings: Settings, env: Mapping[str, str], ca: Path | None) -> list[Channel]:
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


def metric_targets(
    settings: Settings, *, env: Mapping[str, str], ca: Path | None
) -> MetricTargets | None:
    """Return where metrics go, None for nowhere; raises ConfigurationError."""
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
    _require_named_hosts(settings, (), targets)
    return targets
