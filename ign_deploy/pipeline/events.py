"""Settings → who is told what a run changed: notifications, audit trail, metrics."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError, IgnDeployError
from ign_deploy.pipeline.publishing import actor_of, build_of, commit_of
from ign_deploy.report import Reporter
from ign_deploy.settings import Settings

if TYPE_CHECKING:
    from ign_deploy.audit.entry import Entry
    from ign_deploy.deployment.records import DeploymentRecord
    from ign_deploy.metrics.send import Targets
    from ign_deploy.notify import Channel
    from ign_deploy.notify.notice import Notice

Redact = Callable[[str], str]
_TOKENS = ("GITHUB_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN")


@dataclass
class RunEvents:
    """Tells of changes; what fails then is a warning, since the change is made already.

    ``redact`` replaces secrets in a text. ``head`` is the audit trail's head after the last entry.
    """

    settings: Settings
    env: Mapping[str, str]
    reporter: Reporter
    redact: Redact
    channels: Sequence[Channel] = ()
    targets: Targets | None = None
    head: str = ""
    _warned: set[str] = field(default_factory=set)

    def audit(
        self,
        action: str,
        result: str,
        *,
        now: datetime,
        subject: Mapping[str, str],
        sha256: str = "",
        details: Mapping[str, str] | None = None,
    ) -> None:
        """Write one line of the audit trail, if there is one."""
        if not self.settings.audit_file:
            return
        from ign_deploy.audit.entry import Entry, Subject

        self._append(
            Entry(
                action=action,
                result=result,
                actor=actor_of(self.env),
                host=socket.gethostname(),
                subject=Subject(**subject),
                digests={"sha256": sha256} if sha256 else {},
                details={**build_of(self.env, self.settings), **(details or {})},
            ),
            now,
        )

    def begun(self, record: DeploymentRecord) -> None:
        """Tell that a deployment begins."""
        self._notify(record, now=datetime.now(UTC))

    def ended(self, record: DeploymentRecord, *, sizes: Mapping[str, int]) -> None:
        """Tell how a deployment ended; ``sizes`` are bytes by module id."""
        now = datetime.now(UTC)
        for gateway in record.gateways:
            for module in gateway.modules:
                self.audit(
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
        self._measure(record, sizes=sizes)

    def released(self, modules: Sequence[tuple[str, str, str]], *, begin: datetime) -> None:
        """Tell that modules (id, version, SHA-256) were published; nobody deployed them yet."""
        if not modules or not self.channels:
            return
        from ign_deploy.notify.notice import Notice, NoticedModule
        from ign_deploy.notify.send import notify_all

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
            actor=actor_of(self.env),
            run_url=build_of(self.env, self.settings).get("url", ""),
            commit=commit_of(self.env),
            audit_head=self.head,
        )
        notify_all(self.channels, notice, reporter=self.reporter, redact=self.redact)

    def _append(self, entry: Entry, now: datetime) -> None:
        from ign_deploy.audit.trail import append

        try:
            path = Path(self.settings.audit_file)
            self.head = append(path, entry, time=now, redact=self.redact).head
        except IgnDeployError as problem:
            if problem.message not in self._warned:
                self._warned.add(problem.message)
                self.reporter.warning(
                    f"the change is made, but the audit trail lacks it: {problem.message}"
                )

    def _notify(self, record: DeploymentRecord, *, now: datetime) -> None:
        if not self.channels:
            return
        from ign_deploy.notify.send import notify_all

        notice = _notice(record, now=now, head=self.head)
        notify_all(self.channels, notice, reporter=self.reporter, redact=self.redact)

    def _measure(self, record: DeploymentRecord, *, sizes: Mapping[str, int]) -> None:
        if self.targets is None:
            return
        from ign_deploy.metrics import send as sending
        from ign_deploy.metrics.measurement import Measured, MeasuredModule, Stage

        outcome = record.outcome
        begin = datetime.fromisoformat(record.begun_at)
        end = datetime.fromisoformat(record.ended_at)
        measured = Measured(
            event=record.kind.value,
            result=outcome.value if outcome else "",
            is_success=_succeeded(record),
            started_at=begin,
            seconds=(end - begin).total_seconds(),
            environment=record.environment,
            stages=tuple(
                Stage(gateway.name or gateway.gateway or "no gateway", gateway.seconds)
                for gateway in record.gateways
            ),
            modules=tuple(
                MeasuredModule(module_id, version, sizes.get(module_id, 0))
                for module_id, version, *_ in _modules(record)
            ),
            gateways=Counter(gateway.outcome.value for gateway in record.gateways),
            deployment_id=record.id,
        )
        sending.record(measured, targets=self.targets, env=self.env, reporter=self.reporter)


def open_events(
    settings: Settings, *, env: Mapping[str, str], reporter: Reporter, redact: Redact
) -> RunEvents:
    """Return the teller that the settings ask for; raises ConfigurationError before any change."""
    for name in _TOKENS:
        if env.get(name):
            reporter.mask(env[name])
    channels = _channels(settings, env)
    for channel in channels:
        for secret in channel.secrets:
            reporter.mask(secret)
    return RunEvents(
        settings=settings,
        env=env,
        reporter=reporter,
        redact=redact,
        channels=channels,
        targets=_targets(settings, env),
    )


def _channels(settings: Settings, env: Mapping[str, str]) -> list[Channel]:
    from ign_deploy.net.proxies import proxies_from

    ca = Path(settings.notification_ca) if settings.notification_ca else None
    proxies = partial(proxies_from, env)
    found: list[Channel] = []
    if url := settings.webhook_url.get_secret_value().strip():
        from ign_deploy.notify.webhook import webhook

        secret = settings.webhook_secret.get_secret_value()
        found.append(
            webhook(url, form=settings.webhook_format, secret=secret, ca=ca, proxies=proxies)
        )
    if bool(settings.notification_email) != bool(settings.smtp_url):
        raise ConfigurationError(
            "for e-mail, both the recipients and the mail server are needed",
            hint="set --notification-email and --smtp-url, or neither.",
        )
    if settings.smtp_url:
        from ign_deploy.notify.smtp import mail

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
            github_statuses(env, ca=ca, proxies=proxies),
            gitlab_statuses(env, ca=ca, proxies=proxies),
        ):
            if status is not None:
                found.append(status)
    return found


def _targets(settings: Settings, env: Mapping[str, str]) -> Targets | None:
    if not (settings.metrics_file or settings.pushgateway_url or settings.otlp_endpoint):
        return None
    from ign_deploy.metrics.send import Targets
    from ign_deploy.metrics.spans import otlp_endpoint
    from ign_deploy.net.proxies import proxies_from

    otlp = None
    if settings.otlp_endpoint:
        headers = settings.otlp_headers.get_secret_value()
        otlp = otlp_endpoint(settings.otlp_endpoint, headers=headers)
    targets = Targets(
        file=Path(settings.metrics_file) if settings.metrics_file else None,
        pushgateway=settings.pushgateway_url,
        job=settings.metrics_job,
        otlp=otlp,
        ca=Path(settings.notification_ca) if settings.notification_ca else None,
        proxies=partial(proxies_from, env),
    )
    targets.check()
    return targets


def _notice(record: DeploymentRecord, *, now: datetime, head: str) -> Notice:
    from ign_deploy.notify.notice import Notice, NoticedGateway, NoticedModule

    begin = datetime.fromisoformat(record.begun_at)
    return Notice(
        event="rollback" if record.kind.value == "rollback" else "deployment",
        result=_noticed_result(record),
        environment=record.environment,
        started_at=begin,
        seconds=(now - begin).total_seconds(),
        modules=tuple(NoticedModule(*each) for each in _modules(record)),
        gateways=tuple(
            NoticedGateway(gateway.name or gateway.gateway, gateway.outcome.value)
            for gateway in record.gateways
            if gateway.gateway
        ),
        actor=record.actor,
        run_url=record.run_url,
        commit=record.commit,
        message=" ".join(gateway.message for gateway in record.gateways if gateway.message),
        deployment_id=record.id,
        audit_head=head,
    )


def _noticed_result(record: DeploymentRecord) -> str:
    result = record.outcome.value if record.outcome else "in-progress"
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
