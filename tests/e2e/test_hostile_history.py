"""Deployment records are untrusted: terminal and log stay safe, whatever they contain."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.deployment.history import History
from ign_deploy.deployment.records import Outcome, Phase
from ign_deploy.report import SilentReporter
from ign_deploy.repositories.backends import open_repository
from tests.support.cli import CliWorkspace
from tests.support.records import record

HOSTILE = {
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "command": "x\n::error::owned",
    "legacy command": "##[error]owned",
    "right to left": "a\u202eb\u2066c",
    "html": "<script>alert(1)</script>",
    "long": "a" * 200_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("command", ["status", "history"])
def test_a_hostile_record_is_shown_harmless(tmp_path: Path, command: str, name: str) -> None:
    text = HOSTILE[name]
    repository = open_repository(str(tmp_path / "module-repository"))
    history = History(repository.maintenance.ledger, reporter=SilentReporter())
    started = record(text, previous=text, gateway=text, module_id=text, actor=text, notes=text)
    gateways = tuple(
        gateway.model_copy(
            update={
                "name": text,
                "message": text,
                "modules": tuple(
                    module.model_copy(update={"outcome": Outcome.DEPLOYED})
                    for module in gateway.modules
                ),
            }
        )
        for gateway in started.gateways
    )
    history.append(started)
    history.append(
        started.model_copy(
            update={
                "phase": Phase.ENDED,
                "outcome": Outcome.DEPLOYED,
                "ended_at": "2026-01-31T12:01:00.000000Z",
                "gateways": gateways,
            }
        )
    )
    shown = CliWorkspace(tmp_path).call(command).must(0)
    written = shown.stdout + shown.stderr
    assert [each for each in written if not each.isprintable() and each != "\n"] == []
    assert [line for line in written.splitlines() if line.lstrip().startswith("::")] == []
    assert "##[" not in written
    document = CliWorkspace(tmp_path).call(command, "--json").must(0)
    assert document.document
    assert "##[" not in document.stdout
