"""Publishing from other processes, and looking at what came of it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ign_deploy.repositories import Repository

PUBLISHER = Path(__file__).parents[1] / "support" / "publisher.py"


def run_publishers(*orders: dict[str, Any], at_once: int = 1) -> list[list[list[str]]]:
    """Let other processes publish, so many orders at once; see tests/support/publisher.py."""
    done = subprocess.run(
        [sys.executable, str(PUBLISHER)],
        input=json.dumps({"at_once": at_once, "orders": orders}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: list[list[list[str]]] = json.loads(done.stdout)
    return answer


def without_retries(outcomes: list[list[str]]) -> list[list[str]]:
    """Return the outcomes but for warnings that a request is made again."""
    return [[each for each in job if "; retrying in " not in each] for job in outcomes]


def content_of(repository: Repository, module_id: str, version: str) -> bytes:
    stream = io.BytesIO()
    repository.fetch(module_id, version=version, to=stream)
    return stream.getvalue()


def require_whole(repository: Repository) -> None:
    """Everything that can be seen can be fetched; fetching compares with the record."""
    for module in repository.catalogue():
        versions = repository.catalogue(module.id)
        assert len(versions) == module.versions
        for entry in versions:
            content_of(repository, entry.id, entry.version)


def visible(repository: Repository) -> dict[tuple[str, str], tuple[bytes, bytes]]:
    """Return the record and the content of every version that readers see."""
    return {
        (entry.id, entry.version): (
            repository.fetch(entry.id, version=entry.version).to_json(),
            content_of(repository, entry.id, entry.version),
        )
        for module in repository.catalogue()
        for entry in repository.catalogue(module.id)
    }
