"""Results as JSON, and deployments as rows."""

from __future__ import annotations

import json

from ign_deploy.ci.mask import Masker
from ign_deploy.cli.carrying_out import deployment_headline
from ign_deploy.cli.formatting import describe_deployment, json_line, json_text
from ign_deploy.deployment.records import (
    DeploymentRecord,
    GatewayRecord,
    ModuleOnGateway,
    Outcome,
    Phase,
)
from ign_deploy.errors import DeploymentError


def test_secrets_are_redacted_in_values_and_keys() -> None:
    masker = Masker()
    masker.add("hunter22")
    document = {"build": {"token hunter22": ["hunter22", {"hunter22": 1}]}, "ok": True}
    expected = {"build": {"token ***": ["***", {"***": 1}]}, "ok": True}
    assert json.loads(json_text(document, masker=masker)) == expected
    assert json.loads(json_line(document, masker=masker)) == expected


def gateway(name: str, outcome: Outcome, reason: str = "", *steps: str) -> GatewayRecord:
    module = ModuleOnGateway(id="pump", version="1.1.0", previous="1.0.0", outcome=outcome)
    return GatewayRecord(
        gateway=f"https://{name}.example",
        name=name,
        outcome=outcome,
        message=f"{name}: {reason}" if reason else "",
        steps=steps,
        modules=(module,),
    )


def deployment(*gateways: GatewayRecord) -> DeploymentRecord:
    return DeploymentRecord(
        id="d1",
        phase=Phase.ENDED,
        environment="production",
        started_at="2026-01-31T12:00:00.000000Z",
        ended_at="2026-01-31T12:01:00.000000Z",
        gateways=gateways,
    )


def test_each_gateway_has_one_row_with_its_name_change_outcome_and_reason() -> None:
    hostile = "\x1b[31m::error::x\n\u202e" + "z" * 9000
    record = deployment(
        gateway("line-1", Outcome.DEPLOYED),
        gateway("line-2", Outcome.ROLLED_BACK, "it is faulted; back on 1.0.0", "check it."),
        gateway("line-3", Outcome.FAILED, hostile),
    )
    problem = DeploymentError("2 of 3 gateways failed: see their rows", hint="check it.")
    header, *rows = describe_deployment(record, "rolled-back", problem=problem)
    assert header == "rolled-back: deployment d1 to production"
    assert rows[0] == "  line-1  pump  1.0.0 → 1.1.0  deployed"
    assert rows[1] == "  line-2  pump  1.0.0 → 1.1.0  rolled-back  it is faulted; back on 1.0.0"
    assert rows[2].startswith(
        "  line-3  pump  1.0.0 → 1.1.0  failed       \\::error::x\\x0a\\u202ez"
    )
    assert len(rows[2]) < 400
    assert len(rows) == 3
    assert "https://" not in "".join(rows)


def test_a_failure_on_some_gateways_is_not_called_one_of_all() -> None:
    rows = (gateway("line-1", Outcome.DEPLOYED), gateway("line-2", Outcome.ROLLED_BACK, "x"))
    partly = deployment(*rows).model_copy(update={"outcome": Outcome.ROLLED_BACK})
    assert describe_deployment(partly, "rolled-back")[0] == (
        "rolled-back: deployment d1 to production (1 deployed, 1 rolled-back)"
    )
    assert deployment_headline(partly, "rolled-back") == "Deployed on 1 of 2 gateways only:"
    whole = deployment(rows[1]).model_copy(update={"outcome": Outcome.ROLLED_BACK})
    assert describe_deployment(whole, "rolled-back")[0].endswith("to production")
    assert deployment_headline(whole, "rolled-back") == "Not deployed, and rolled back:"


def test_a_reason_in_the_error_is_not_repeated_in_its_row_nor_are_its_steps() -> None:
    record = deployment(gateway("line-2", Outcome.FAILED, "it is full", "free some space."))
    problem = DeploymentError("the gateway failed: line-2: it is full", hint="free some space.")
    assert describe_deployment(record, "failed", problem=problem)[1:] == [
        "  line-2  pump  1.0.0 → 1.1.0  failed"
    ]


def test_without_an_error_the_steps_are_listed_once_below_the_rows() -> None:
    steps = ("restart the gateway when the plant allows.", "run it again with --restart if-needed.")
    gateways = [gateway(f"line-{n}", Outcome.RESTART_PENDING, "x", *steps) for n in (1, 2)]
    lines = describe_deployment(
        deployment(*gateways), "restart-pending", wording=lambda text: text.replace("--", "")
    )
    assert lines[3:] == [
        "to do:",
        "  1. restart the gateway when the plant allows.",
        "  2. run it again with restart if-needed.",
    ]
