"""What is published holds no secret, wherever a person or a CI host put one."""

from __future__ import annotations

import ast
import base64
import zipfile
from pathlib import Path

import pytest

from tests.support.cli import KEY, CliWorkspace
from tests.support.collector import Collector, Pushgateway
from tests.support.modules import build_module
from tests.support.runner import ROOT
from tests.support.serving import serving

SECRET = "s3cret-token-of-this-test"
FORMS = (SECRET.encode(), base64.b64encode(SECRET.encode()).rstrip(b"="))
ENV = {
    "REPOSITORY_API_TOKEN": SECRET,
    "CI_JOB_URL": f"https://ci.example/job?token={SECRET}",
    "GITLAB_USER_LOGIN": f"user {SECRET}",
    "CI_COMMIT_REF_NAME": SECRET,
}
TEXT = f"The token is {SECRET}, or {base64.b64encode(SECRET.encode()).decode()}."


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file, and every file in an archive."""
    found: dict[str, bytes] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[str(path)] = path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    found |= {f"{path}!{name}": archive.read(name) for name in archive.namelist()}
    return found


def assert_clean(folder: Path) -> None:
    for name, data in contents(folder).items():
        for form in FORMS:
            assert form not in data, name


def test_record_page_bundle_and_history_hold_no_secret(workspace: CliWorkspace) -> None:
    (workspace.folder / "notes.md").write_text(TEXT)
    build_module(workspace.folder / "told.modl", texts={"description": TEXT})
    workspace.run(
        "module", "told.modl", *KEY, "--format", "both", "--notes-file", "notes.md",
        "--tags", f"stable,{SECRET}", env=ENV,
    ).must(0)  # fmt: skip
    workspace.run(
        "install", "com.example.pump", "-e", "production", "--track-only", "--notes", TEXT,
        "--tags", f"stable,{SECRET}", env=ENV,
    ).must(0)  # fmt: skip
    version = ("com.example.pump@1.2.3", "--reason", TEXT)
    workspace.run("yank", *version, env=ENV).must(0)
    published = {name: data for name, data in contents(workspace.repository).items()
                 if not name.endswith("!module.xml")}  # fmt: skip
    named = " ".join(published)
    for kind in (
        "release.json",
        "index.html",
        "RELEASE-NOTES.md",
        "deployments/production",
        "yanked",
    ):
        assert kind in named or any(kind.encode() in data for data in published.values()), kind
    for name, data in published.items():
        for form in FORMS:
            assert form not in data, name
    assert any(b"The token is ***" in data for data in published.values())


def test_a_description_of_the_publisher_holds_none(workspace: CliWorkspace) -> None:
    workspace.run(
        "module", "pump.unsigned.modl", *KEY, "--description", TEXT, "--notes", TEXT,
        "--documentation-url", f"https://docs.example.com/?{SECRET}", env=ENV,
    ).must(0)  # fmt: skip
    assert_clean(workspace.repository)


def test_metrics_hold_none(workspace: CliWorkspace) -> None:
    """A module's id can come from a branch, whose name anyone may choose."""
    build_module(workspace.folder / "review.modl", texts={"id": f"com.example.{SECRET}"})
    with serving(Pushgateway()) as pushgateway, serving(Collector()) as collector:
        workspace.run("module", "review.modl", *KEY, env={"REPOSITORY_API_TOKEN": ""}).must(0)
        workspace.run(
            "install", f"com.example.{SECRET}", "-e", "review", "--track-only",
            "--metrics-file", "metrics.txt", "--pushgateway-url", pushgateway.url,
            "--otlp-endpoint", collector.url, env=ENV,
        ).must(0)  # fmt: skip
        sent = [*pushgateway.requests, *collector.requests]
    written = (workspace.folder / "metrics.txt").read_bytes()
    assert b'"com.example.***"' in written
    assert len(sent) >= 2
    for text in (written, *(request.body + request.path.encode() for request in sent)):
        assert not any(form in text for form in FORMS)


@pytest.mark.parametrize("path", sorted((ROOT / "ign_deploy" / "pipeline").glob("*.py")), ids=str)
def test_the_pipeline_publishes_only_what_was_redacted(path: Path) -> None:
    """``RunContext.published`` is the one way of these texts into a record."""
    if path.name in ("context.py", "audit_log.py", "events.py", "checks.py"):
        return  # the way itself, those with a redactor of their own, and the one that only reads
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            owner, name = node.value.attr, node.attr
            assert (owner, name) not in {("workspace", "notes"), ("settings", "description"),
                                         ("settings", "tags"),
                                         ("settings", "documentation_url"),
                                         }, node.lineno  # fmt: skip
            assert owner != "provenance" or "published" in ast.unparse(node), node.lineno
