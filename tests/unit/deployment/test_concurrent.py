"""200 deployments from eight processes: none is lost, and the audit trail is complete."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ign_deploy.deployment.records import Outcome
from tests.support.cli import CliWorkspace
from tests.support.deployment_env import DeploymentEnv
from tests.support.gateway.client import MODULE_ID, modl

ROOT = Path(__file__).resolve().parents[3]
PROCESSES, EACH, ENVIRONMENTS = 8, 25, 4


@pytest.mark.long
def test_200_deployments_from_eight_processes_lose_nothing(tmp_path: Path) -> None:
    repository, trail, module = tmp_path / "repository", tmp_path / "audit.jsonl", modl(tmp_path)
    repository.mkdir()
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.deployment_env", str(repository), str(trail),
             f"line-{number % ENVIRONMENTS}", str(module), str(EACH), str(number)],
            cwd=ROOT, stderr=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    ends = [(writer.communicate(timeout=120)[1], writer.returncode) for writer in writers]
    assert ends == [(b"", 0)] * PROCESSES

    seen: Counter[str] = Counter()
    for number in range(ENVIRONMENTS):
        env = DeploymentEnv(repository, tmp_path, environment=f"line-{number}")
        deployments = env.deployments()
        assert len(deployments) == PROCESSES * EACH // ENVIRONMENTS
        assert all(each.ended is not None for each in deployments)
        assert {each.last.outcome for each in deployments} == {Outcome.RECORDED}
        modules = [each.last.gateways[0].modules[0] for each in deployments]
        seen.update(each.version for each in modules)
        (deployed,) = env.deployed()
        assert not deployed.uncertain
        assert deployed.version == modules[-1].version
        assert deployed.previous in {each.version for each in modules} - {deployed.version}
        assert env.reported.warnings == []
    assert len(seen) == PROCESSES * EACH
    assert set(seen.values()) == {1}

    workspace = CliWorkspace(tmp_path)
    audited = workspace.run("audit", "verify", trail, "--json").must(0).document
    assert (audited["result"], audited["entries"]) == ("verified", PROCESSES * EACH)
    lines = [json.loads(line) for line in trail.read_text("utf-8").splitlines()]
    assert {line["subject"]["version"] for line in lines} == set(seen)
    assert {line["subject"]["module"] for line in lines} == {MODULE_ID}

    listed = workspace.run("history", "--json", "--limit", "500", "--repository-url", repository)
    assert len(listed.must(0).document["deployments"]) == PROCESSES * EACH
