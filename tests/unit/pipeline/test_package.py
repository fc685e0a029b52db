"""What of a run's files a build must not touch."""

from __future__ import annotations

from pathlib import Path

from ign_deploy.packaging.protected import Protected
from ign_deploy.pipeline.package import protected_paths
from tests.support.runs import run_context


def test_what_is_written_is_kept_and_keys_are_secret(tmp_path: Path) -> None:
    key, password = tmp_path / "key.pem", tmp_path / "password"
    key.touch()
    context = run_context(
        audit_file="audit.jsonl",
        metrics_file="metrics.prom",
        key_path=str(key),
        keystore="c2VjcmV0",
        secret_files=(password,),
    )
    kept = tuple(map(Path, ("module-repository", "audit.jsonl", "metrics.prom")))
    assert protected_paths(context) == Protected(kept, (key, password))


def test_a_store_is_no_file(tmp_path: Path) -> None:
    context = run_context(repository_url="https://store.example.com/modules")
    assert protected_paths(context).kept == ()
    context = run_context(repository_url=f"file:{tmp_path}")
    assert protected_paths(context).kept == (tmp_path,)
