"""What notifications say of a deployment: the cause, the steps, and one row per gateway."""

from __future__ import annotations

from ign_deploy.deployment.records import (
    DeploymentRecord,
    GatewayRecord,
    ModuleOnGateway,
    Outcome,
    Phase,
)
from ign_deploy.notify.notice import Notice, facts
from ign_deploy.pipeline.audit_log import AuditLog
from ign_deploy.pipeline.events import RunEvents
from ign_deploy.pipeline.provenance import Provenance
from ign_deploy.report import SilentReporter


class Kept:
    """A channel that keeps what it is to send."""

    name = "kept"
    secrets = ()

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def send(self, notice: Notice) -> None:
        self.notices.append(notice)


def row(name: str, outcome: Outcome, reason: str = "", *steps: str) -> GatewayRecord:
    module = ModuleOnGateway(id="pump", version="1.1.0", previous="1.0.0", outcome=outcome)
    return GatewayRecord(
        gateway=f"https://{name}.example",
        name=name,
        outcome=outcome,
        message=f"{name}: {reason}" if reason else "",
        steps=steps,
        modules=(module,),
    )


def noticed(*gateways: GatewayRecord) -> Notice:
    record = DeploymentRecord(
        id="d1",
        phase=Phase.ENDED,
        environment="production",
        started_at="2026-01-31T12:00:00.000000Z",
        ended_at="2026-01-31T12:01:00.000000Z",
        gateways=gateways,
        outcome=Outcome.FAILED,
    )
    channel, reporter = Kept(), SilentReporter()
    audit = AuditLog("", Provenance("tester"), reporter, str)
    RunEvents(audit, {}, reporter, str, channels=[channel]).deployment_ended(record, modules={})
    (notice,) = channel.notices
    return notice


def test_a_notification_has_the_cause_the_steps_and_a_row_per_gateway() -> None:
    notice = noticed(
        row("line-1", Outcome.DEPLOYED),
        row("line-2", Outcome.FAILED, "it is full", "free some space."),
        row("line-3", Outcome.FAILED, "it is locked", "unlock it."),
    )
    assert notice.message.splitlines() == [
        "2 of 3 gateways failed: line-2: it is full; 1 more for other reasons",
        "1. free some space.",
        "2. unlock it.",
        "3. fix the cause, then run the same command again.",
        "4. see https://github.com/org/ign-deploy/blob/v1/docs/runbook-exit-7.md",
    ]
    assert dict(facts(notice))["Gateways"].splitlines() == [
        "line-1: 1.0.0 → 1.1.0, deployed",
        "line-2: 1.0.0 → 1.1.0, failed",
        "line-3: 1.0.0 → 1.1.0, failed: it is locked",
    ]


def test_a_notification_of_a_pending_restart_says_what_is_left_to_do_once() -> None:
    steps = ("restart the gateway.", "run it again.")
    pending = [row(f"line-{n}", Outcome.RESTART_PENDING, "it must restart", *steps) for n in (1, 2)]
    assert noticed(*pending).message == "1. restart the gateway.\n2. run it again."
