"""The pages on notifications, the audit trail and metrics match the code."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.audit import verify
from ign_deploy.audit.trail import RECOVERED
from ign_deploy.audit.verify import verify_trail
from ign_deploy.deployment.records import DeploymentKind
from ign_deploy.metrics import ComparedGateway, ComparedModule, MeasuredModule
from ign_deploy.metrics.exposition import openmetrics
from ign_deploy.notify import webhook
from ign_deploy.notify.github import github_state
from ign_deploy.notify.gitlab import gitlab_status
from ign_deploy.notify.webhook import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    generic_message,
    signed_headers,
)
from tests.support.notices import MEASURED, notice
from tests.support.pages import blocks, code_words, page_text, section
from tests.support.trails import trail


def example(page: str, language: str) -> str:
    [block] = [block for block in blocks(language) if block.page == f"docs/{page}"]
    return block.text


def shape(value: object) -> object:
    """Return a document's keys and types of values."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def test_the_webhooks_document_matches() -> None:
    shown = json.loads(example("notifications.md", "json"))
    real = json.loads(generic_message(notice(), delivery="x"))
    assert set(shown) == set(real)
    assert shape(shown) == shape(real)
    assert shown["version"] == real["version"]


def test_the_signature_check_works() -> None:
    shown: dict[str, Any] = {}
    exec(example("notifications.md", "python"), shown)
    body = generic_message(notice(), delivery="x")

    def headers(stamp: float, secret: str = "s") -> dict[str, str]:
        return dict(
            signed_headers(body, notice=notice(), delivery="x", secret=secret, timestamp=int(stamp))
        )

    now = time.time()
    is_genuine = shown["is_genuine"]
    assert is_genuine(headers(now), body, "s")
    assert not is_genuine(headers(now), body, "t")
    assert not is_genuine(headers(now), body + b" ", "s")
    assert not is_genuine(headers(now - 1000), body, "s")
    moved = headers(now - 1000) | {TIMESTAMP_HEADER: str(int(now))}
    assert not is_genuine(moved, body, "s")


def test_headers_and_hosts_are_documented() -> None:
    text = page_text("notifications.md")
    assert {SIGNATURE_HEADER, TIMESTAMP_HEADER, "Idempotency-Key"} <= code_words(text)
    for host in ("hooks.slack.com", "x.webhook.office.com", "x.logic.azure.com"):
        assert webhook.format_of_host(host) != "generic"
        assert host.removeprefix("x.") in code_words(text)


def test_results_have_the_documented_states() -> None:
    rows = re.findall(r"^\| (.+?) \| `(\w+)` \| `(\w+)` \|$", page_text("notifications.md"), re.M)
    assert len(rows) == 5
    seen: set[str] = set()
    for results, on_github, on_gitlab in rows:
        for result in re.findall(r"`([\w-]+)`", results):
            event = (
                "rollback" if result == "rolled-back" and "on request" in results else "deployment"
            )
            reported = notice(event=event, result=result)
            assert (github_state(reported), gitlab_status(reported)) == (on_github, on_gitlab)
            seen.add(result)
    listed = section(page_text("notifications.md"), "A service of your own")
    assert seen | {"uploaded"} <= code_words(listed)


def test_an_entry_of_the_trail_matches(tmp_path: Path) -> None:
    [line] = trail(tmp_path / "audit.jsonl", length=1)
    shown, real = json.loads(example("audit.md", "json")), json.loads(line)
    assert set(shown) == set(real)
    assert set(shown["subject"]) == set(real["subject"])
    assert RECOVERED in code_words(page_text("audit.md"))


def test_every_kind_of_deployment_is_documented_as_action_and_event() -> None:
    kinds = {kind.value for kind in DeploymentKind}
    assert kinds <= code_words(page_text("audit.md"))
    assert kinds <= code_words(page_text("metrics.md"))


def test_the_documented_command_computes_the_head(tmp_path: Path) -> None:
    trail(tmp_path / "audit.jsonl")
    done = subprocess.run(
        ["sh", "-c", example("audit.md", "sh")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split()[0] == verify_trail(tmp_path / "audit.jsonl").head


def test_every_finding_of_the_trail_is_documented() -> None:
    code = Path(str(verify.__file__)).read_text("utf-8")
    rows = re.findall(r"^\| `(audit-[a-z]+)` \|", page_text("audit.md"), re.M)
    assert set(rows) == set(re.findall(r'"(audit-[a-z]+)"', code))


def test_every_metric_and_its_labels_are_documented() -> None:
    rows = {
        (name, *sorted(re.findall(r"`(\w+)`", labels)))
        for name, labels in re.findall(
            r"^\| `(ign_deploy_\w+)` \| (.*?)\|", page_text("metrics.md"), re.M
        )
    }
    compared = ComparedModule("a", "1", "1", "ACTIVE", is_as_recorded=True, days_left=9)
    measured = replace(
        MEASURED,
        modules=(MeasuredModule("a", "1", 1, days_left=9),),
        compared=(ComparedGateway("line-1", "plant", is_reachable=True, modules=(compared,)),),
    )
    real = {
        (name, *sorted(set(re.findall(r'(\w+)="', labels)) - {"event", "environment"}))
        for name, labels in re.findall(
            r"^(ign_deploy_\w+)\{(.*)\}", openmetrics(measured).decode(), re.M
        )
    }
    assert rows == real


@pytest.mark.parametrize("page", ["notifications.md", "audit.md", "metrics.md"])
def test_pages_are_short(page: str) -> None:
    assert len(page_text(page).splitlines()) < 170
